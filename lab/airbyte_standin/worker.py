"""airbyte-worker: polls Temporal and runs what is due; without a workflow nothing is ever due."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from . import schedule, syncing, versions
from .client import CallError
from .connector import Work, committed, sync
from .database import Pool
from .runtime import every, log, pause
from .scheduling import PREFIX, Scheduler
from .server import check_migrations
from .settings import StandinError
from .web import Router, serve, until_stopped
from .workloads import WorkloadQueue

if TYPE_CHECKING:
    from psycopg.rows import DictRow

    from .settings import Settings

TEMPORAL_WAIT_SECONDS = 120.0
PARALLEL = 5
LOST_WORKER_SECONDS = 30.0
READ = """SELECT c.id::text AS id, c.source_id::text, c.destination_id::text, c.status::text,
    c.schedule_type::text AS kind, c.schedule_data, last.age
  FROM connection c LEFT JOIN LATERAL (
    SELECT extract(epoch FROM now() - j.created_at)::float8 AS age FROM jobs j
    WHERE j.scope = c.id::text AND j.config_type = 'sync' AND j.created_at IS NOT NULL
    ORDER BY j.id DESC LIMIT 1) last ON true
  WHERE c.id::text = ANY(%s)"""


class Worker:
    """Carries out the workflows of all connections."""

    def __init__(self, settings: Settings) -> None:
        """Connect lazily."""
        self._settings = settings
        self._pool = Pool(settings.airbyte_database(), "worker", PARALLEL + 2)
        self._scheduler = Scheduler(settings)
        # A new name per start: a sync in hand when the process died is nobody's afterwards.
        self._name = f"{settings.instance}-{uuid.uuid4().hex[:8]}"
        self._places = threading.BoundedSemaphore(PARALLEL)
        launches = versions.numbers(settings.version) >= (1, 0)
        self._queue = WorkloadQueue(self._pool) if launches else None

    def turn(self) -> None:
        """Look once at every workflow."""
        workflows = self._scheduler.workflows()
        if not workflows:
            return
        known = {w["workflow_id"].removeprefix(PREFIX): w for w in workflows}
        rows = {row["id"]: row for row in self._pool.rows(READ, [list(known)])}
        for connection_id, workflow in known.items():
            row = rows.get(connection_id)
            if row is not None:
                self._step(workflow, row)

    def _step(self, workflow: dict[str, Any], row: DictRow) -> None:
        if workflow["phase"] == "new":
            self._clean(workflow, row["id"])
        elif workflow["phase"] == "syncing":
            lost = workflow["owner"] != self._name
            if lost and workflow["idle_seconds"] > LOST_WORKER_SECONDS:
                log(f"connection {row['id']}: the worker of its sync is gone")
                self._clean(workflow, row["id"])
        elif self._due(workflow, row) and self._places.acquire(blocking=False):
            target = threading.Thread(target=self._run, args=(workflow, row), daemon=True)
            target.start()

    def _due(self, workflow: dict[str, Any], row: DictRow) -> bool:
        if workflow["signal"] and row["status"] == "active":
            return True
        minute = self._settings.minute_seconds
        wait = schedule.seconds_to_wait(
            row["status"], row["kind"] or "manual", row["schedule_data"], row["age"], minute
        )
        return wait <= 0

    def _clean(self, workflow: dict[str, Any], connection_id: str) -> None:
        with self._pool.transaction() as connection:
            failed = syncing.fail_non_terminal(connection, connection_id)
        if failed:
            log(f"connection {connection_id}: cleaned job state, failed {failed} jobs")
        self._scheduler.progress(workflow, "waiting", expected=workflow["phase"])

    def _run(self, workflow: dict[str, Any], row: DictRow) -> None:
        try:
            taken = self._scheduler.progress(
                workflow, "syncing", owner=self._name, expected="waiting", takeSignal=True
            )
            if taken:
                done = self._sync(row)
                self._scheduler.progress(workflow, "waiting", expected="syncing")
                if done:
                    self._tell(*done)
        except Exception as error:  # the thread's end must free its place
            log(f"connection {row['id']}: {type(error).__name__}: {error}")
        finally:
            self._places.release()

    def _sync(self, row: DictRow) -> tuple[Work, int] | None:
        """Sync once; return what was done and the last record's number, if that is committed."""
        connection_id = str(row["id"])
        with self._pool.transaction() as connection:
            job = syncing.create_job(connection, connection_id)
        with self._pool.transaction() as connection:
            attempt = syncing.start_attempt(connection, job, 0)
            cursor = syncing.cursor_of(connection, connection_id)
            actors = [row["source_id"], row["destination_id"]]
            missing = syncing.unreadable_secrets(connection, actors)
        work = Work(
            connection_id=connection_id,
            source_id=row["source_id"],
            destination_id=row["destination_id"],
            job=job,
            attempt=0,
            cursor=cursor,
        )
        try:
            if missing:
                msg = f"secrets not found: {', '.join(missing)}"
                raise StandinError(msg)  # noqa: TRY301 - fails the job as any other does
            last = self._launch(work)
        except StandinError as error:
            log(f"job {job}: {error}")
            with self._pool.transaction() as connection:
                syncing.fail(connection, (job, attempt), str(error))
            return None
        with self._pool.transaction() as connection:
            kept = syncing.succeed(connection, connection_id, (job, attempt), last)
        log(f"job {job}: records {cursor + 1} to {last}" + ("" if kept else ", job was ended"))
        return (work, last) if kept else None

    def _tell(self, work: Work, last: int) -> None:
        try:
            committed(work, self._settings.world_url, self._settings.instance, last)
        except CallError as error:
            log(f"job {work.job}: the ledger was not told of its commit: {error}")

    def _launch(self, work: Work) -> int:
        if self._queue is None:
            return sync(work, self._settings.world_url, self._settings.instance)
        return self._queue.run(work)


def run(settings: Settings) -> int:
    """Wait for database and Temporal, then poll."""
    check_migrations(settings)
    wait_for_temporal(Scheduler(settings))
    every(settings.poll_seconds, "poll", Worker(settings).turn)
    router = Router()
    router.add("GET", "/api/v1/health", lambda _request: {"available": True})
    until_stopped(serve(settings.port(9000), router))
    return 0


def wait_for_temporal(scheduler: Scheduler) -> None:
    """Worker and cron do not start without Temporal."""
    deadline = time.monotonic() + TEMPORAL_WAIT_SECONDS
    while True:
        try:
            scheduler.ready()
        except CallError as error:
            if time.monotonic() > deadline or pause(1):
                msg = f"Could not create Temporal namespace handler: {error}"
                raise StandinError(msg) from error
        else:
            return
