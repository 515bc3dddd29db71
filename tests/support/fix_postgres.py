"""pytest plugin: real PostgreSQL servers of the session on free loopback ports: `server_of` any
major, `pg13`, `pg17`, and another 17.
"""

# size: one kind of server, from its making to its emptying

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus
from tenacity import RetryError, retry, retry_if_result, stop_after_delay, wait_fixed

from lab.embedded_postgres import binaries
from tests.support import timeouts

UNPRIVILEGED = "nobody"
MEMORY = Path("/dev/shm")
ROOMY_BYTES = 6 * 1024**3
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "dynamic_shared_memory_type": "mmap",  # else a killed server leaves it in /dev/shm for ever
    "shared_buffers": "64MB",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "200ms",
    "log_min_messages": "warning",
    "log_min_error_statement": "error",
}
INHERITED = {"PATH", "LOCPATH"}
PLAIN = {"LC_ALL": "C.UTF-8"}
QUICK_SIGN_IN = {"scram_iterations": "1"}
"""From PostgreSQL 16 on: the hashes of so many short connections took a twentieth of a run."""


@dataclass(frozen=True)
class PgServer:
    """A running server; knows enough to be stopped and started from another process too."""

    home: str
    major: int
    port: int
    user: str
    password: str
    host: str = "127.0.0.1"

    @property
    def data(self) -> Path:
        return Path(self.home) / "data"

    @property
    def log(self) -> Path:
        return Path(self.home) / "log"

    @property
    def _socket_lock(self) -> Path:
        return Path(self.home) / f".s.PGSQL.{self.port}.lock"

    def dsn(self, database: str = "postgres", **extra: str) -> str:
        """Return the administrator's connection string."""
        return make_conninfo(
            host=self.host,
            port=self.port,
            dbname=database,
            user=self.user,
            password=self.password,
            **extra,
        )

    def connect(self, database: str = "postgres", **extra: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn(database, **extra), autocommit=True, connect_timeout=5)

    def sql(self, query: str, *args: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one query as the administrator; return its rows, if it has any."""
        with self.connect(database) as connection:
            cursor = connection.execute(query, args or None)
            result = cursor.pgresult
            has_rows = result is not None and result.status == ExecStatus.TUPLES_OK
            return cursor.fetchall() if has_rows else []

    def write_wal(self, size: int) -> None:
        """Write a little more than `size` bytes into the log, and into no table."""
        emit = "SELECT count(pg_logical_emit_message(false, 'load', repeat('x', 1000))) "
        self.sql(f"{emit} FROM generate_series(0, %s)", size // 1000)

    def pid(self) -> int | None:
        """Return the postmaster's process id while it is alive."""
        try:
            found = int((self.data / "postmaster.pid").read_text().split()[0])
            state = Path(f"/proc/{found}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, ValueError, IndexError):
            return None
        return None if state in {"Z", "X"} else found

    def start(self) -> None:
        """Start, if it does not run; wait until it answers."""
        if self.pid() is None:
            self._until(self._start_once, timeouts.SERVER_START, "start")
        self._until(self._answers, timeouts.SERVER_START, "answer")

    def stop(self) -> None:
        """Stop in the fast way."""
        if self.pid() is not None:
            self._control("stop", "-m", "fast", "-w")

    def kill(self) -> None:
        """Kill -9 the postmaster and all its children, as a lost host does."""
        pid = self.pid()
        if pid is None:
            return
        family = [pid, *_children(pid)]
        for member in family:
            _kill(member)
        self._until(
            lambda: not any(_alive(member) for member in family), timeouts.SERVER_STOP, "die"
        )
        # Until its parent has waited for it, a dead process seems alive to who asks by its number.
        for lock in (self.data / "postmaster.pid", self._socket_lock):
            lock.unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def dump(self) -> str:
        """Describe the server for another process."""
        return json.dumps(asdict(self))

    def _start_once(self) -> bool:
        return self._control("start", "-l", str(self.log), "-w", "-o", f"-p {self.port}") == 0

    def _control(self, *args: str) -> int:
        command = [f"{self.home}/pg/bin/pg_ctl", "-D", str(self.data), *args]
        return run_unprivileged(command, check=False).returncode

    def _answers(self) -> bool:
        try:
            with self.connect():
                return True
        except psycopg.OperationalError:
            return False

    def _until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        try:
            wait_for(condition, seconds)
        except RetryError:
            tail = self.log.read_text()[-2000:] if self.log.exists() else ""
            msg = f"PostgreSQL {self.major} did not {what} within {seconds} s\n{tail}"
            raise AssertionError(msg) from None


def wait_for(condition: Callable[[], object], seconds: float, every: float = 0.05) -> None:
    """Wait until `condition()` is true, or raise RetryError."""
    retry(
        retry=retry_if_result(lambda found: not found),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(every),
    )(condition)()


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def unprivileged_ids() -> tuple[int, int] | None:
    """Return who servers run as (PostgreSQL refuses to run as root); None: as ourselves."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(UNPRIVILEGED)
    return entry.pw_uid, entry.pw_gid


def run_unprivileged(command: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    ids = unprivileged_ids()
    return subprocess.run(
        command,
        check=check,
        cwd="/",
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**{name: os.environ[name] for name in INHERITED & os.environ.keys()}, **PLAIN},
        start_new_session=True,
        user=ids[0] if ids else None,
        group=ids[1] if ids else None,
    )


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_server(home: Path, major: int, user: str) -> PgServer:
    """Make and start a server under `home`; the binaries are copied to where `nobody` may read."""
    shutil.copytree(binaries(major), home / "pg", symlinks=True)
    password = f"secret-of-{user}-{major}"
    (home / "pwfile").write_text(password)
    ids = unprivileged_ids()
    for path in (home, home / "pwfile"):
        os.chown(path, *(ids or (-1, -1)))
    command = [f"{home}/pg/bin/initdb", "-D", f"{home}/data", "-U", user, "-E", "UTF8"]
    options = ["--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={home}/pwfile", "--no-sync"]
    quick = QUICK_SIGN_IN if major >= 16 else {}
    given = [word for name, value in quick.items() for word in ("-c", f"{name}={value}")]
    run_unprivileged([*command, *options, *given])
    with (home / "data" / "postgresql.conf").open("a") as conf:
        settings = {**SETTINGS, **quick, "unix_socket_directories": str(home)}
        conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    server = PgServer(home=str(home), major=major, port=free_port(), user=user, password=password)
    server.start()
    return server


@contextmanager
def own_server(major: int, user: str) -> Iterator[PgServer]:
    """Make a server, and remove it in the end."""
    home = Path(tempfile.mkdtemp(prefix=f"pg{major}-"))
    home.chmod(0o755)
    room = Path(tempfile.mkdtemp(prefix=f"pg{major}-", dir=memory()))
    data = room / "data"
    data.mkdir()
    for path in (room, data):
        os.chown(path, *(unprivileged_ids() or (-1, -1)))
    (home / "data").symlink_to(data)
    try:
        server = make_server(home, major, user)
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(home)
        shutil.rmtree(room)


def memory() -> Path | None:
    """Return a folder in memory, if it is roomy; None stands for the usual one on a disk.

    A database is three hundred files, and each test makes some: ext4 spends a tenth of a whole
    run's time on finding inodes that were not freed just now.
    """
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOMY_BYTES else None


@pytest.fixture(scope="session")
def server_of() -> Iterator[Callable[[int, str], PgServer]]:
    """The server of a major and a superuser's name, started when it is first asked for."""
    with ExitStack() as running:
        yield cache(lambda major, user: running.enter_context(own_server(major, user)))


@pytest.fixture(scope="session")
def pg13(server_of: Callable[[int, str], PgServer]) -> PgServer:
    """PostgreSQL 13 with the superuser `docker`, like compose's `airbyte-db`."""
    return server_of(13, "docker")


@pytest.fixture(scope="session")
def pg17(server_of: Callable[[int, str], PgServer]) -> PgServer:
    """PostgreSQL 17 with the superuser `postgres`, like core-worker-01."""
    return server_of(17, "postgres")


@pytest.fixture(scope="session")
def pg17_too() -> Iterator[PgServer]:
    """Another PostgreSQL 17, like the intermediary."""
    with own_server(17, "postgres") as found:
        yield found


def _without_slots(connection: psycopg.Connection[Any]) -> bool:
    """Drop every slot; the subscriber of an earlier test's world takes its own again and again."""
    query = "SELECT slot_name, active_pid FROM pg_replication_slots"
    for name, pid in connection.execute(query).fetchall():
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with suppress(psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
            connection.execute("SELECT pg_drop_replication_slot(%s)", (name,))
    return not connection.execute(query).fetchall()


def drop_everything(server: PgServer) -> None:
    """Remove slots, subscriptions, databases and roles that a test has made."""
    server.start()
    keep = "('postgres', 'template0', 'template1')"
    with server.connect() as connection:
        # -2 is what a DROP or CREATE that was killed leaves; nobody can come into it.
        for (name,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datconnlimit = -2"
        ).fetchall():
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
        for (name,) in connection.execute(
            "SELECT datname FROM pg_database WHERE NOT datallowconn AND NOT datistemplate"
        ).fetchall():
            opened = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true")
            connection.execute(opened.format(sql.Identifier(name)))
        for (name,) in connection.execute(
            f"SELECT datname FROM pg_database WHERE datname NOT IN {keep}"
        ).fetchall():
            _drop_subscriptions(server, name)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
        wait_for(lambda: _without_slots(connection), timeouts.SERVER_STOP)
        for (name,) in connection.execute(
            f"SELECT datname FROM pg_database WHERE datname NOT IN {keep}"
        ).fetchall():
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))
        for (name,) in connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> current_user"
        ).fetchall():
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _drop_subscriptions(server: PgServer, database: str) -> None:
    with server.connect(database) as connection:
        for (name,) in connection.execute(
            "SELECT subname FROM pg_subscription WHERE subdbid = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchall():
            for query in ("ALTER {} DISABLE", "ALTER {} SET (slot_name = NONE)", "DROP {}"):
                what = sql.SQL("SUBSCRIPTION {}").format(sql.Identifier(name))
                connection.execute(sql.SQL(query).format(what))
