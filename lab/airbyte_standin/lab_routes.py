"""Routes that Airbyte does not have: the lab writes, stores secrets and seeds through them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from . import seed
from .client import CallError
from .runtime import log, pause
from .web import HttpError, Json, Request, Router

if TYPE_CHECKING:
    from .database import Connection, Pool
    from .scheduling import Scheduler
    from .settings import Settings

STATE_ROWS = 16


class LabRoutes:
    """The routes, all under /lab/."""

    def __init__(self, settings: Settings, pool: Pool, scheduler: Scheduler) -> None:
        """Keep what they need."""
        self._settings = settings
        self._pool = pool
        self._scheduler = scheduler
        self._load_connection = ""
        self._first_write = threading.Lock()

    def add_to(self, router: Router) -> None:
        """Register."""
        router.add("GET", "/lab/info", self.info)
        router.add("POST", "/lab/write", self.write)
        router.add("POST", "/lab/secret", self.secret)
        router.add("POST", "/lab/seed", self.seed)

    def info(self, _request: Request) -> Json:
        """Say which process answers, and on which database."""
        database = self._settings.airbyte_database()
        return {
            "labOnly": True,
            "role": self._settings.role,
            "instance": self._settings.instance,
            "version": self._settings.version,
            "database": {"host": database.host, "port": database.port, "name": database.name},
        }

    def write(self, request: Request) -> Json:
        """Write as a sync does (job, attempt, cursor) in one transaction; answer once committed."""
        number = request.body.get("n")
        if not isinstance(number, int):
            raise HttpError(422, f"n must be an integer, got {number!r}")
        target = self._target()
        with self._pool.transaction() as connection:
            job = _write(connection, target, number, request.body.get("payload"))
        return {"id": job, "n": number}

    def _target(self) -> str:
        """Return the connection to write for; a writer sees it only once it is committed."""
        with self._first_write:
            if not self._load_connection:
                with self._pool.transaction() as connection:
                    made = seed.load_connection(connection)
                self._load_connection = made
            return self._load_connection

    def secret(self, request: Request) -> Json:
        """Store a secret; the first one makes the table, which no migration does."""
        coordinate, payload = request.body.get("coordinate"), request.body.get("payload")
        if not isinstance(coordinate, str) or payload is None:
            raise HttpError(422, "coordinate and payload are needed")
        with self._pool.transaction() as connection:
            seed.store_secret(connection, coordinate, str(payload))
        return {"coordinate": coordinate}

    def seed(self, request: Request) -> Json:
        """Fill the tables; the same call on another machine gives the same rows."""
        wanted = seed.Wanted.read(request.body)
        with self._pool.transaction() as connection:
            result, active = seed.fill(connection, wanted)
        started = sum(self._scheduler.touch(connection_id) for connection_id in active)
        return result | {"workflowsStarted": started}

    def seed_once(self, rows: int) -> None:
        """Seed a new installation as soon as Temporal answers."""
        while True:
            try:
                self._scheduler.ready()
                if self._pool.rows("SELECT 1 FROM connection LIMIT 1"):
                    return
                body = {"jobs": rows}
                request = Request(path="", query={}, body=body, headers={}, peer="")
                log(f"lab: seeded {self.seed(request)}")
            except CallError as error:
                log(f"lab: the seed waits for Temporal: {error}")
                if pause(2):
                    return
            else:
                return


def _write(connection: Connection, load: str, number: int, payload: object) -> int:
    config = {"configType": "sync", "lab": {"n": number, "payload": payload}}
    row = connection.execute(
        """INSERT INTO jobs (config_type, scope, config, status, started_at, created_at, updated_at)
           VALUES ('sync', %s, %s, 'succeeded', now(), now(), now()) RETURNING id""",
        [load, Jsonb(config)],
    ).fetchone()
    job = int(row["id"]) if row else 0
    connection.execute(
        """INSERT INTO attempts (job_id, attempt_number, log_path, output, status, created_at,
             updated_at, ended_at) VALUES (%s, 0, %s, %s, 'succeeded', now(), now(), now())""",
        [job, f"/tmp/workspace/{job}/0/logs.log", Jsonb({"n": number})],  # noqa: S108 - a column
    )
    slot = f"lab_write_{number % STATE_ROWS}"
    connection.execute(
        """INSERT INTO state (id, connection_id, stream_name, type, state)
           VALUES (md5(%s || %s)::uuid, %s, %s, 'STREAM', %s) ON CONFLICT (id, connection_id)
           DO UPDATE SET state = excluded.state, updated_at = now()""",
        [load, slot, load, slot, Jsonb({"n": number, "job": job})],
    )
    if number % 5 == 0:
        # Deletes from a table without a key, as a reset does: the publication must bear it.
        connection.execute(
            """INSERT INTO stream_reset (id, connection_id, stream_namespace, stream_name)
               VALUES (gen_random_uuid(), %s, NULL, %s)""",
            [load, slot],
        )
        connection.execute(
            """DELETE FROM stream_reset WHERE connection_id = %s AND stream_name = %s
                 AND created_at < now()""",
            [load, slot],
        )
    return job
