"""`rehearse`: the command, and the rehearsals that an agent holds by the clock."""

from __future__ import annotations

import threading
from typing import Annotated, Any

import psycopg
import structlog
import typer
from rich.console import Console

from db_migration import config_file
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, only_one, reported
from db_migration.config import Config
from db_migration.errors import DifferenceFoundError, MigrationError
from db_migration.rehearsal import history as rehearse_history
from db_migration.rehearsal import rehearse
from db_migration.rehearsal.plan import Step
from db_migration.verification import report

LOOK_SECONDS = 30.0
log = structlog.get_logger()


def rehearse_command(
    config: ConfigPath = DEFAULT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say whether it could be held, and its steps.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Only show the last rehearsals.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try the failover on a throw-away clone: install the replica on it, check it, remove it.

    Prod and the mirror go on; the standby is away for as long as abctl takes. Exit code 3: the
    replica could not take over, or a rehearsal must not be held now.
    """
    with reported(as_json):
        only_one(dry_run=dry_run, history=history)
        loaded = config_file.load(config)
        found: dict[str, Any]
        if history:
            found = {"rehearsals": rehearse_history.history(loaded)}
        elif dry_run:
            found = _foreseen(loaded)
        else:
            found = rehearse.of(loaded).run().as_dict()
        _print(found, as_json)
        if found.get("ok") is False:
            raise DifferenceFoundError(
                found="the replica could not take over as it is: see above",
                needed="a rehearsal whose every check holds",
                way_out="mend what failed, then repeat; everything is as it was before",
            )


def _foreseen(loaded: Config) -> dict[str, Any]:
    why = rehearse.of(loaded).look()
    return {"ready": not why, "why_not": why, "steps": [str(step) for step in Step]}


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        report.print_json(found)
        return
    out = Console(markup=False, highlight=False, soft_wrap=True)
    for number, step in enumerate(found.get("steps", ()), start=1):
        out.print(f"{number}. {step}")
    for line in found.get("why_not", ()):
        out.print(f"not now: {line}")
    for one in found.get("rehearsals", (found,) if "checks" in found else ()):
        _print_one(out, one)


def _print_one(out: Console, one: dict[str, Any]) -> None:
    lines = [
        ["ok" if check["ok"] else "FAILED", check["name"], check["found"], check["needed"]]
        for check in one["checks"]
    ]
    title = f"{one['airbyte']} on a clone, {one['server']}, {one['at']}"
    report.print_table(title, ["", "check", "found", "needed"], lines)
    phases = ", ".join(f"{name} {taken:.1f}" for name, taken in one["seconds"].items())
    out.print(f"seconds: {phases}")
    if one["failed"]:
        out.print(f"ended early: {one['failed']}")
    else:
        out.print(
            f"a failover would have taken {one['rto_seconds']:.1f} s, and its connections at most "
            f"{one['touch_seconds_at_most']:.0f} s more to be touched"
        )


def by_the_clock(loaded: Config, stop: threading.Event) -> None:
    """Remove what a rehearsal that died has left, and hold one when it is due, until `stop`."""
    while not stop.wait(LOOK_SECONDS):
        try:
            found = rehearse.of(loaded)
            found.clear()
            every = loaded.rehearse_every_seconds
            if every is not None and found.due(every):
                log.info("rehearsed", **found.run().as_dict())
        except (MigrationError, psycopg.Error) as error:
            log.debug("no rehearsal now", error=type(error).__name__)
