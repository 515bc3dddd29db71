"""Starts roles of the stand-in as plain processes, each with its own port, and calls them."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg.rows import DictRow, dict_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
FACTOR = float(os.environ.get("TEST_TIMEOUT_FACTOR", "1"))
READY_SECONDS = 15.0
CONDITION_SECONDS = 15.0
CALL_SECONDS = 35.0
PAUSE_SECONDS = 0.05


class PostgresServer(Protocol):
    """What fixtures pg13 and pg17 offer."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def user(self) -> str: ...

    @property
    def password(self) -> str: ...

    def dsn(self, database: str) -> str:
        """Return a connection string."""
        ...

    def restart(self) -> None:
        """Stop and start."""
        ...


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], what: str, seconds: float = CONDITION_SECONDS) -> Any:  # noqa: ANN401 - gives back whatever the condition found
    """Wait for a condition, with a deadline; errors of the condition count as no."""
    deadline = time.monotonic() + seconds * FACTOR
    error: Exception | None = None
    while time.monotonic() < deadline:
        try:
            found = condition()
        except (OSError, CallFailedError, psycopg.Error) as caught:
            error = caught
        else:
            if found:
                return found
        _turn()
    msg = f"not within {seconds} s: {what}; last error: {error}"
    raise AssertionError(msg)


def _turn() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(PAUSE_SECONDS)
        try:
            left.recv(1)
        except TimeoutError:
            return


class CallFailedError(Exception):
    """An HTTP call was answered with an error."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


def call(
    url: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """GET, or POST with a body; give back JSON."""
    return dict(json.loads(fetch(url, body, headers)))


def fetch(
    url: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> bytes:
    """GET, or POST with a body; give back the bytes."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            raise CallFailedError(error.code, error.read().decode()) from None


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of HTTP Basic."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


class Process:
    """One role (or the world) that runs."""

    def __init__(self, module: str, env: dict[str, str], port: int, log: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        plain = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        with log.open("ab") as sink:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", module],
                env=plain | {"PYTHONUNBUFFERED": "1"} | env,
                cwd=ROOT,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        return self.log.read_text()

    def ready(self) -> Process:
        return self.ready_within(READY_SECONDS)

    def ready_within(self, seconds: float) -> Process:
        def listens() -> bool:
            assert self.popen.poll() is None, self.text()
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True

        eventually(listens, f"{self.log.name} listens", seconds)
        return self

    def ended(self, seconds: float = READY_SECONDS) -> int:
        return self.popen.wait(timeout=seconds * FACTOR)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(timeout=5 * FACTOR)
        except subprocess.TimeoutExpired:
            self.kill()


class Airbyte:
    """An installation on one server, of as many roles as a test needs."""

    def __init__(self, postgres: PostgresServer, database: str, folder: Path) -> None:
        self.postgres = postgres
        self.database = database
        self.folder = folder
        self.started: list[Process] = []
        self.extra: dict[str, str] = {}
        self.version = "0.63.15"
        self.instance = "one"

    def env(self, role: str) -> dict[str, str]:
        at = f"{self.postgres.host}:{self.postgres.port}"
        return {
            "STANDIN_ROLE": role,
            "AIRBYTE_VERSION": self.version,
            "DATABASE_URL": f"jdbc:postgresql://{at}/{self.database}",
            "DATABASE_HOST": self.postgres.host,
            "DATABASE_PORT": str(self.postgres.port),
            "DATABASE_DB": self.database,
            "DATABASE_USER": self.postgres.user,
            "DATABASE_PASSWORD": self.postgres.password,
            "LAB_INSTANCE": self.instance,
            "STANDIN_POLL_SECONDS": "0.2",
            "STANDIN_MINUTE_SECONDS": "1",
        } | self.extra

    def start(self, role: str, **env: str) -> Process:
        port = free_port()
        log = self.folder / f"{role}-{port}.log"
        values = self.env(role) | {"STANDIN_PORT": str(port)} | env
        process = Process("lab.airbyte_standin", values, port, log)
        self.started.append(process)
        return process

    def boot(self, version: str | None = None, **env: str) -> Process:
        """Run the bootloader once."""
        self.version = version or self.version
        process = self.start("bootloader", **env)
        process.ended()
        return process

    def temporal(self, **env: str) -> Process:
        process = self.start("temporal", **env).ready()
        self.extra["TEMPORAL_HOST"] = f"127.0.0.1:{process.port}"
        return process

    def server(self, **env: str) -> Process:
        return self.start("server", **env).ready()

    def worker(self, **env: str) -> Process:
        return self.start("worker", **env).ready()

    def world(self, rate: str = "0") -> Process:
        port = free_port()
        env = {
            "WORLD_DATA": str(self.folder / "world"),
            "WORLD_PORT": str(port),
            "WORLD_RECORDS_PER_SECOND": rate,
        }
        process = Process("lab.world", env, port, self.folder / f"world-{port}.log")
        self.started.append(process)
        self.extra["LAB_WORLD_URL"] = process.url
        return process.ready()

    def sql(self, query: str, values: Sequence[Any] = ()) -> list[DictRow]:
        """Run one statement on the Airbyte database."""
        with psycopg.connect(self.postgres.dsn(self.database), autocommit=True) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            cursor.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, query: str, values: Sequence[Any] = ()) -> Any:  # noqa: ANN401 - a cell
        """Return the first cell of the first row."""
        return next(iter(self.sql(query, values)[0].values()))

    def stop(self) -> None:
        for process in reversed(self.started):
            process.stop()
