"""Before a living database is left: its mirror has all of it, rows and definitions."""

from __future__ import annotations

from db_migration import catalog
from db_migration.agent import copies
from db_migration.agent.state import Source
from db_migration.config import ServerConfig, slot_name
from db_migration.errors import BlockedError, DeadlinePassedError
from db_migration.failover.steps import Task
from db_migration.following import marks, schema_watch
from db_migration.postgres import until, value
from db_migration.sides import servers


def catch_up(task: Task) -> None:
    """Wait until the mirror has confirmed all that the live database holds; nobody writes there.
    Raise BlockedError where that does not make it the same.

    A mirror without its subscription was let go of by an earlier life, which had waited.
    """
    live = task.config.server(task.plan.now.database)
    if live is None:
        raise AssertionError(task.plan)
    seconds, slot = task.config.catch_up_seconds, slot_name(task.server.name)
    with servers.control(task.server).connect() as connection:
        if not catalog.follows(connection, slot):
            return
    behind = (
        "SELECT confirmed_flush_lsn < %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
    )
    with servers.control(live).connect() as connection:
        end = value(connection, "SELECT pg_current_wal_lsn()::text")
        if not until(lambda: value(connection, behind, (end, slot)) is False, seconds, every=0.005):
            raise DeadlinePassedError(
                found=f"{task.server.name} has not applied everything after {seconds:g} s",
                needed="a mirror that follows",
                way_out=f"look at `db-migration status` there, then repeat; or {_back(task)}",
            )
    _refuse_changed(task, live)


def _refuse_changed(task: Task, live: ServerConfig) -> None:
    """Raise BlockedError where the live database has definitions that the mirror was not made from.

    They come in no stream of changes, and no agent has looked since the last one was kept still.
    """
    with servers.at(live, live.database).connect() as connection:
        now = schema_watch.read(connection)
    with servers.control(task.server).connect() as connection:
        mark = marks.mirror_mark(marks.of_database(connection, task.server.mirror))
    if mark is None:
        return
    source = Source("logical", "logical", publication=True, tables=now.tables, types=now.types)
    late = ", ".join(sorted(now.tables.keys() - mark.tables.keys()))
    if changed := copies.changed(mark, source) or (f"{late}: new on the source" if late else ""):
        raise BlockedError(
            found=f"the mirror on {task.server.name} is not what {live.name} is by now: {changed}",
            needed="a mirror that was made from what is there now",
            way_out=f"{_back(task)}, and its agent mends the mirror; then the same again",
        )


def _back(task: Task) -> str:
    return f"take it back: `db-migration failover` starts {task.plan.now.airbyte} again"
