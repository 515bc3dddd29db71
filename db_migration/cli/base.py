"""What all commands share: their options, and how they say what went wrong."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from typer.core import TyperCommand
from typer.exceptions import TyperException

from db_migration import config_file, log
from db_migration.config import Config, FeedConfig
from db_migration.errors import (
    BlockedError,
    DeadlinePassedError,
    DifferenceFoundError,
    ExitCode,
    MigrationError,
)
from db_migration.reporting import error_text
from db_migration.verification import report

ConfigPath = Annotated[Path, typer.Option("--config", help="Configuration file (JSON).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
DEFAULT = config_file.DEFAULT_PATH
LONGEST = 7 * 24 * 3600
"""Seconds; a longer wait is a slip of the keyboard."""


def stop_by_signal() -> threading.Event:
    """Return what SIGTERM and SIGINT set from now on, instead of ending the process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def finite(number: float | None) -> float | None:
    """Refuse `inf` and `nan`: a range lets them through."""
    if number is not None and not math.isfinite(number):
        msg = "it must be a number of seconds"
        raise typer.BadParameter(msg)
    return number


def feeds_of(loaded: Config) -> tuple[FeedConfig, ...]:
    """Return the feeds of this host; where there is none, nothing done is not everything done."""
    if not loaded.feeds:
        raise BlockedError(
            found="no feed is configured on this host",
            needed="a host to which prod is copied, and its `feeds`",
            way_out="type it there: `db-migration status` on each host says which feeds it has",
        )
    return loaded.feeds


def only_one(**given: object) -> None:
    """Refuse options that ask for different things: one of them would be done, unsaid which."""
    if sum(map(bool, given.values())) > 1:
        *names, last = (f"--{name.replace('_', '-')}" for name in given)
        msg = f"give one of {', '.join(names)} and {last}"
        raise typer.BadParameter(msg)


class Verb(TyperCommand):
    """One verb; with --json it says also as JSON what is wrong with the command line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's own
        """Read the command line."""
        as_json = "--json" in args
        with usage_reported(as_json):
            return super().parse_args(ctx, args)


@contextmanager
def usage_reported(as_json: bool) -> Iterator[None]:
    """Say in three parts what is wrong with the command line; Typer says it on stderr."""
    try:
        yield
    except TyperException as error:
        if as_json:
            said = {
                "found": error.format_message(),
                "needed": "a command line as `--help` has it",
                "way_out": "correct it and type it again",
            }
            report.print_json({"error": said})
        raise


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Turn an error into its three parts and its exit code.

    Stdout holds one JSON document at most: who found a difference has printed it already.
    """
    log.configure()
    with usage_reported(as_json), _in_three_parts(as_json):
        yield


@contextmanager
def _in_three_parts(as_json: bool) -> Iterator[None]:
    try:
        yield
    except (MigrationError, psycopg.Error) as error:
        said = error_text.of_verb(error)
        say_error(said)
        if as_json and not isinstance(error, DeadlinePassedError | DifferenceFoundError):
            report.print_json({"error": said})
        raise typer.Exit(exit_code(error)) from None


def exit_code(error: Exception) -> ExitCode:
    """Return the exit code of a verb that ends with this error."""
    return error.exit_code if isinstance(error, MigrationError) else ExitCode.UNEXPECTED


def say_error(said: dict[str, str]) -> None:
    """Print the three parts of an error for people."""
    error = MigrationError(**said)
    out = Console(stderr=True, highlight=False)
    out.print(f"error: {error}", markup=False, soft_wrap=True)
