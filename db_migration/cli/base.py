"""What all commands share: their options, and how they say what went wrong."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console

from db_migration import config as configuration
from db_migration import log, secrecy
from db_migration.errors import DeadlinePassedError, DifferenceFoundError, ExitCode, MigrationError
from db_migration.reporting import error_text
from db_migration.verification import report

ConfigPath = Annotated[Path, typer.Option("--config", help="Configuration file (JSON).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
DEFAULT = configuration.DEFAULT_PATH


def stop_by_signal() -> threading.Event:
    """Return what SIGTERM and SIGINT set from now on, instead of ending the process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def say_error(text: str) -> None:
    """Print an error for people, without secrets."""
    said = secrecy.mask(f"error: {text}")
    Console(stderr=True, highlight=False).print(said, markup=False, soft_wrap=True)


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Turn an error into its three parts and its exit code.

    Stdout holds one JSON document at most: who found a difference has printed it already.
    """
    log.configure()
    try:
        yield
    except MigrationError as error:
        if as_json and not isinstance(error, DeadlinePassedError | DifferenceFoundError):
            report.print_json({"error": error_text.error_dict(error)})
        say_error(str(error))
        raise typer.Exit(error.exit_code) from None
    except psycopg.Error as error:
        found = error_text.error_dict(error)
        if as_json:
            report.print_json({"error": found})
        say_error(found["found"])
        raise typer.Exit(ExitCode.UNEXPECTED) from None
