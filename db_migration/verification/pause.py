"""Snapshots of both sides at one LSN, for which the source's writers wait a few milliseconds.

All tables are locked (SHARE: nobody writes, everybody reads), the source's snapshot is taken, the
mirror is waited for and its snapshot taken, and the lock is let go; rows are compared after that.

Why prod can not be harmed: the whole attempt has PAUSE_MS; the server itself ends it if we stand
still (`statement_timeout`, `idle_in_transaction_session_timeout`). Our request never waits half as
long as `deadlock_timeout`, so in a circle of locks it is always we who step back. Behind a
transaction that is already long we do not wait at all, for prod's writers would queue behind us.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from time import monotonic

import psycopg
from psycopg import sql

from db_migration import catalog
from db_migration.catalog import Table
from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.postgres import Connection, row, run, until, value
from db_migration.verification import settle as verify_settle
from db_migration.verification.rows import Sides

PAUSE_MS = 50
LIMIT_MS = 45
"""When the server ends an attempt: earlier than what is promised, for its answer takes time."""

FOR_SNAPSHOTS = 0.75
"""The part of this after which we let go ourselves: an attempt that ended late is the last one."""
LOCKING_MS = 20
WAITS_MS = (0, 0, 0, 2, 5, 10, 0, 10, 15, 15)
"""How long each attempt waits for a table at most; 0 is NOWAIT."""
BETWEEN_SECONDS = 0.1
LONG_TRANSACTION_SECONDS = 0.1
POLL_SECONDS = 0.0005
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot()"

LOCK = """
BEGIN; LOCK TABLE {} IN SHARE MODE{}; SELECT set_config('idle_in_transaction_session_timeout',
greatest(1, {} - 1000 * extract(epoch FROM clock_timestamp() - now()))::int::text, true)
"""

RELEASE = "SELECT 1000 * extract(epoch FROM clock_timestamp() - now())::float8; ROLLBACK"
"""The milliseconds since the locks were asked for, by the server's own clock."""

HOLDER = """
SELECT a.pid, a.usename, c.relname, extract(epoch FROM clock_timestamp() - a.xact_start)::float8
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_class c ON c.oid = l.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock',
                 'ExclusiveLock', 'AccessExclusiveLock')
  AND n.nspname || '.' || c.relname = ANY(%s) AND a.pid <> pg_backend_pid()
  AND a.xact_start < clock_timestamp() - %s * interval '1 second'
ORDER BY a.xact_start LIMIT 1
"""


@dataclass(frozen=True)
class Pause:
    """What an exact verification cost prod.

    `held_ms`: how long all tables were locked. `worst_wait_ms`: no writer can have waited longer,
    from our first request for a lock to the release, over all attempts.
    """

    lsn: str
    held_ms: float
    worst_wait_ms: float
    attempts: int


class _BusyError(Exception):
    """This attempt was given up, and why."""


@dataclass
class _Attempts:
    """Ready connections, and the longest that any attempt can have kept a writer waiting."""

    sides: Sides
    holder: Connection
    """Of the source's snapshot: it reads no table, for a lock would last as long as the snapshot.
    """
    marker: Connection
    owner: Connection
    tables: list[Table]
    pool: ThreadPoolExecutor
    snapshot: str = ""
    worst_ms: float = 0.0


@contextmanager
def same_lsn(context: Context, tables: list[Table]) -> Iterator[tuple[Sides, Pause]]:
    """Yield both sides, which show the same LSN; nothing is locked any more.

    Raises BlockedError when no attempt was short enough, or when the mirror does not follow.
    """
    with (
        context.reader.connect() as source,
        context.reader.connect() as holder,
        context.reader.connect() as marker,
        context.mirror.connect() as mirror,
        context.owner.connect() as owner,
        ThreadPoolExecutor(2) as pool,
    ):
        sides = Sides(context, source, mirror)
        sides.pin()
        run(marker, "SET synchronous_commit = 'local'")
        _refuse_unready(sides)
        ready = _Attempts(sides, holder, marker, owner, tables, pool)
        pause = _pause(ready)
        yield replace(sides, snapshot=ready.snapshot), pause


def _refuse_unready(sides: Sides) -> None:
    """Raise BlockedError for a table that the subscription is still copying."""
    if unready := catalog.unready(sides.mirror, sides.context.feed.slot):
        raise BlockedError(
            found=f"{len(unready)} table(s) of the mirror are still being copied",
            needed="a mirror that follows in all its tables",
            way_out="wait until `db-migration status` says `following`, then repeat",
        )


def _pause(ready: _Attempts) -> Pause:
    """Try until an attempt is short enough."""
    reason = ""
    for number, wait in enumerate(WAITS_MS, 1):
        ready.sides.context.breathe()
        _catch_up(ready)
        try:
            lsn, held = _attempt(ready, wait)
            _refuse_long(ready)
            return Pause(lsn, round(held, 1), round(ready.worst_ms, 1), number)
        except _BusyError as busy:
            reason = str(busy)
            for connection in (ready.holder, ready.sides.mirror):
                run(connection, "ROLLBACK")
            _refuse_long(ready, reason)
        ready.sides.context.stop.wait(BETWEEN_SECONDS * number)
    raise BlockedError(
        found=f"no moment of {PAUSE_MS} ms in {len(WAITS_MS)} attempts: {reason}",
        needed="a moment in which all tables can be locked at once without making prod wait",
        way_out="repeat when the source is quieter or that transaction has ended; `verify` without "
        "`--exact` takes a reader's locks only",
    )


def _refuse_long(ready: _Attempts, reason: str = "") -> None:
    """Give up after an attempt that took longer than is promised: the next one might, too."""
    if ready.worst_ms >= PAUSE_MS:
        raise BlockedError(
            found=f"prod's writers may have waited for {ready.worst_ms:.0f} ms"
            + (f": {reason}" if reason else ""),
            needed=f"attempts of less than {PAUSE_MS} ms",
            way_out="repeat when this host and the source's are quieter; `verify` without "
            "`--exact` takes a reader's locks only",
        )


def _catch_up(ready: _Attempts) -> None:
    """Wait, without a lock, until the mirror is so near that an attempt can succeed."""
    lsn = verify_settle.mark(ready.marker)

    def caught_up() -> bool:
        return verify_settle.passed(ready.sides, lsn)

    verify_settle.await_mirror(ready.sides, caught_up, lsn, POLL_SECONDS)


def _attempt(ready: _Attempts, wait_ms: int) -> tuple[str, float]:
    """Lock, take both snapshots, let go; return the LSN and how many ms all tables were locked."""
    wait_ms = _bounded(ready, wait_ms)
    with ready.sides.context.owner.connect() as lock:
        _limit(lock, wait_ms)
        begun, waited = monotonic(), None
        try:
            _lock(lock, ready.tables, wait_ms)
            granted = monotonic()
            lsn = _snapshots(ready, begun + LIMIT_MS * FOR_SNAPSHOTS / 1000)
            waited = float(value(lock, RELEASE))  # proves that the lock was held until here
            return lsn, min(waited, (monotonic() - granted) * 1000)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
            pass
        except (psycopg.OperationalError, psycopg.InternalError):
            reason = f"the snapshots were not taken within {PAUSE_MS} ms, and the server let go"
            raise _BusyError(reason) from None
        finally:
            if waited is None:
                waited = _let_go(lock, begun)
            ready.worst_ms = max(ready.worst_ms, waited)
    raise _BusyError(_holder(ready, 0) or "tables are written to all the time")


def _let_go(lock: Connection, begun: float) -> float:
    """End an attempt that failed; return the milliseconds until the server had let go.

    By our own clock: the limits do not end a server's process that gets no time itself.
    """
    with suppress(psycopg.Error):
        run(lock, "ROLLBACK")
    lock.pgconn.finish()
    return (monotonic() - begun) * 1000


def _bounded(ready: _Attempts, wait_ms: int) -> int:
    """Return for how long to wait for a table; raise _BusyError where waiting is in vain."""
    query = "SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'"
    if wait_ms >= value(ready.owner, query) / 2:
        return 0
    if wait_ms and (held := _holder(ready, LONG_TRANSACTION_SECONDS)):
        raise _BusyError(held)
    return wait_ms


def _limit(lock: Connection, wait_ms: int) -> None:
    """Have the server itself end an attempt that takes too long, whatever becomes of us."""
    for name, limit in (
        ("lock_timeout", wait_ms),
        ("statement_timeout", LOCKING_MS),
    ):
        run(lock, sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(limit)))


def _lock(lock: Connection, tables: list[Table], wait_ms: int) -> None:
    """Lock all tables in the order of their names."""
    names = sorted((table.schema, table.name) for table in tables)
    listed = sql.SQL(", ").join(sql.SQL("ONLY {}").format(sql.Identifier(*name)) for name in names)
    how = sql.SQL("" if wait_ms else " NOWAIT")
    run(lock, sql.SQL(LOCK).format(listed, how, sql.Literal(LIMIT_MS)))


def _snapshots(ready: _Attempts, deadline: float) -> str:
    """Take the source's snapshot and LSN at once, then the mirror's as soon as it is there."""
    sides = ready.sides
    taken: Future[str] = ready.pool.submit(_take, ready.holder)
    lsn = verify_settle.mark(ready.marker)
    ready.snapshot = taken.result()

    def caught_up() -> bool:
        return verify_settle.passed(sides, lsn)

    if not until(caught_up, max(0.0, deadline - monotonic()), every=POLL_SECONDS):
        msg = f"the mirror needed more than {PAUSE_MS} ms to catch up"
        raise _BusyError(msg)
    _take(sides.mirror)
    return lsn


def _take(connection: Connection) -> str:
    """Take a snapshot in one round trip, and return its name."""
    answers = connection.execute(SNAPSHOT)
    answers.nextset()
    return str((answers.fetchone() or ("",))[0])


def _holder(ready: _Attempts, older_seconds: float) -> str:
    """Name the oldest transaction that keeps a table from being locked, if there is one."""
    names = [table.full_name for table in ready.tables]
    found = row(ready.owner, HOLDER, (names, older_seconds))
    if found is None:
        return ""
    pid, user, table, seconds = found
    return (
        f"table {table} is held by a transaction of `{user}` (process {pid}), open for "
        f"{seconds:.1f} s"
    )
