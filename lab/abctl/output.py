"""Lines in the way of abctl's console output, and its errors."""

from __future__ import annotations

import sys

verbose = False


class AbctlError(Exception):
    """Ends the program with 1; `hint` is printed after it."""

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep both."""
        super().__init__(message)
        self.hint = hint


def _line(prefix: str, text: str) -> None:
    sys.stdout.write(f"{prefix} {text}\n")
    sys.stdout.flush()


def info(text: str) -> None:
    """Say what happens."""
    _line(" INFO   ", text)


def success(text: str) -> None:
    """Say what went well."""
    _line(" SUCCESS ", text)


def warning(text: str) -> None:
    """Say what looks wrong and does not stop the program."""
    _line(" WARNING ", text)


def error(text: str) -> None:
    """Say what is wrong."""
    _line(" ERROR  ", text)


def debug(text: str) -> None:
    """Say more, with --verbose."""
    if verbose:
        _line(" DEBUG  ", text)
