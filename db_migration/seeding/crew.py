"""Workers of a seed: threads that take jobs from the schedule until none is left.

A worker holds one connection to each side for as long as they live, and imports the exported
snapshot for each job, so that no lock outlives its job and a lost connection costs the job that it
was at and nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
import structlog
from psycopg import sql
from psycopg.pq import TransactionStatus

from db_migration import deadline
from db_migration.context import Context
from db_migration.errors import BlockedError, UnreachableError
from db_migration.postgres import Connection, run, until, value
from db_migration.seeding import kept
from db_migration.seeding.plan import Job
from db_migration.seeding.progress import Progress
from db_migration.seeding.schedule import Schedule

ATTEMPTS = 10
PAUSE_SECONDS = 2.0
LOOK_SECONDS = 1.0
TELL_SECONDS = 5.0
"""How often it is told how a seed goes, and looked at what prod keeps for it."""
GONE_SECONDS = 20.0
TARGET_SETTINGS = {
    "synchronous_commit": "off",
    "maintenance_work_mem": "128MB",
    "max_parallel_maintenance_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "lock_timeout": "0",
}
"""For the workers' own sessions. A commit that a crash forgets is a seed without its mark; helpers
of one index would take the cores from the other workers (measured: 4 % of the seed). Nobody else
may enter the database of a seed: a lock that is waited for is that of another worker, and ends.
"""

WHO = "SELECT pg_current_xact_id()::text, pg_backend_pid()"
log = structlog.get_logger()


def open_snapshot(connection: Connection, names: Sequence[str]) -> None:
    """Begin to read the source as the snapshot shows it; any of the names will do.

    A name dies with the connection that gave it. Raises the server's error when none lives.
    """
    for name in names:
        run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            run(connection, sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(name)))
        except psycopg.Error:
            run(connection, "ROLLBACK")
            if name == names[-1]:
                raise
        else:
            return


def lost(error: Exception) -> bool:
    """Tell a lost connection from what the server has to say (class 57P: it ended the session)."""
    if not isinstance(error, psycopg.Error):
        return isinstance(error, UnreachableError)
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


class Worker:
    """Both connections of one thread, opened when they are first needed."""

    def __init__(self, context: Context, snapshots: Sequence[str]) -> None:
        """Name the feed and the snapshots that stand for the same moment."""
        self._context = context
        self._snapshots = snapshots
        self._open = ExitStack()
        self._source: Connection | None = None
        self._target: Connection | None = None
        self._transaction: tuple[str, int] | None = None

    @property
    def source(self) -> Connection:
        """The source in its snapshot."""
        if self._source is None:
            self._source = self._open.enter_context(self._context.reader.connect())
        if self._source.info.transaction_status is TransactionStatus.IDLE:
            open_snapshot(self._source, self._snapshots)
        return self._source

    def let_go_of_tables(self) -> None:
        """End the transaction on the source.

        Until then prod's DDL waits for what it has read, and prod's statements behind that.
        """
        if self._source is not None:
            run(self._source, "COMMIT")

    @property
    def target(self) -> Connection:
        """The database of the new copy."""
        if self._target is None:
            connection = self._open.enter_context(self._context.seed.connect())
            for name, setting in TARGET_SETTINGS.items():
                set_it = sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(setting))
                run(connection, set_it)
            self._target = connection
        return self._target

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Work on the target in one transaction as the owner of its tables.

        Its number is kept: after a lost connection its fate is asked for. After an error the
        connection is only fit to be closed.
        """
        target = self.target
        role = sql.Identifier(self._context.feed.target.owner_role)
        # One message: with many small tables the round trips are what takes the time.
        begin = sql.SQL("BEGIN; SET LOCAL ROLE {}; {}").format(role, sql.SQL(WHO))
        cursor = target.execute(begin)
        while cursor.nextset():
            continue
        xid, pid = cursor.fetchall()[0]
        self._transaction = xid, pid
        yield target
        run(target, "COMMIT")

    def close(self) -> None:
        """Let go of both connections, whatever state they are in."""
        self._source = self._target = None
        with suppress(psycopg.Error):
            self._open.close()

    def interrupt(self) -> None:
        """End what the connections are at; any thread may."""
        for connection in (self._source, self._target):
            if connection is not None:
                deadline.interrupt(connection)

    def run(
        self, job: Job, carry_out: Callable[[Worker, Job], None], ended: threading.Event
    ) -> None:
        """Carry out a job; after a lost connection once more, unless it was committed."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if attempt == 1 or not self._committed():
                    self._transaction = None
                    carry_out(self, job)
                self.let_go_of_tables()
            except (psycopg.OperationalError, UnreachableError) as error:
                self.close()
                if not lost(error) or attempt == ATTEMPTS or ended.is_set():
                    raise
                log.warning("connection lost: again in the same snapshot", at=job.name)
                ended.wait(PAUSE_SECONDS)
            else:
                return

    def _committed(self) -> bool:
        """Tell whether the transaction of the lost connection has been committed after all."""
        if self._transaction is None:
            return False
        xid, pid = self._transaction
        status = "SELECT pg_xact_status(%s::text::xid8)"
        if value(self.target, status, (xid,)) == "in progress":
            run(self.target, "SELECT pg_terminate_backend(%s)", (pid,))
            until(lambda: value(self.target, status, (xid,)) != "in progress", GONE_SECONDS)
        return bool(value(self.target, status, (xid,)) == "committed")


@dataclass
class Tally:
    """What has passed so far; workers add, the reporter reads."""

    tables: int
    rows: int = 0
    bytes: int = 0
    began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _parts: dict[Job, int] = field(default_factory=dict)

    def add(self, job: Job, rows: int, size: int) -> None:
        """Count a block; minus numbers take back what a lost connection had carried."""
        with self._lock:
            self.rows += rows
            self.bytes += size
            self._parts[job] = self._parts.get(job, 0) + size

    def progress(self, schedule: Schedule) -> Progress:
        """Sum up; the schedule must not change meanwhile."""
        with self._lock:
            running = list(schedule.running)
            at = sum(min(self._parts.get(job, 0), job.cost) for job in running)
            return Progress(
                tables=self.tables,
                copied=self.tables - len(schedule.uncopied),
                rows=self.rows,
                bytes=self.bytes,
                share=min(1.0, (schedule.spent + at) / schedule.whole),
                elapsed=time.monotonic() - self.began,
                doing=tuple(f"{job.kind} {job.name}" for job in running),
            )


class Crew:
    """Some threads, one schedule; the caller's thread reports."""

    def __init__(self, context: Context, snapshots: Sequence[str], tally: Tally) -> None:
        """Name the feed, the snapshots and what counts."""
        self._context = context
        self._snapshots = snapshots
        self._tally = tally
        self._changed = threading.Condition()
        self._failures: list[BaseException] = []
        self._working = 0
        self.ended = threading.Event()
        """Set when the rest is not to be begun."""

    def run(
        self, jobs: Sequence[Job], workers: int, carry_out: Callable[[Worker, Job], None]
    ) -> None:
        """Carry out all jobs; raise the first failure once every worker has stopped."""
        schedule = Schedule(jobs)
        crew = [Worker(self._context, self._snapshots) for _ in range(workers)]
        threads = [
            threading.Thread(target=self._work, args=(worker, schedule, carry_out), daemon=True)
            for worker in crew
        ]
        self._working = workers
        for thread in threads:
            thread.start()
        self._report(schedule, crew)
        self._context.breathe()  # what was interrupted for that is no failure
        if self._failures:
            raise self._failures[0]

    def _work(
        self, worker: Worker, schedule: Schedule, carry_out: Callable[[Worker, Job], None]
    ) -> None:
        try:
            while (job := self._next(schedule)) is not None:
                worker.run(job, carry_out, self.ended)
                with self._changed:
                    schedule.done(job)
                    self._changed.notify_all()
        except psycopg.errors.DiskFull as error:
            # Named here: further out it would pass for the source's, whose snapshot is open there.
            self._fail(self._context.seed.no_room(error))
        except BaseException as error:
            self._fail(error)
        finally:
            worker.close()
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        """Keep the error, and have the rest not begun."""
        self._failures.append(error)
        self.ended.set()

    def _next(self, schedule: Schedule) -> Job | None:
        """Wait for a job that may start; None when there will be none."""
        with self._changed:
            while not (schedule.finished or self.ended.is_set()):
                if (job := schedule.take()) is not None:
                    return job
                self._changed.wait(LOOK_SECONDS)
        return None

    def _report(self, schedule: Schedule, crew: Sequence[Worker]) -> None:
        """Tell every few seconds how it goes, until every worker has stopped."""
        told = time.monotonic()
        while self._working:
            with self._changed:
                if self._working:
                    self._changed.wait(LOOK_SECONDS)
                now = self._tally.progress(schedule)
            if self._context.stop.is_set() or self.ended.is_set():
                self.ended.set()
                for worker in crew:
                    worker.interrupt()
            elif time.monotonic() - told >= TELL_SECONDS:
                self._tell(now)
                told = time.monotonic()

    def _tell(self, now: Progress) -> None:
        log.info("seeding", **now.to_dict())
        self._context.tell("progress", now.to_dict())
        try:
            kept.watch(self._context)
        except BlockedError as error:
            self._fail(error)
