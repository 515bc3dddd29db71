"""Look at both servers and say what is there; changes nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import psycopg
from psycopg import sql

from db_migration import catalog
from db_migration.agent import causes, hindrances, observe_source, observe_working, state
from db_migration.agent.memory import Memory
from db_migration.config import Mode
from db_migration.context import Context
from db_migration.errors import MigrationError, UnreachableError
from db_migration.following import log_watch, marks, sequences, worker
from db_migration.journal import Journal
from db_migration.postgres import Connection, Endpoint, held, row
from db_migration.sides import epoch, standby
from db_migration.snapshots import look as snapshot_look
from db_migration.snapshots import plan as snapshot_plan


@dataclass
class Sight:
    """What was seen: the planner's part, and what only people need."""

    planner: state.Observed
    unreachable: list[MigrationError] = field(default_factory=list)
    lag: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    worker: bool = False
    """Whether the subscription's worker runs, and reads our slot as far as the source can say."""
    unsynced: list[str] = field(default_factory=list)
    apply_errors: int = 0
    cause: MigrationError | None = None
    """Why the subscription's worker does not run, or has failed, if that could be found out: one
    that fails at the end of a large transaction is hardly ever away.
    """
    working: dict[str, Any] | None = None
    clone_failure: Exception | None = None
    """Why the working database could not be made, until that is tried again."""
    verification: dict[str, Any] | None = None
    choice: snapshot_plan.Choice | None = None
    snapshot: dict[str, Any] | None = None
    """In snapshot mode: age, next copy, cost."""


def look(
    context: Context,
    journal: Journal,
    *,
    stalled: bool = False,
    known: state.Active | None = None,
    memory: Memory | None = None,
) -> Sight:
    """Observe the feed; a server that does not answer becomes None.

    Whether the subscription is stalled only shows over time, so the caller has to know it; and
    which epoch the target's server knew when it last answered. A feed that has to wait looks no
    further: its source may be dead for good. One that can not know whether it has to looks at the
    source alone.
    """
    memory = memory or Memory()
    sight = _who_is_active(context, journal, known)
    sight.apply_errors, first = memory.applying.counted, sight.planner
    if hindrances.not_live(first) or hindrances.paused(first):
        memory.follow(on=False)
        return sight
    seen_source, sequences_there = _source(context, memory, sight)
    if first.epoch_unknown:
        return _of_source_alone(sight, seen_source)
    try:
        with context.control.connect() as connection:
            intent = _intent(journal, connection)
            last = journal.last_verification(connection)
            seen_target = target(context, connection, sequences_there, sight, stalled=stalled)
            seen_source = log_watch.read_again(context, seen_source, seen_target)
            seen = replace(first, source=seen_source, target=seen_target)
            sight.snapshot = _copies(context, connection, seen)
    except (UnreachableError, psycopg.OperationalError) as error:
        sight.unreachable.append(_as_unreachable("target", error))
        seen_target, intent, last = None, state.Intent(), None
    sight.verification = last[0] if last else None
    seen = replace(
        first,
        source=seen_source,
        target=seen_target,
        intent=intent,
        verify_due=last is None or last[1] >= context.config.verify_every_seconds,
        copy_due=sight.snapshot is not None and not sight.snapshot["next_in_seconds"],
    )
    _remember(sight, seen, memory)
    _measure(sight, memory)
    return sight


def _remember(sight: Sight, seen: state.Observed, memory: Memory) -> None:
    """Add what only time has shown; a worker that lacks room is not helped by a copy."""
    sight.planner = replace(
        memory.with_worker(seen, sight.apply_errors, helped=sight.cause is None),
        quiet_seconds=memory.schema.quiet_seconds(time.monotonic()),
        rest_seconds=memory.copies.seconds(),
        clone_rest_seconds=memory.clones.seconds(),
    )
    sight.clone_failure = memory.clones.failure if sight.planner.clone_rest_seconds else None


def _source(
    context: Context, memory: Memory, sight: Sight
) -> tuple[state.Source | None, list[catalog.Sequence]]:
    """Look at the source, and where its sequences stand."""
    try:
        with context.owner.connect() as connection:
            seen = observe_source.source(context, connection, memory, policy(context))
            return seen, catalog.sequences(connection)
    except (UnreachableError, psycopg.OperationalError) as error:
        sight.unreachable.append(_as_unreachable("source", error))
        return None, []


def _of_source_alone(sight: Sight, source: state.Source | None) -> Sight:
    """Return what is known while the target has not told who is active."""
    sight.planner = replace(sight.planner, source=source)
    sight.choice = snapshot_plan.chosen(sight.planner)
    return sight


def _is_heard(source: state.Source | None) -> bool:
    """Tell whether our slot is read, as far as the source can be asked.

    A worker alone proves nothing: one that an address accepts and never answers waits there for
    ever, since PostgreSQL's receiver keeps to no `connect_timeout` (libpq, PQconnectStart).
    """
    return source is None or source.slot is None or source.slot.active


def _copies(
    context: Context, connection: Connection, seen: state.Observed
) -> dict[str, Any] | None:
    """Read what there is to say of copies in snapshot mode; in logical mode nobody asks for it."""
    choice = snapshot_plan.chosen(seen)
    if choice is None or choice.mode is not Mode.SNAPSHOT or seen.target is None:
        return None
    return snapshot_look.look(context.feed, connection, seen.target.mirror)


def _measure(sight: Sight, memory: Memory) -> None:
    """Have the lag measured while there is a subscription, and say what its schema lacks."""
    seen = sight.planner
    mark = seen.target.mirror.mark if seen.target is not None else None
    sight.choice = snapshot_plan.chosen(seen)
    sight.worker = sight.worker and _is_heard(seen.source)
    if seen.target is not None:
        follows = seen.target.subscription is not None and not seen.intent.released
        memory.follow(on=follows)
    sight.lag = memory.heartbeat.lag() if memory.heartbeat is not None else None
    sight.schema = {
        "change": snapshot_plan.schema_changed(mark, seen.source) if mark and seen.source else None,
        "quiet_seconds": seen.quiet_seconds if seen.quiet_seconds < inf else None,
        "waits_for": hindrances.holds_copy(seen),
        "failed_copies": memory.copies.failed,
    }


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
        epoch_unknown=bool(sight.unreachable),
        source_name=context.feed.source.name,
    )
    return sight


def _intent(journal: Journal, connection: Connection) -> state.Intent:
    noted = journal.intents(connection)
    return state.Intent(
        released="released" in noted,
        cutting_over="cutting_over" in noted,
        restarting_source="restart_source" in noted,
        prepared="prepared" in noted,
        reader_stopped="reader_stopped" in noted,
    )


def _as_unreachable(side: str, error: Exception) -> MigrationError:
    if isinstance(error, MigrationError):
        return error
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return held(side)
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
        mode=feed.mode,
        can_stop_reader=working is not None and standby.host(context, active) is not None,
        schema_quiet_seconds=context.config.schema_quiet_seconds,
    )


def target(
    context: Context,
    connection: Connection,
    source_sequences: list[catalog.Sequence],
    sight: Sight,
    *,
    stalled: bool = False,
) -> state.Target:
    """Observe the target's server from its control database."""
    written = log_watch.look(connection, "target")
    comments = marks.of_databases(connection)
    name = context.feed.target.database
    mirror = database(context.mirror, comments)
    subscription = _subscription(context, connection, sight, stalled=stalled)
    behind = False
    if subscription is not None and mirror.mark is not None:
        with context.mirror.connect() as inside:
            there = catalog.sequences(inside)
            behind = bool(sequences.behind(source_sequences, there, context.feed.sequence_margin))
            sight.unsynced = catalog.unready(inside, context.feed.slot)
    return state.Target(
        mirror=mirror,
        seed=database(context.seed, comments),
        old_mirror=state.Database(
            exists=context.old_mirror_name in comments,
            mark=marks.mirror_mark(comments.get(context.old_mirror_name)),
        ),
        subscription=subscription if name in comments else None,
        sequences_behind=behind,
        working=observe_working.working(context, connection, comments, sight),
        log=written,
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
    context: Context, connection: Connection, sight: Sight, *, stalled: bool
) -> state.Subscription | None:
    found = row(
        connection,
        sql.SQL("""
        SELECT s.subenabled, w.pid IS NOT NULL, coalesce(e.apply_error_count, 0)
        FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
        LEFT JOIN pg_stat_subscription w ON w.subid = s.oid AND {}
        LEFT JOIN pg_stat_subscription_stats e ON e.subid = s.oid
        WHERE s.subname = %s AND d.datname = %s
        """).format(worker.APPLIES),
        (context.feed.slot, context.feed.target.database),
    )
    if found is None:
        return None
    fails = found[2] > sight.apply_errors
    sight.worker, sight.apply_errors = found[1], found[2]
    if found[0] and (fails or not found[1]):
        sight.cause = causes.of_missing_worker(context, connection)
    return state.Subscription(enabled=found[0], stalled=stalled)
