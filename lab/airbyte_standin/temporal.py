"""Temporal: the scheduler's memory, in databases `temporal` and `temporal_visibility`.

Like the auto-setup image it makes both databases and their schema at every start. Workflows live
nowhere else, and nothing here ever re-creates one that is missing.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from .database import Pool, connect
from .runtime import log, pause
from .settings import Database, Settings, StandinError
from .web import HttpError, Json, Request, Router, serve, until_stopped

if TYPE_CHECKING:
    from .database import Connection

DATABASE_WAIT_SECONDS = 60.0
# Temporal's enum WorkflowExecutionStatus.
RUNNING, TERMINATED = 1, 5
PLUGINS = {"postgresql": "v96", "postgres12": "v12"}
DATABASES = ("temporal", "temporal_visibility")
STORE = (
    """CREATE TABLE IF NOT EXISTS schema_version (
         version_partition int NOT NULL, db_name varchar(255) NOT NULL,
         creation_time timestamp, curr_version varchar(64), min_compatible_version varchar(64),
         PRIMARY KEY (version_partition, db_name))""",
    """CREATE TABLE IF NOT EXISTS namespaces (
         id bytea PRIMARY KEY, name varchar(255) NOT NULL UNIQUE)""",
    """CREATE TABLE IF NOT EXISTS current_executions (
         workflow_id varchar(255) PRIMARY KEY, run_id uuid NOT NULL, status varchar(32) NOT NULL,
         phase varchar(32) NOT NULL, signal varchar(64) NOT NULL DEFAULT '', owner varchar(255),
         start_time timestamptz NOT NULL DEFAULT now(),
         changed_at timestamptz NOT NULL DEFAULT now())""",
)
VISIBILITY = (
    """CREATE TABLE IF NOT EXISTS executions_visibility (
         namespace_id char(64) NOT NULL, run_id char(64) NOT NULL, start_time timestamp NOT NULL,
         execution_time timestamp NOT NULL, workflow_id varchar(255) NOT NULL,
         workflow_type_name varchar(255) NOT NULL, status integer NOT NULL, close_time timestamp,
         history_length bigint, memo bytea, encoding varchar(64) NOT NULL,
         task_queue varchar(255) NOT NULL DEFAULT '', PRIMARY KEY (namespace_id, run_id))""",
)
REGISTER = (
    """INSERT INTO namespaces (id, name) VALUES ('\\x01', 'default') ON CONFLICT DO NOTHING"""
)


def run(settings: Settings) -> int:
    """Set up the store, then serve."""
    plugin = settings.env.get("DB", "postgresql")
    if plugin not in PLUGINS:
        msg = f"DB must be one of {', '.join(PLUGINS)}, got {plugin!r}"
        raise StandinError(msg)
    database = settings.temporal_database()
    _auto_setup(database, plugin)
    visibility = replace(database, name="temporal_visibility")
    service = Service(Pool(database, "temporal", 4), Pool(visibility, "temporal", 1))
    until_stopped(serve(settings.port(7233), service.router()))
    return 0


def _auto_setup(database: Database, plugin: str) -> None:
    _create_databases(_wait(database))
    for name, statements in zip(DATABASES, (STORE, VISIBILITY), strict=True):
        with _connect(database, name) as connection:
            if name == "temporal_visibility" and plugin == "postgres12":
                connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gin")
            for statement in statements:
                connection.execute(statement)
            if name == "temporal":
                connection.execute(REGISTER)
                connection.execute(
                    """INSERT INTO schema_version VALUES (0, 'temporal', now(), %s, '1.0')
                       ON CONFLICT (version_partition, db_name)
                       DO UPDATE SET curr_version = excluded.curr_version""",
                    [PLUGINS[plugin]],
                )
    log(f"Temporal server started, schema {PLUGINS[plugin]}, namespace default registered.")


def _wait(database: Database) -> Connection:
    deadline = time.monotonic() + DATABASE_WAIT_SECONDS
    while True:
        try:
            return connect(database, "temporal", "postgres")
        except psycopg.OperationalError as error:
            final = ("does not support SSL", "no encryption", "authentication failed", "no pg_hba")
            if any(text in str(error) for text in final):
                msg = f"Unable to connect to {database.host} (sslmode {database.sslmode}): {error}"
                raise StandinError(msg) from error
            if time.monotonic() > deadline or pause(0.5):
                msg = f"PostgreSQL at {database.host}:{database.port} did not answer: {error}"
                raise StandinError(msg) from error


def _connect(database: Database, name: str) -> Connection:
    try:
        return connect(database, "temporal", name)
    except psycopg.OperationalError as error:
        msg = f"database {name} does not let {database.user} in: {error}"
        raise StandinError(msg) from error


def _create_databases(connection: Connection) -> None:
    with connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
        there = {row["datname"] for row in rows}
        for name in DATABASES:
            if name not in there:
                try:
                    identifier = sql.Identifier(name)
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
                except psycopg.errors.InsufficientPrivilege as error:
                    msg = f"database {name} is missing and cannot be created: {error}"
                    raise StandinError(msg) from error


class Service:
    """What the real one offers over gRPC, as a few JSON calls."""

    def __init__(self, pool: Pool, visibility: Pool) -> None:
        """Keep the store."""
        self._pool = pool
        self._visibility = visibility

    def router(self) -> Router:
        """Return the calls."""
        router = Router()
        router.add("GET", "/namespaces/default", self.namespace)
        router.add("GET", "/workflows", self.workflows)
        router.add("POST", "/workflows/signal", self.signal)
        router.add("POST", "/workflows/progress", self.progress)
        router.add("POST", "/workflows/terminate", self.terminate)
        return router

    def namespace(self, _request: Request) -> Json:
        """Answer clients that wait for namespace `default`."""
        if not self._pool.rows("SELECT 1 FROM namespaces WHERE name = 'default'"):
            raise HttpError(404, "Namespace default is not found.")
        return {"name": "default"}

    def workflows(self, _request: Request) -> Json:
        """List all workflows that run."""
        rows = self._pool.rows(
            """SELECT workflow_id, run_id::text, status, phase, signal, owner,
                 extract(epoch FROM now() - changed_at)::float8 AS idle_seconds
               FROM current_executions WHERE status = 'Running' ORDER BY start_time"""
        )
        return {"executions": rows}

    def signal(self, request: Request) -> Json:
        """Signal a workflow; start it when it cannot be reached (the only way one begins)."""
        workflow, signal = str(request.body["workflowId"]), str(request.body["signal"])
        with self._pool.transaction() as connection:
            known = connection.execute(
                """UPDATE current_executions SET signal =
                     CASE WHEN %s = 'connection_updated' THEN signal ELSE %s END, changed_at = now()
                   WHERE workflow_id = %s AND status = 'Running' RETURNING run_id::text AS run""",
                [signal, signal, workflow],
            ).fetchone()
            if known:
                return {"runId": known["run"], "started": False}
            first = "" if signal == "connection_updated" else signal
            run = self._start(connection, workflow, first)
        self._show(workflow, run)
        return {"runId": run, "started": True}

    def _start(self, connection: Connection, workflow: str, signal: str) -> str:
        run = str(uuid.uuid4())
        connection.execute(
            """INSERT INTO current_executions (workflow_id, run_id, status, phase, signal)
               VALUES (%s, %s, 'Running', 'new', %s) ON CONFLICT (workflow_id) DO UPDATE SET
                 run_id = excluded.run_id, status = 'Running', phase = 'new', owner = NULL,
                 signal = excluded.signal, start_time = now(), changed_at = now()""",
            [workflow, run, signal],
        )
        return run

    def _show(self, workflow: str, run: str | None) -> None:
        """Close what is shown of a workflow, and show its new run; this may come late."""
        try:
            with self._visibility.transaction() as connection:
                connection.execute(
                    """UPDATE executions_visibility SET status = %s, close_time = now()
                       WHERE workflow_id = %s AND status = %s""",
                    [TERMINATED, workflow, RUNNING],
                )
                if run:
                    connection.execute(
                        """INSERT INTO executions_visibility (namespace_id, run_id, start_time,
                             execution_time, workflow_id, workflow_type_name, status, encoding,
                             task_queue) VALUES ('default', %s, now(), now(), %s,
                             'ConnectionManagerWorkflow', %s, 'Proto3', 'CONNECTION_UPDATER')""",
                        [run, workflow, RUNNING],
                    )
        except (psycopg.Error, StandinError) as error:
            log(f"visibility of {workflow}: {error}")

    def progress(self, request: Request) -> Json:
        """A worker reports what it did for a workflow; a stale run is told so."""
        body: dict[str, Any] = request.body
        rows = self._pool.execute(
            """UPDATE current_executions SET phase = %s, owner = %s, changed_at = now(),
                 signal = CASE WHEN %s THEN '' ELSE signal END
               WHERE workflow_id = %s AND run_id = %s::uuid AND status = 'Running'
                 AND (%s::text IS NULL OR phase = %s)""",
            [
                body["phase"],
                body.get("owner"),
                bool(body.get("takeSignal")),
                body["workflowId"],
                body["runId"],
                body.get("expected"),
                body.get("expected"),
            ],
        )
        return {"accepted": rows == 1}

    def terminate(self, request: Request) -> Json:
        """End a workflow."""
        rows = self._pool.execute(
            "UPDATE current_executions SET status = 'Terminated' WHERE workflow_id = %s",
            [request.body["workflowId"]],
        )
        self._show(str(request.body["workflowId"]), None)
        return {"terminated": rows}
