"""Why a subscription's worker does not run, where its server tells the log alone."""

from __future__ import annotations

import psycopg

from db_migration.context import Context
from db_migration.errors import BlockedError, MigrationError
from db_migration.postgres import Connection, run, value


def of_missing_worker(context: Context, connection: Connection) -> MigrationError | None:
    """Find out what keeps the worker from running; None if that is none of these."""
    return _no_room(context, connection) or _no_time(context)


def _no_room(context: Context, connection: Connection) -> MigrationError | None:
    """Try whether the target's disk takes a few megabytes."""
    try:
        with connection.transaction():
            run(connection, "SET LOCAL work_mem = '64kB'")
            value(connection, "SELECT count(*) FROM generate_series(1, 200000)")
    except psycopg.errors.DiskFull as error:
        return context.mirror.no_room(error)
    return None


def _no_time(context: Context) -> MigrationError | None:
    """Look whether the server ends every transaction after a time, a worker's among them (17)."""
    query = "SELECT nullif(reset_val, '0') FROM pg_settings WHERE name = 'transaction_timeout'"
    with context.mirror.connect() as connection:
        limit = value(connection, query)
    if limit is None:
        return None
    return BlockedError(
        found="the subscription's worker does not run, and the target's server ends every "
        f"transaction after {limit} ms (`transaction_timeout`), its worker's, too",
        needed="no such limit for the feed's role",
        way_out=f"ALTER ROLE {context.mirror.login.user} SET transaction_timeout = 0, on the "
        "target; the worker comes back by itself",
    )
