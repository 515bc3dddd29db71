"""What becomes of a verb whose stdout takes nothing: it is full, or was closed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from db_migration.errors import MigrationError


class StdoutError(MigrationError):
    """Stdout takes nothing."""

    def __init__(self, error: OSError) -> None:
        """Say what the system said."""
        super().__init__(
            found=f"stdout does not take what is printed: {error.strerror}",
            needed="a stdout that is open and has room",
            way_out="see with `db-migration status` what was done; then type it again",
        )


class Watched:
    """Stdout, whose failure is one of ours. After the first one all that is printed is dropped:
    Python would try again at its end, and print a traceback.
    """

    def __init__(self, stream: TextIO) -> None:
        """Take what Python prints to."""
        self._stream = stream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a stream has
        """Be the stream in everything else."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Print."""
        with self._told():
            return self._stream.write(text)

    def flush(self) -> None:
        """Print what was kept back."""
        with self._told():
            self._stream.flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise StdoutError(error) from None


@contextmanager
def watched() -> Iterator[None]:
    """Let stdout's failures be ours; what was closed, which Python leaves as None, fails, too."""
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    stream = sys.stdout
    sys.stdout = cast("TextIO", Watched(stream))
    try:
        yield
    finally:
        sys.stdout = stream
