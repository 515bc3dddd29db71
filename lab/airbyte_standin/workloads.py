"""Workloads (Airbyte 1.x, 2.x): the queue in the database, and the API the launcher calls."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from .connector import SyncError, Work
from .database import Pool
from .runtime import pause
from .server import check_migrations
from .web import HttpError, Json, Request, Router, serve, until_stopped

if TYPE_CHECKING:
    from .settings import Settings

CLAIM_SECONDS = 300.0
POLL_SECONDS = 0.5
ENDS = ("success", "failure", "cancelled")


class WorkloadQueue:
    """The worker's side: put a workload in, wait for its end."""

    def __init__(self, pool: Pool) -> None:
        """Keep the pool."""
        self._pool = pool

    def run(self, work: Work) -> int:
        """Queue a sync for the workspace's data-plane group; wait until some launcher ran it."""
        workload = f"{work.connection_id}_{work.job}_{work.attempt}_sync"
        self._queue(workload, work)
        deadline = time.monotonic() + CLAIM_SECONDS
        while True:
            row = self._pool.rows(
                """SELECT status::text, termination_reason, input_payload FROM workload
                   WHERE id = %s""",
                [workload],
            )[0]
            if row["status"] == "success":
                return int(json.loads(row["input_payload"])["last"])
            if row["status"] in ENDS:
                msg = f"workload {row['status']}: {row['termination_reason']}"
                raise SyncError(msg)
            if pause(POLL_SECONDS):
                msg = "the worker was stopped"
                raise SyncError(msg)
            if row["status"] == "pending" and time.monotonic() > deadline:
                self.end(workload, "failure", "workload was never claimed")

    def end(self, workload: str, status: str, reason: str) -> bool:
        """End a workload that has not ended."""
        return bool(
            self._pool.execute(
                """UPDATE workload SET status = %s, termination_reason = %s, updated_at = now()
                   WHERE id = %s AND status NOT IN ('success', 'failure', 'cancelled')""",
                [status, reason, workload],
            )
        )

    def _queue(self, workload: str, work: Work) -> None:
        with self._pool.transaction() as connection:
            connection.execute(
                """UPDATE workload SET status = 'failure', updated_at = now(),
                     termination_source = 'workload-api',
                     termination_reason = 'Superseded by ' || %s
                   WHERE mutex_key = %s AND status NOT IN ('success', 'failure', 'cancelled')""",
                [workload, work.connection_id],
            )
            connection.execute(
                """INSERT INTO workload (id, status, input_payload, log_path, mutex_key, type,
                     dataplane_group, workspace_id)
                   SELECT %s, 'pending', %s, '', %s, 'sync', w.dataplane_group_id::text, w.id
                   FROM actor a JOIN workspace w ON w.id = a.workspace_id WHERE a.id = %s""",
                [workload, json.dumps(work.as_json()), work.connection_id, work.source_id],
            )


class WorkloadApi:
    """The launcher's side."""

    def __init__(self, pool: Pool) -> None:
        """Keep the pool."""
        self._pool = pool

    def add_to(self, router: Router) -> None:
        """Register."""
        router.add("GET", "/health", lambda _request: {"status": "UP"})
        router.add("POST", "/api/v1/dataplanes/initialize", self.initialize)
        router.add("POST", "/api/v1/workload/claim", self.claim)
        router.add("POST", "/api/v1/workload/heartbeat", self.heartbeat)
        router.add("POST", "/api/v1/workload/finish", self.finish)

    def initialize(self, request: Request) -> Json:
        """Tell a launcher which data plane, and so which group, its credentials belong to."""
        rows = self._pool.rows(
            """SELECT p.id::text AS dataplane, p.dataplane_group_id::text AS "group"
               FROM dataplane_client_credentials c JOIN dataplane p ON p.id = c.dataplane_id
               WHERE c.client_id = %s AND c.client_secret = %s AND p.enabled AND NOT p.tombstone""",
            [request.body.get("client_id"), request.body.get("client_secret")],
        )
        if not rows:
            raise HttpError(401, "The data plane's credentials are not valid.")
        return rows[0]

    def claim(self, request: Request) -> Json:
        """Give one pending workload of the caller's group, if there is one."""
        body: dict[str, Any] = request.body
        rows = self._pool.rows(
            """UPDATE workload SET status = 'claimed', dataplane_id = %s, last_heartbeat_at = now(),
                 updated_at = now()
               WHERE id = (SELECT id FROM workload WHERE status = 'pending' AND dataplane_group = %s
                           ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
               RETURNING id, input_payload""",
            [body.get("dataplane"), body.get("group")],
        )
        return {"workload": rows[0] if rows else None}

    def heartbeat(self, request: Request) -> Json:
        """Keep a workload alive; tell when it was ended meanwhile."""
        kept = self._pool.execute(
            """UPDATE workload SET status = 'running', last_heartbeat_at = now(), updated_at = now()
               WHERE id = %s AND status IN ('claimed', 'launched', 'running')""",
            [request.body.get("id")],
        )
        return {"alive": bool(kept)}

    def finish(self, request: Request) -> Json:
        """Take a workload's result."""
        body: dict[str, Any] = request.body
        kept = self._pool.execute(
            """UPDATE workload SET status = %s, termination_reason = %s, updated_at = now(),
                 input_payload =
                   (input_payload::jsonb || jsonb_build_object('last', %s::bigint))::text
               WHERE id = %s AND status IN ('claimed', 'launched', 'running')""",
            [body["status"], body.get("reason"), body.get("last"), body["id"]],
        )
        return {"kept": bool(kept)}


def run(settings: Settings) -> int:
    """workload-api-server: check, then serve."""
    check_migrations(settings)
    router = Router()
    WorkloadApi(Pool(settings.airbyte_database(), settings.role, 4)).add_to(router)
    until_stopped(serve(settings.port(8007), router))
    return 0
