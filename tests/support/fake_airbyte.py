"""An Airbyte that is only its API, on a real database: what a failover touches, and Temporal."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

TOKEN = "token-of-the-fake"
TEMPORAL = (
    "CREATE TABLE IF NOT EXISTS public.current_executions "
    "(workflow_id text PRIMARY KEY, status text NOT NULL)"
)
SIGNAL = "INSERT INTO public.current_executions VALUES (%s, 'Running') ON CONFLICT DO NOTHING"
CONNECTIONS = "SELECT id::text, name, status::text FROM public.connection ORDER BY name"
JOBS = (
    "SELECT id, status::text, extract(epoch FROM created_at)::int FROM public.jobs "
    "WHERE scope = %s AND (%s::text[] IS NULL OR status::text = ANY(%s)) ORDER BY id DESC LIMIT %s"
)
VERSION = "SELECT value FROM public.airbyte_metadata WHERE key = 'airbyte_version'"
OVERDUE = "INSERT INTO public.jobs (scope, status) VALUES (%s, 'running')"


class FakeAirbyte:
    """Serves on a free port while `where()` says where its database is; closes the line otherwise.

    Connections 1, 3, 5 … are manual, the others run every day and have never run; a touched one
    that is overdue gets a job at once.
    """

    def __init__(self, where: Callable[[], str | None]) -> None:
        airbyte = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve({})

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self._serve(json.loads(self.rfile.read(length) or b"{}"))

            def _serve(self, body: dict[str, Any]) -> None:
                conninfo = where()
                if conninfo is None:
                    self.close_connection = True
                    return
                status, answer = airbyte.answer(conninfo, self.path, body, dict(self.headers))
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.port = int(self._server.server_address[1])
        self.touched: list[str] = []
        self.version: Callable[[psycopg.Connection[Any]], str] = _version

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(
        self, conninfo: str, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, Any]:
        try:
            with psycopg.connect(conninfo, autocommit=True, connect_timeout=2) as connection:
                return self._route(
                    connection, conninfo, path.removeprefix("/api/v1/"), body, headers
                )
        except psycopg.Error as error:
            return (200, {"available": False}) if path.endswith("/health") else (500, str(error))

    def _route(  # noqa: PLR0911 - one answer a route
        self,
        connection: psycopg.Connection[Any],
        conninfo: str,
        path: str,
        body: dict[str, Any],
        headers: dict[str, str],
    ) -> tuple[int, Any]:
        if path == "health":
            return 200, {"available": True}
        if path == "instance_configuration":
            return 200, {"version": self.version(connection)}
        if path == "applications/token":
            return 200, {"access_token": TOKEN}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {}
        if path == "workspaces/list":
            return 200, {"workspaces": [{"workspaceId": "only"}]}
        if path == "connections/list":
            found = connection.execute(CONNECTIONS).fetchall()
            return 200, {"connections": [_connection(*row) for row in found]}
        if path == "connections/update":
            return 200, self._touch(connection, conninfo, body["connectionId"])
        wanted = body.get("statuses")
        values = (body["configId"], wanted, wanted, body["pagination"]["pageSize"])
        jobs = connection.execute(JOBS, values).fetchall()
        return 200, {"jobs": [{"job": _job(body["configId"], *row)} for row in jobs]}

    def _touch(
        self, connection: psycopg.Connection[Any], conninfo: str, one: str
    ) -> dict[str, Any]:
        connection.execute("UPDATE public.connection SET name = name WHERE id = %s", (one,))
        temporal = conninfo.replace("dbname=airbyte", "dbname=temporal")
        with psycopg.connect(temporal, autocommit=True) as store:
            store.execute("SELECT pg_advisory_lock(1)")
            store.execute(TEMPORAL)
            store.execute(SIGNAL, (f"connection_manager_{one}",))
        if not connection.execute("SELECT FROM jobs WHERE scope = %s", (one,)).fetchone():
            connection.execute(OVERDUE, (one,))
        self.touched.append(one)
        return {"connectionId": one}


def _version(connection: psycopg.Connection[Any]) -> str:
    found = connection.execute(VERSION).fetchone()
    return str(found[0]) if found else ""


def _connection(one: str, name: str, status: str) -> dict[str, Any]:
    manual = int(name.split()[-1]) % 2
    daily = {"basicSchedule": {"timeUnit": "days", "units": 1}}
    return {
        "connectionId": one,
        "name": name,
        "status": status,
        "scheduleType": "manual" if manual else "basic",
        "scheduleData": None if manual else daily,
    }


def _job(one: str, number: int, status: str, created: int) -> dict[str, Any]:
    return {"id": number, "configId": one, "status": status, "createdAt": created}
