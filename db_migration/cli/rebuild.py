"""The command `rebuild`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from db_migration import config_file
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, finite, reported
from db_migration.cli.options import DryRun
from db_migration.rebuild import rebuild
from db_migration.verification import report


def rebuild_command(
    config: ConfigPath = DEFAULT,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    deadline: Annotated[
        float,
        typer.Option(
            min=0, callback=finite, help="Give up waiting for the mirror after so many seconds."
        ),
    ] = rebuild.FOLLOW_SECONDS,
) -> None:
    """Bring redundancy back, while prod runs: a lost mirror, a returned server, a standby.

    What prod once wrote on a returned server is kept under another name. Safe to repeat.
    """
    with reported(as_json):
        found = rebuild.rebuild(config_file.load(config), dry_run=dry_run, seconds=deadline)
        if as_json:
            report.print_json({**found.as_dict(), "dry_run": dry_run})
            return
        out = Console(markup=False, highlight=False, soft_wrap=True)
        head = "would be done" if dry_run else "done"
        out.print(f"{len(found.done)} thing(s) {head}" + ("" if found.done else ": all is there"))
        for line in found.done:
            out.print(f"  - {line}")
        for silent in found.waiting_for:
            out.print(f"  {silent} does not answer: run this again when it is back")
