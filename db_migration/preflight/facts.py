"""What the preflight reads: one query for each fact; what may not be read is None, not guessed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

import psycopg
from psycopg import sql

from db_migration import catalog, catalog_grants
from db_migration.postgres import Connection, row, value
from db_migration.preflight import columns, definitions

F = TypeVar("F")

LONG_TRANSACTION_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How far a server's clock is from this process's, in seconds, give or take `error`."""

    offset: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Locale:
    """How a database writes and sorts text."""

    encoding: str
    collate: str
    ctype: str
    provider: str = "c"
    recorded: str | None = None
    """Version of the collations that the database was made with."""
    actual: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """The source's server and database; a list holds names."""

    version: int
    clock: Clock
    locale: Locale
    in_recovery: bool | None = None
    wal_level: str | None = None
    wal_level_fixed: bool | None = None
    wal_bound: int | None = None
    """Bytes of WAL that the server lets a slot keep; -1 is no bound."""
    can_bound: bool | None = None
    slots_free: int | None = None
    slots_max: int | None = None
    senders_free: int | None = None
    senders_max: int | None = None
    bytes: int | None = None
    keyless: list[str] | None = None
    table_names: list[str] | None = None
    """Those that two tables have, without quotes."""
    unlogged: list[str] | None = None
    foreign: list[str] | None = None
    partitioned: list[str] | None = None
    generated: list[str] | None = None
    row_security: list[str] | None = None
    odd_types: list[str] | None = None
    incomparable: list[str] | None = None
    """Columns without equality, in tables that name a row by all its columns."""
    not_binary: list[str] | None = None
    key_generated: list[str] | None = None
    """Generated columns of the key that names a row."""
    superusers: list[str] | None = None
    """What a superuser alone can make."""
    definitions: list[str] | None = None
    """What they name that a target may not have."""
    search_path: list[str] | None = None
    """Expressions whose functions do not find what they name without it."""
    checks: list[str] | None = None
    event_triggers: list[str] | None = None
    replica_triggers: list[str] | None = None
    """Those that fire for what is replicated, too."""
    materialized_views: list[str] | None = None
    extensions: list[str] | None = None
    large_objects: int | None = None
    sequences: list[str] | None = None
    ending_sequences: list[str] | None = None
    long_transactions: list[str] | None = None
    prepared_transactions: list[str] | None = None
    """Name and database of each."""
    max_wal_size: int | None = None
    other_slots: Mapping[str, int] | None = None
    """Bytes of WAL that each slot but ours keeps."""
    itself: list[str] | None = None
    """What no other database has, whatever the address it is reached at."""


@dataclass(frozen=True, kw_only=True)
class TargetFacts:
    """The target's server."""

    version: int
    clock: Clock
    locale: Locale | None
    """Of the mirror; None while it is not there."""
    workers_max: int | None = None
    replication_workers_max: int | None = None
    sync_workers_max: int | None = None
    subscriptions: int | None = None
    origins_free: int | None = None
    origins_max: int | None = None
    extensions: Mapping[str, bool] | None = None
    """What can be installed, and whether it may without a superuser."""
    definitions: list[str] | None = None
    """What it has of what the source's may name."""
    bytes: int | None = None
    comments: Mapping[str, str | None] = field(default_factory=dict)
    flush_ms: float | None = None
    elsewhere: list[str] | None = None
    """Subscriptions of our name in other databases than the mirror, with the database."""
    itself: list[str] | None = None
    """Of the mirror, as of the source."""


_TABLES = f"""
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {catalog.USER_SCHEMAS} AND
"""
_TRIGGERS = f"""
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_trigger g ON g.tgrelid = c.oid WHERE {catalog.USER_SCHEMAS} AND
"""
_NAME = "n.nspname || '.' || c.relname"
# `relhassubclass` stays true when the last child is dropped.
_PARTITIONED = """
(c.relkind = 'p' OR c.relkind = 'r' AND (c.relispartition OR EXISTS (
  SELECT FROM pg_inherits h WHERE h.inhparent = c.oid)))
"""
# In numeric: between the ends of a bigint there is more than a bigint holds.
_ENDING = """
SELECT schemaname || '.' || sequencename FROM pg_sequences
WHERE NOT cycle AND 10 * %(margin)s::numeric * abs(increment_by::numeric) > CASE
  WHEN increment_by > 0 THEN max_value::numeric - coalesce(last_value, start_value)
  ELSE coalesce(last_value, start_value) - min_value::numeric END
"""
# A role that may not see other roles' sessions is shown theirs without the time: that is no answer.
_LONG = """
SELECT CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN array(
  SELECT format('pid %%s of %%s for %%s s%%s', a.pid, a.usename,
    extract(epoch FROM now() - a.xact_start)::int, ', holds ' || held.tables)
  FROM pg_stat_activity a CROSS JOIN LATERAL (
    SELECT string_agg(l.relation::regclass::text, ', ') AS tables
    FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
    JOIN pg_class c ON c.oid = l.relation AND c.relkind = 'r'
    WHERE l.pid = a.pid AND l.granted AND l.mode = 'AccessExclusiveLock') AS held
  WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
  AND (a.xact_start < now() - make_interval(secs => %(long)s) OR held.tables IS NOT NULL)) END
"""
# A server's physical copy has its number, and the databases theirs; it was started by itself.
_ITSELF = """
SELECT ARRAY[system_identifier::text, pg_postmaster_start_time()::text, oid::text]
FROM pg_control_system(), pg_database WHERE datname =
"""

SOURCE: dict[str, str] = {
    "in_recovery": "SELECT pg_is_in_recovery()",
    "wal_level": "SELECT setting FROM pg_settings WHERE name = 'wal_level'",
    "wal_level_fixed": "SELECT source = 'command line' FROM pg_settings WHERE name = 'wal_level'",
    "wal_bound": "SELECT CASE setting WHEN '-1' THEN -1 ELSE setting::bigint * 1048576 END "
    "FROM pg_settings WHERE name = 'max_slot_wal_keep_size'",
    "can_bound": "SELECT current_setting('is_superuser') = 'on' AND source <> 'command line' "
    "FROM pg_settings WHERE name = 'max_slot_wal_keep_size'",
    "slots_max": "SELECT current_setting('max_replication_slots')::int",
    "slots_free": "SELECT current_setting('max_replication_slots')::int - count(*) "
    "FROM pg_replication_slots WHERE slot_name <> %(slot)s",
    "senders_max": "SELECT current_setting('max_wal_senders')::int",
    "senders_free": "SELECT current_setting('max_wal_senders')::int - count(*) "
    "FROM pg_stat_replication WHERE application_name <> %(slot)s",
    "bytes": "SELECT pg_database_size(current_database())",
    "table_names": f"SELECT array(SELECT {_NAME} {_TABLES} c.relkind = 'r' "
    "AND c.relpersistence = 'p' GROUP BY 1 HAVING count(*) > 1)",
    "unlogged": f"SELECT array(SELECT {_NAME} {_TABLES} c.relkind = 'r' "
    "AND c.relpersistence = 'u')",
    "foreign": f"SELECT array(SELECT {_NAME} {_TABLES} c.relkind = 'f')",
    "partitioned": f"SELECT array(SELECT {_NAME} {_TABLES} {_PARTITIONED})",
    "generated": columns.GENERATED,
    "row_security": catalog_grants.PARTLY_READ,
    "odd_types": columns.ODD,
    "incomparable": columns.INCOMPARABLE,
    "not_binary": columns.NOT_BINARY,
    "key_generated": columns.KEY_GENERATED,
    "superusers": definitions.OF_SUPERUSERS,
    "definitions": definitions.NAMED,
    "checks": definitions.CHECKS,
    "event_triggers": "SELECT array(SELECT evtname::text FROM pg_event_trigger)",
    "replica_triggers": f"SELECT array(SELECT {_NAME} || '.' || g.tgname {_TRIGGERS} "
    "NOT g.tgisinternal AND g.tgenabled IN ('A', 'R'))",
    "materialized_views": f"SELECT array(SELECT {_NAME} {_TABLES} c.relkind = 'm')",
    "extensions": "SELECT array(SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql')",
    "large_objects": "SELECT count(*) FROM pg_largeobject_metadata",
    "sequences": "SELECT array(SELECT schemaname || '.' || sequencename FROM pg_sequences)",
    "ending_sequences": f"SELECT array({_ENDING})",
    "long_transactions": _LONG,
    "prepared_transactions": "SELECT array(SELECT format('%%L in %%I', gid, database) "
    "FROM pg_prepared_xacts)",
    "max_wal_size": "SELECT pg_size_bytes(current_setting('max_wal_size'))",
    "other_slots": catalog.OTHER_SLOTS,
    "itself": f"{_ITSELF} current_database()",
}

TARGET: dict[str, str] = {
    "workers_max": "SELECT current_setting('max_worker_processes')::int",
    "replication_workers_max": "SELECT current_setting('max_logical_replication_workers')::int",
    "sync_workers_max": "SELECT current_setting('max_sync_workers_per_subscription')::int",
    "subscriptions": "SELECT count(*) FROM pg_subscription WHERE subname <> %(slot)s",
    "origins_max": "SELECT coalesce(current_setting('max_active_replication_origins', true), "
    "current_setting('max_replication_slots'))::int",
    "origins_free": "SELECT coalesce(current_setting('max_active_replication_origins', true), "
    "current_setting('max_replication_slots'))::int - count(*) FROM pg_subscription "
    "WHERE subname <> %(slot)s",
    "extensions": "SELECT coalesce(jsonb_object_agg(name, ok), '{}') FROM (SELECT name::text, "
    "bool_or(trusted) AS ok FROM pg_available_extension_versions GROUP BY name) AS found",
    "definitions": definitions.KNOWN,
    "bytes": "SELECT sum(pg_database_size(datname))::bigint FROM pg_database "
    "WHERE datname = %(mirror)s",
    "comments": "SELECT jsonb_object_agg(datname, shobj_description(oid, 'pg_database')) "
    "FROM pg_database",
    "elsewhere": "SELECT array(SELECT format('%%I in %%I', s.subname, d.datname) "
    "FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE s.subname = %(slot)s "
    "AND d.datname <> %(mirror)s)",
    "itself": f"{_ITSELF} %(mirror)s",
}


def careful(connection: Connection, query: str, args: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401
    """Return one value, None where this server does not give it: this role may not read it, it is
    not known there, a table is locked. One question without an answer leaves the others theirs.
    """
    try:
        found = connection.execute(sql.SQL(cast("Any", query)), args or {}).fetchone()
    except UnicodeDecodeError:  # a database in SQL_ASCII sends whatever bytes it was given
        return None
    except psycopg.Error:
        if connection.closed:
            raise
        return None
    return found[0] if found else None


def gathered(
    connection: Connection, queries: Mapping[str, str], args: Mapping[str, object]
) -> dict[str, Any]:
    """Read every fact of a list."""
    return {name: careful(connection, query, args) for name, query in queries.items()}


def only_known(kind: type[F], found: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what `kind` has a field for and what could be read."""
    names = {item.name for item in fields(cast("Any", kind))}
    return {key: item for key, item in found.items() if key in names and item is not None}


def clock(connection: Connection, asked: int = 3) -> Clock:
    """Compare a server's clock with ours; the quickest of a few answers is the truest."""
    best: Clock | None = None
    for _ in range(asked):
        before = time.time()
        there = float(value(connection, "SELECT extract(epoch FROM clock_timestamp())::float8"))
        error = (time.time() - before) / 2
        if best is None or error < best.error:
            best = Clock(offset=there - before - error, error=error)
    assert best is not None  # noqa: S101 - `asked` is at least 1
    return best


def locale(connection: Connection) -> Locale:
    """Read how the connection's database writes and sorts text."""
    query = "SELECT pg_encoding_to_char(encoding), datcollate::text, datctype::text {} "
    since_15 = ", datlocprovider::text, datcollversion, pg_database_collation_actual_version(oid)"
    more = since_15 if connection.info.server_version >= 150000 else ""
    found = row(
        connection,
        sql.SQL(query + "FROM pg_database WHERE datname = current_database()").format(
            sql.SQL(more)
        ),
    )
    return Locale(**dict(zip((item.name for item in fields(Locale)), found or (), strict=False)))
