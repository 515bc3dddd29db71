"""Look at both servers and say what is there; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from db_migration import (
    catalog,
    epoch,
    marks,
    observe_working,
    plan,
    sequences,
    standby,
    state,
)
from db_migration.config import PUBLICATION, Mode
from db_migration.context import Context
from db_migration.errors import MigrationError, UnreachableError
from db_migration.journal import Journal
from db_migration.postgres import Connection, Endpoint, row, rows, value


@dataclass
class Sight:
    """What was seen: the planner's part, and what only people need."""

    planner: state.Observed
    unreachable: list[MigrationError] = field(default_factory=list)
    lag: dict[str, float] | None = None
    worker: bool = False
    unsynced: list[str] = field(default_factory=list)
    apply_errors: int = 0
    working: dict[str, Any] | None = None
    verification: dict[str, Any] | None = None


def look(
    context: Context,
    journal: Journal,
    *,
    stalled: bool = False,
    known: state.Active | None = None,
) -> Sight:
    """Observe the feed; a server that does not answer becomes None.

    Whether the subscription is stalled only shows over time, so the caller has to know it; and
    which epoch the target's server knew when it last answered. A feed that has to wait looks no
    further: its source may be dead for good.
    """
    feed = context.feed
    sight = _who_is_active(context, journal, known)
    first = sight.planner
    if sight.unreachable and first.active is None and context.config.servers:
        return sight
    if plan.not_live(first) or plan.paused(first):
        return sight
    sequences_there: list[catalog.Sequence] = []
    try:
        with context.owner.connect() as connection:
            seen_source = source(context, connection)
            sight.lag = lag(connection, feed.slot)
            sequences_there = catalog.sequences(connection)
    except (UnreachableError, psycopg.OperationalError) as error:
        seen_source = None
        sight.unreachable.append(_as_unreachable("source", error))
    try:
        with context.control.connect() as connection:
            intent = _intent(journal, connection)
            last = journal.last_verification(connection)
            seen_target = target(context, connection, sequences_there, sight)
            if seen_target.subscription is not None and stalled:
                without = replace(seen_target.subscription, stalled=True)
                seen_target = replace(seen_target, subscription=without)
    except (UnreachableError, psycopg.OperationalError) as error:
        sight.unreachable.append(_as_unreachable("target", error))
        seen_target, intent, last = None, state.Intent(), None
    sight.verification = last[0] if last else None
    due = last is None or last[1] >= context.config.verify_every_seconds
    sight.planner = replace(
        first, source=seen_source, target=seen_target, intent=intent, verify_due=due
    )
    return sight


def _who_is_active(context: Context, journal: Journal, known: state.Active | None) -> Sight:
    """Ask the target's own server for the epoch, and for what keeps the feed still."""
    sight = Sight(state.Observed(None, None, policy(context, known), active=known))
    intent = state.Intent()
    if context.config.servers:
        try:
            with context.control.connect() as connection:
                now = epoch.here(context.config, connection)
                known = state.Active(now.epoch, now.database, now.airbyte)
                intent = _intent(journal, connection)
        except (UnreachableError, psycopg.OperationalError) as error:
            sight.unreachable += [_as_unreachable("target", error)] if known is None else []
    sight.planner = replace(
        sight.planner,
        policy=policy(context, known),
        intent=intent,
        active=known,
        source_name=context.feed.source.name,
    )
    return sight


def _intent(journal: Journal, connection: Connection) -> state.Intent:
    noted = journal.intents(connection)
    return state.Intent(
        released="released" in noted,
        cutting_over="cutting_over" in noted,
        restarting_source="restart_source" in noted,
        reader_stopped="reader_stopped" in noted,
    )


def _as_unreachable(side: str, error: Exception) -> MigrationError:
    if isinstance(error, MigrationError):
        return error
    return UnreachableError(
        found=f"the {side} broke the connection ({type(error).__name__})",
        needed=f"a {side} that answers",
        way_out="look at the server and at the tunnel; this is tried again by itself",
    )


def policy(context: Context, active: state.Active | None = None) -> state.Policy:
    """Return what the configuration allows, as the planner reads it."""
    feed, working = context.feed, context.feed.working_database
    return state.Policy(
        allow_source_restart=feed.allow_source_restart and context.source_host is not None,
        max_retained_bytes=feed.max_retained_wal_bytes,
        snapshot_only=feed.mode is Mode.SNAPSHOT,
        can_stop_reader=working is not None and standby.host(context, active) is not None,
    )


def source(context: Context, connection: Connection) -> state.Source:
    """Observe the source, as the owner of its tables."""
    wal_level, fixed = rows(
        connection,
        "SELECT setting, source = 'command line' FROM pg_settings WHERE name = 'wal_level'",
    )[0]
    # The file of a server of ours is not for us to read, and its `wal_level` is set from the start.
    configured = wal_level == "logical" or value(
        connection,
        "SELECT setting FROM pg_file_settings WHERE name = 'wal_level' ORDER BY seqno DESC LIMIT 1",
    )
    publication = value(
        connection, "SELECT true FROM pg_publication WHERE pubname = %s", (PUBLICATION,)
    )
    lines = catalog.definitions(connection)
    found = catalog.tables(connection, PUBLICATION)
    return state.Source(
        wal_level=wal_level,
        wal_level_configured=configured if isinstance(configured, str) else wal_level,
        wal_level_fixed=fixed,
        role_ready=role_ready(context, connection),
        wal_bounded=catalog.wal_bounded(connection),
        publication=bool(publication),
        tables={
            table.full_name: state.SourceTable(
                catalog.fingerprint(lines.get(table.full_name, [])),
                table.has_identity,
                table.published,
            )
            for table in found
        },
        types=catalog.fingerprint(catalog.types(connection)),
        slot=slot(connection, context.feed.slot),
    )


def role_ready(context: Context, connection: Connection) -> bool:
    """Tell whether the feed's role exists, enters, replicates and reads every table."""
    complete = value(
        connection,
        """
        SELECT r.rolcanlogin AND (r.rolreplication OR r.rolsuper) AND NOT EXISTS (
            SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'S') AND c.relpersistence = 'p'
              AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
              AND NOT CASE c.relkind WHEN 'r' THEN has_table_privilege(r.oid, c.oid, 'SELECT')
                      ELSE has_sequence_privilege(r.oid, c.oid, 'SELECT') END)
        FROM pg_roles r WHERE r.rolname = %s
        """,
        (context.reader.login.user,),
    )
    if not complete:
        return False
    try:
        with context.reader.connect():
            return True
    except UnreachableError:
        return False


def slot(connection: Connection, name: str) -> state.Slot | None:
    """Observe our slot."""
    found = row(
        connection,
        """
        SELECT confirmed_flush_lsn::text, coalesce(wal_status = 'lost', false) OR restart_lsn IS
        NULL,
               coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
        FROM pg_replication_slots WHERE slot_name = %s
        """,
        (name,),
    )
    return state.Slot(found[0] or "", found[1], found[2]) if found else None


def lag(connection: Connection, name: str) -> dict[str, float] | None:
    """Say how far the subscriber is behind."""
    found = row(
        connection,
        """
        SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn)::float8,
               coalesce(extract(epoch FROM r.replay_lag), 0)::float8
        FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid
        WHERE s.slot_name = %s
        """,
        (name,),
    )
    return {"bytes": found[0], "seconds": found[1]} if found else None


def target(
    context: Context, connection: Connection, source_sequences: list[catalog.Sequence], sight: Sight
) -> state.Target:
    """Observe the target's server from its control database."""
    comments = marks.of_databases(connection)
    name = context.feed.target.database
    mirror = database(context.mirror, comments)
    subscription = _subscription(context, connection, sight)
    behind = False
    if subscription is not None and mirror.mark is not None:
        with context.mirror.connect() as inside:
            there = catalog.sequences(inside)
            behind = bool(sequences.behind(source_sequences, there, context.feed.sequence_margin))
            sight.unsynced = _unsynced(inside, context.feed.slot)
    return state.Target(
        mirror=mirror,
        seed=database(context.seed, comments),
        old_mirror=state.Database(exists=context.old_mirror_name in comments),
        subscription=subscription if name in comments else None,
        sequences_behind=behind,
        working=observe_working.working(context, connection, comments, sight),
    )


def database(endpoint: Endpoint, comments: dict[str, str | None]) -> state.Database:
    """Observe one database; looks inside only when it has no mark."""
    if endpoint.database not in comments:
        return state.Database()
    mark = marks.mirror_mark(comments[endpoint.database])
    return state.Database(
        exists=True, mark=mark, empty=mark is None and observe_working.is_empty(endpoint)
    )


def _subscription(
    context: Context, connection: Connection, sight: Sight
) -> state.Subscription | None:
    found = row(
        connection,
        """
        SELECT s.subenabled, w.pid IS NOT NULL, coalesce(e.apply_error_count, 0)
        FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
        LEFT JOIN pg_stat_subscription w ON w.subid = s.oid AND w.worker_type = 'apply'
        LEFT JOIN pg_stat_subscription_stats e ON e.subid = s.oid
        WHERE s.subname = %s AND d.datname = %s
        """,
        (context.feed.slot, context.feed.target.database),
    )
    if found is None:
        return None
    sight.worker, sight.apply_errors = found[1], found[2]
    return state.Subscription(enabled=found[0])


def _unsynced(connection: Connection, name: str) -> list[str]:
    found = rows(
        connection,
        "SELECT r.srrelid::regclass::text FROM pg_subscription_rel r "
        "JOIN pg_subscription s ON s.oid = r.srsubid WHERE s.subname = %s AND r.srsubstate <> 'r'",
        (name,),
    )
    return [table for (table,) in found]
