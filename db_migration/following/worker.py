"""The process on the target that applies a subscription's changes: waited for, and ended."""

from __future__ import annotations

from psycopg import sql

from db_migration.errors import BlockedError
from db_migration.postgres import Connection, row, run, until

PATIENCE_SECONDS = 2
DEADLINE_SECONDS = 20

APPLIES = sql.SQL("w.relid IS NULL AND w.leader_pid IS NULL")
"""Of a row of `pg_stat_subscription w`: whether it is the worker that applies, neither one that
copies a table nor a helper of it. Such a row without a `pid` says that there is none.
"""
WORKS = sql.SQL("""
SELECT FROM pg_stat_subscription w JOIN pg_stat_activity a USING (pid)
WHERE w.subname = %s AND {} AND a.backend_start < clock_timestamp() - interval '1 s'
""").format(APPLIES)
"""Of the worker that applies. One that fails at once is there for a moment at each new try."""


def works(connection: Connection, subscription: str) -> bool:
    """Tell whether the worker has run for a second, whatever it hears from its source."""
    return row(connection, WORKS, (subscription,)) is not None


def end(connection: Connection, subscription: str) -> None:
    """End the worker; an enabled subscription gets another one."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_subscription WHERE subname = %s"
    run(connection, query, (subscription,))


def until_heard(connection: Connection, subscription: str) -> None:
    """Wait until the worker has had a message from its source, or for as long as it may take."""
    hears = sql.SQL(
        "SELECT FROM pg_stat_subscription w WHERE subname = %s AND {} AND received_lsn IS NOT NULL"
    ).format(APPLIES)
    until(lambda: row(connection, hears, (subscription,)) is not None, DEADLINE_SECONDS)


def until_gone(connection: Connection, subscription: str) -> None:
    """Wait for a disabled subscription's worker to end.

    One that waits for a source that is silent, or dead in the middle of a transaction, is ended.
    """
    works = "SELECT pid FROM pg_stat_subscription WHERE subname = %s AND pid IS NOT NULL"
    if until(lambda: row(connection, works, (subscription,)) is None, PATIENCE_SECONDS):
        return
    end(connection, subscription)
    if not until(lambda: row(connection, works, (subscription,)) is None, DEADLINE_SECONDS):
        raise BlockedError(
            found=f"a worker still runs {DEADLINE_SECONDS} s after DISABLE",
            needed="a mirror that nobody writes to",
            way_out="end its process (pg_stat_subscription on the server), then repeat",
        )
