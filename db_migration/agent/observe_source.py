"""Look at the source as the owner of its tables; changes nothing."""

from __future__ import annotations

import time

from db_migration import catalog, catalog_grants
from db_migration.agent import state
from db_migration.agent.memory import Memory
from db_migration.config import Mode
from db_migration.context import Context
from db_migration.errors import UnreachableError
from db_migration.following import log_watch, publication, settings, slots
from db_migration.postgres import Connection, value
from db_migration.snapshots import plan as snapshot_plan

ROLE_EXISTS = "SELECT true FROM pg_roles WHERE rolname = %s"


def source(
    context: Context, connection: Connection, memory: Memory, allowed: state.Policy
) -> state.Source:
    """Observe the source, as the owner of its tables."""
    reader = context.reader.login.user
    written = log_watch.look(connection, "source")
    log = settings.look(connection, settings.WAL_LEVEL)
    ready = role_ready(context, connection, log.running, allowed)
    schema = memory.schema.look(connection, time.monotonic())
    faults = publication.faults(connection)
    return state.Source(
        wal_level=log.running,
        wal_level_configured=log.configured,
        wal_level_fixed=log.fixed,
        role_ready=ready,
        partly_read=tuple(catalog_grants.partly_read(connection, reader)),
        role_exists=ready or bool(value(connection, ROLE_EXISTS, (reader,))),
        wal_bounded=catalog.wal_bounded(connection),
        publication=faults is not None,
        publication_faults=tuple(faults or ()),
        tables=schema.tables,
        types=schema.types,
        slot=slots.look(connection, context.feed.slot),
        log=written,
        noted=log_watch.noted(connection, context.feed.slot),
    )


def role_ready(
    context: Context, connection: Connection, wal_level: str, allowed: state.Policy
) -> bool:
    """Tell whether the feed's role exists, enters, reads every table, and replicates if it has
    to.
    """
    if not complete(context, connection, snapshot_plan.choose(allowed, wal_level).mode):
        return False
    try:
        with context.reader.connect():
            return True
    except UnreachableError:
        return False


def complete(context: Context, connection: Connection, mode: Mode) -> bool:
    """Tell whether the feed's role has every right that it needs; not whether it gets in."""
    found = value(
        connection,
        """
        SELECT r.rolcanlogin AND (r.rolreplication OR r.rolsuper OR %s)
            AND has_database_privilege(r.oid, current_database(), 'CONNECT') AND NOT EXISTS (
            SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'S') AND c.relpersistence = 'p'
              AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
              AND NOT (has_schema_privilege(r.oid, n.oid, 'USAGE') AND CASE c.relkind
                  WHEN 'r' THEN has_table_privilege(r.oid, c.oid, 'SELECT')
                  ELSE has_sequence_privilege(r.oid, c.oid, 'SELECT') END))
        FROM pg_roles r WHERE r.rolname = %s
        """,
        (mode is not Mode.LOGICAL, context.reader.login.user),
    )
    return bool(found)
