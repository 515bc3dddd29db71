"""The world of the random faults: servers, tunnel, agent, load and a reader of the copy."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from tenacity import RetryError

from db_migration.errors import MigrationError
from db_migration.verification import verify
from tests.support import timeouts
from tests.support.disk import Disk
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.scenario import PASSWORDS, ROOT, Scenario
from tests.support.tunnel import Tunnel

SETUP = ROOT / "tests" / "scenarios" / "airbyte.sql"
KEPT_ROWS = 3000
RESTART_SECONDS = 0.5
RENAMED_NOW = "just been dropped or renamed"
"""Said to who comes in the very moment of a swap: the one reconnect that it costs."""
TIMEOUTS = {
    "source": {"wal_sender_timeout": "3s", "max_slot_wal_keep_size": "1GB"},
    "target": {"wal_receiver_timeout": "3s"},
}
SETTINGS = {
    "poll_seconds": 0.2,
    "verify_every_seconds": 3,
    "feeds.0.working_database.refresh_hours": 0.002,
}


class Load:
    """An Airbyte that writes all the time, on a connection that it makes anew when it must."""

    def __init__(self, server: PgServer) -> None:
        self.rows = 0
        self.refused: list[str] = []
        """Statements of prod that failed though prod's server was well."""
        self._server = server
        self._go, self._end, self._idle = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def take_refused(self) -> list[str]:
        found, self.refused = self.refused, []
        return found

    def go(self) -> None:
        self._idle.clear()
        self._go.set()

    def pause(self) -> None:
        """Stop writing, and wait until the last statement has ended."""
        self._go.clear()
        assert self._idle.wait(timeouts.ARRIVES)

    def end(self) -> None:
        self._end.set()
        self._go.set()
        self._thread.join(timeouts.ARRIVES)

    def _work(self) -> None:
        while not self._end.is_set():
            self._idle.set()
            self._go.wait()
            try:
                with self._server.connect("airbyte") as prod:
                    while self._go.is_set() and not self._end.is_set():
                        self._write(prod)
            except psycopg.OperationalError:
                self._end.wait(0.05)
            except psycopg.Error as error:
                self.refused.append(f"{type(error).__name__}: {error}")

    def _write(self, prod: psycopg.Connection[Any]) -> None:
        with prod.transaction():
            insert = "INSERT INTO jobs (scope, status) VALUES ('load', 'running') RETURNING id"
            (number,) = prod.execute(insert).fetchone() or (0,)
            prod.execute("INSERT INTO attempts (job_id) VALUES (%s)", (number,))
            prod.execute("INSERT INTO stream_reset (stream_name) VALUES (%s)", (str(number),))
        with prod.transaction():
            prod.execute("UPDATE jobs SET status = 'succeeded' WHERE id = %s", (number,))
            prod.execute("DELETE FROM stream_reset WHERE stream_name = %s", (str(number),))
            prod.execute("DELETE FROM actor_definition_workspace_grant WHERE workspace_id IS NULL")
            old = number - KEPT_ROWS
            prod.execute("DELETE FROM attempts WHERE job_id < %s", (old,))
            prod.execute("DELETE FROM jobs WHERE id < %s", (old,))
        self.rows += 1
        self._end.wait(0.005)


class AgentProcess:
    """The real agent, started again whenever it ends, as by Docker, unless it was killed."""

    def __init__(self, config: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "db_migration", "run", "--config", str(config)]
        self.log = log
        self.ended_by_itself = 0
        self._wanted, self._lock = False, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._keep, daemon=True).start()

    def start(self) -> None:
        with self._lock:
            self._wanted = True
            self._start()

    def _start(self) -> None:
        if self._process is None or self._process.poll() is not None:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        with self._lock:
            self._wanted = False
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def _keep(self) -> None:
        while True:
            threading.Event().wait(RESTART_SECONDS)
            with self._lock:
                # What was killed, and is just being started again, has not ended by itself.
                ended = self._process is not None and self._process.poll() is not None
                if self._wanted and ended:
                    self.ended_by_itself += 1
                    self._start()


class FaultWorld:
    """Everything that a round may break, and the verdict on what it leaves."""

    def __init__(self, source: PgServer, target: PgServer, disk: Disk, folder: Path) -> None:
        self.source, self.target, self.disk = source, target, disk
        self.tunnel = Tunnel(source.port)
        through = {
            "feeds.0.source.port": self.tunnel.port,
            "feeds.0.source.address_for_subscriber.port": self.tunnel.port,
        }
        self.scenario = Scenario(source, target, folder, {**SETTINGS, **through})
        self.agent = AgentProcess(folder / "config.json", folder / "agent.log")
        self.load = Load(source)
        self.reads = 0
        self.unreadable: list[str] = []
        """What a reader of the copy met instead of a complete copy."""
        self.differences: list[str] = []
        self._end = threading.Event()
        self._number = 0
        self._seeded = False

    def start(self) -> None:
        """Fill the source and wait for the first copy."""
        self.scenario.reset(SETUP.read_text())
        for server, name in ((self.source, "source"), (self.target, "target")):
            for setting, value in TIMEOUTS[name].items():
                server.sql(f"ALTER SYSTEM SET {setting} = '{value}'")
            server.sql("SELECT pg_reload_conf()")
        self.agent.start()
        self.load.go()
        self._until(self._following, "make the first copy")
        threading.Thread(target=self._read, daemon=True).start()

    def end(self) -> None:
        self._end.set()
        self.load.end()
        self.agent.kill()
        self.tunnel.close()

    def wait_until(self, moment: float) -> None:
        """Let the time of the schedule pass."""
        self._end.wait(max(0.0, moment - time.monotonic()))

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def ddl(self, statements: str) -> None:
        """Change prod's schema as its owner, as patiently as a migration does."""
        with self.source.connect("airbyte", options="-c lock_timeout=10s") as prod:
            for statement in statements.split(";"):
                prod.execute(statement.encode())

    def bound_slots(self, size: str) -> None:
        self.source.sql(f"ALTER SYSTEM SET max_slot_wal_keep_size = '{size}'")
        self.source.sql("SELECT pg_reload_conf()")

    def end_walsenders(self) -> None:
        self.source.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")

    def mend(self) -> None:
        """Do what people and Docker do: start what is down, make room; leave the feed alone."""
        self.disk.empty()
        self.source.start()
        self.target.start()
        self.bound_slots("1GB")
        self.tunnel.mend()
        self.agent.start()

    def judge(self) -> None:
        """Hold the load for a moment; the copy must become equal, verified and usable."""
        self.load.pause()
        try:
            self._until(self._equal, "become equal")
            self._until(self._following, "follow without an error")
            self._until(self._verified, "be verified")
            self._until(self._no_duplicate_key, "let an insert in")
        finally:
            self.load.go()
        refused, unreadable = self.load.take_refused(), self._take_unreadable()
        ended, self.agent.ended_by_itself = self.agent.ended_by_itself, 0
        found = {"refused": refused, "unreadable": unreadable, "agent ended by itself": ended}
        assert not any(found.values()), found

    def tell(self) -> str:
        """Say what a person would look at."""
        try:
            state: Any = self.scenario.state()
        except Exception as error:
            state = repr(error)
        log = self.agent.log.read_text(errors="replace")[-1500:]
        server = self.target.log.read_text(errors="replace")[-700:]
        return f"{self.differences}\n{state}\n{log}\n{server}"

    def _following(self) -> bool:
        try:
            state = self.scenario.state()
        except Exception:
            return False
        return state["state"] == "following" and state["error"] is None

    def _equal(self) -> bool:
        with suppress(psycopg.OperationalError):
            there = self.scenario.content(self.source, "airbyte")
            return self.scenario.content(self.target, "airbyte_mirror") == there
        return False

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            wait_for(condition, timeouts.CONVERGE, every=0.1)
        except RetryError:
            msg = f"the copy did not {what} within {timeouts.CONVERGE} s"
            raise AssertionError(msg) from None

    def _verified(self) -> bool:
        """Ask the product; its agent may end the session, or keep it waiting, for a clone."""
        with suppress(psycopg.OperationalError, MigrationError):
            self.differences = verify.verify(self.scenario.context()).differences
            return not self.differences
        return False

    def _take_unreadable(self) -> list[str]:
        found, self.unreadable = self.unreadable, []
        return found

    def _no_duplicate_key(self) -> bool:
        """Insert as the first Airbyte after a failover would; nothing of it stays."""
        with (
            suppress(psycopg.OperationalError),
            self.target.connect("airbyte_mirror") as mirror,
        ):
            with mirror.transaction(force_rollback=True):
                insert = "INSERT INTO jobs (scope, status) VALUES ('first', 'pending')"
                mirror.execute(insert)
                mirror.execute("INSERT INTO attempts (job_id) SELECT max(id) FROM jobs")
            return True
        return False

    def _read(self) -> None:
        """Read the copy again and again as its owner: whenever it answers, it is complete."""
        dsn = psycopg.conninfo.make_conninfo(
            self.target.dsn("airbyte_mirror"),
            user="airbyte_migration",
            password=PASSWORDS["migration"],
            connect_timeout=5,
        )
        while not self._end.wait(0.05):
            try:
                with psycopg.connect(dsn, autocommit=True) as mirror:
                    query = "SELECT count(*) FROM public.workspace"
                    (number,) = mirror.execute(query).fetchone() or (0,)
                self.reads += 1
                if number != 5:
                    self.unreadable.append(f"{number} workspaces")
            except psycopg.OperationalError as error:
                if "does not exist" in str(error) and RENAMED_NOW not in str(error):
                    self.unreadable.append(str(error))
            except psycopg.Error as error:
                self.unreadable.append(str(error))
