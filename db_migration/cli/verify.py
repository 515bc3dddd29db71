"""The command `verify`."""

from __future__ import annotations

from typing import Annotated, Any

import psycopg
import typer

from db_migration import config_file
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, exit_code, reported, say_error
from db_migration.config import Config
from db_migration.context import Context, context_of
from db_migration.errors import BlockedError, DifferenceFoundError, MigrationError
from db_migration.following import marks
from db_migration.following.release_fence import RELEASED
from db_migration.journal import Journal
from db_migration.reporting.error_text import of_verb
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

    Without --exact no lock but a reader's is taken: rows that look different are read again once
    the mirror has passed the source's LSN of the first reading, and only what persists is a
    difference. Values that may be secrets are masked.

    Exit code 0: equal. 3: something differs, the verification gave up, or there is nothing to
    compare. A feed that is not live is named and left out; in snapshot mode the mirror is held
    against its snapshot, and --exact gives up.
    """
    with reported(as_json):
        loaded = config_file.load(config)
        live = epoch.live_feeds(loaded)
        failed: list[Exception] = []
        results: list[dict[str, Any]] = []
        for feed in loaded.feeds:
            if feed not in live:
                results.append({"name": feed.name, "skipped": _why_not(loaded)})
                continue
            try:
                results.append(_verified(context_of(loaded, feed), exact, rows))
            except (MigrationError, psycopg.Error) as error:
                if len(live) == 1:
                    raise
                # What the others are is said all the same: they have been hashed for it.
                failed.append(error)
                results.append({"name": feed.name, "error": of_verb(error)})
        if not live:
            raise _nothing(results)
        if as_json:
            report.print_json({"deployment": loaded.deployment, "feeds": results})
        else:
            report.print_results(results)
        _raise_for([result for result in results if result.get("differences")], failed)


def _verified(context: Context, exact: bool, rows: int) -> dict[str, Any]:
    """Compare one feed, whose journal may not have been opened by an agent yet."""
    journal = Journal(context.control, context.feed.name)
    journal.open()
    _refuse_without_copy(context, journal)
    found = verify.verify_and_record(context, journal, exact=exact, named=rows)
    return {"name": context.feed.name, **found}


def _why_not(loaded: Config) -> str:
    return f"waits: the active database is {epoch.current(loaded).database}; nothing compared"


def _nothing(results: list[dict[str, Any]]) -> BlockedError:
    skipped = "; ".join(f"{result['name']} {result['skipped']}" for result in results)
    return BlockedError(
        found=skipped or "no feed is configured on this host; nothing compared",
        needed="a feed whose source is the active database",
        way_out="type it on the host to which prod is copied: `db-migration status` on each host "
        "says which feeds it has and which is live",
    )


def _refuse_without_copy(context: Context, journal: Journal) -> None:
    """Say that there is no copy to compare, or that it is not to follow any more."""
    name, database = context.feed.name, context.feed.target.database
    with context.control.connect() as connection:
        released = RELEASED in journal.intents(connection)
        mark = marks.mirror_mark(marks.of_database(connection, database))
    if released:
        raise BlockedError(
            found=f"{name} is released: nothing is left on the source to read with",
            needed="a feed that follows",
            way_out="`db-migration prepare`, and verify once the agent has made a copy again",
        )
    if mark is None:
        raise BlockedError(
            found=f"{name} has no copy yet: `{database}` holds no complete one",
            needed="a complete copy of the source",
            way_out="let the agent make it (`db-migration run`, the container's command); "
            "`db-migration status --wait following` waits for it",
        )


NEW_COPY = "then drop the feed's subscription there, and the agent makes a new copy"
NEXT_COPY = "the next copy puts the mirror right"


def _raise_for(different: list[dict[str, Any]], failed: list[Exception]) -> None:
    for error in failed:
        say_error(of_verb(error))
    if failed and not different:
        raise typer.Exit(max(map(exit_code, failed)))
    if different:
        count = sum(len(result["differences"]) for result in different)
        kept = [result["strength"] == verify.Strength.SNAPSHOT for result in different]
        ways = [NEW_COPY] * (not all(kept)) + [NEXT_COPY] * any(kept)
        raise DifferenceFoundError(
            found=f"{count} difference(s) between source and mirror, named above",
            needed="none",
            way_out=f"find who writes to the mirror; {'; in snapshot mode '.join(ways)}",
        )
