"""The command `verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from db_migration import config as configuration
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, reported
from db_migration.context import context_of
from db_migration.errors import DifferenceFoundError
from db_migration.journal import Journal
from db_migration.sides import epoch
from db_migration.verification import report, verify


def verify_command(
    config: ConfigPath = DEFAULT,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Compare both sides at one LSN. Prod's writers wait for it, less than 50 ms; "
            "where that can not be, it gives up.",
        ),
    ] = False,
    rows: Annotated[
        int, typer.Option(min=0, help="Name at most so many differing rows of a table.")
    ] = verify.NAMED_ROWS,
    as_json: AsJson = False,
) -> None:
    """Compare source and mirror now: definitions, rights, sequences, every value of every row.

    Without --exact no lock is taken: rows that look different are read again once the mirror has
    passed the source's LSN of the first reading, and only what persists is a difference. Values
    that may be secrets are masked.

    Exit code 0: equal. 3: something differs, or --exact gave up.
    """
    with reported(as_json):
        loaded = configuration.load(config)
        results = []
        for feed in epoch.live_feeds(loaded):
            context = context_of(loaded, feed)
            journal = Journal(context.control, feed.name)
            found = verify.verify_and_record(context, journal, exact=exact, named=rows)
            results.append({"name": feed.name, **found})
        if as_json:
            report.print_json({"deployment": loaded.deployment, "feeds": results})
        else:
            report.print_results(results)
        _raise_for(sum(len(result["differences"]) for result in results))


def _raise_for(count: int) -> None:
    if count:
        raise DifferenceFoundError(
            found=f"{count} difference(s) between source and mirror, named above",
            needed="none",
            way_out="find who writes to the mirror; then drop the feed's subscription there, "
            "and the agent makes a new copy",
        )
