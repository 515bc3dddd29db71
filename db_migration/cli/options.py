"""Options that several verbs have which change the active side."""

from __future__ import annotations

from typing import Annotated

import typer

from db_migration.cli.base import finite
from db_migration.config import Config, DrainPolicy

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done, and on which evidence.")
]
Drain = Annotated[
    DrainPolicy | None,
    typer.Option(help="What to do about syncs that still run after the time to drain."),
]
DrainSeconds = Annotated[
    float | None,
    typer.Option(min=1, callback=finite, help="How long running syncs may take to end."),
]


def with_drain(loaded: Config, policy: DrainPolicy | None, seconds: float | None) -> Config:
    """Put what was typed about draining in the place of what is configured."""
    given = {"drain": policy, "drain_seconds": seconds}
    change = {key: asked for key, asked in given.items() if asked is not None}
    if loaded.cutover is None or not change:
        return loaded
    return loaded.model_copy(update={"cutover": loaded.cutover.model_copy(update=change)})
