"""The fence around a database that prod has left: a release lifts it, and it stays lifted."""

from __future__ import annotations

from db_migration.context import Context
from db_migration.following.trace import Trace
from db_migration.journal import Journal
from db_migration.sides import compose_database, epoch

RELEASED = "released"


def traces(context: Context) -> list[Trace]:
    """List it; empty where there is none, or prod is still there: end a cut-over first."""
    config, name = context.config, context.feed.source.database
    if not config.servers or config.server(context.feed.source.name) is not None:
        return []
    if compose_database.is_open(context):
        return []
    now = epoch.current(config)
    if config.server(now.database) is None:
        return []
    what = f"database `{name}` lets nobody in: prod is on {now.database} since epoch {now.epoch}"
    return [
        Trace(what, "open it; compose stays stopped"),
        Trace(f"what is left in `{name}`", "not seen before it is open; undone and listed then"),
    ]


def lift(context: Context, journal: Journal) -> list[Trace]:
    """Lift it; noted first, or the watch puts it up again."""
    found = traces(context)[:1]
    if found:
        journal.open()
        journal.intend(RELEASED, on=True)
        compose_database.open_again(context)
    return found
