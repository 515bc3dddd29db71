"""A database's subscription: whether it is there, and its end, whatever its source does."""

from __future__ import annotations

from psycopg import sql

from db_migration.following import marks, worker
from db_migration.postgres import Connection, run, value

ENABLED = """
SELECT subenabled FROM pg_subscription WHERE subname = %s AND subdbid = (
    SELECT oid FROM pg_database WHERE datname = current_database())
"""


def enabled(connection: Connection, name: str) -> bool | None:
    """Tell whether this database's subscription is enabled; None if it has none of this name."""
    found: bool | None = value(connection, ENABLED, (name,))
    return found


def drop(connection: Connection, name: str) -> None:
    """Drop it without a word to its source, which may be dead, or silent.

    A worker that is gone has applied all that it had received: nothing is written afterwards. One
    that names no slot any more can not be enabled again: it is there as before, or not at all.
    """
    change = sql.SQL("ALTER SUBSCRIPTION {} ").format(sql.Identifier(name))
    run(connection, change + sql.SQL("DISABLE"))
    worker.until_gone(connection, name)
    marks.forget_uncopied(connection, name)
    with connection.transaction():
        run(connection, change + sql.SQL("SET (slot_name = NONE)"))
        # For tables in mid-copy DROP would call the source, and wait for a silent one without end.
        run(connection, change + sql.SQL("CONNECTION 'host=/nowhere password=none'"))
        run(connection, sql.SQL("DROP SUBSCRIPTION {}").format(sql.Identifier(name)))
