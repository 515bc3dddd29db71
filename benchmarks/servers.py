"""Real PostgreSQL servers for a measurement: fsync on, on free loopback ports, own data folders."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from lab.embedded_postgres import binaries

UNPRIVILEGED = "nobody"
"""Who the servers run as when we are root: PostgreSQL refuses to run as root."""

DISK = "/var/tmp"  # noqa: S108 - removed with the server
IN_MEMORY = "/dev/shm"  # noqa: S108 - the same

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "logical",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "track_commit_timestamp": "on",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
}
"""All else, fsync and synchronous_commit among it, is as PostgreSQL ships."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    home: Path
    major: int
    port: int
    user: str
    password: str

    def dsn(self, database: str = "postgres", **extra: str) -> str:
        """Return the administrator's connection string."""
        return make_conninfo(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user=self.user,
            password=self.password,
            **extra,
        )

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Open a connection in autocommit."""
        return psycopg.connect(self.dsn(database), autocommit=True)

    def run(self, query: str, database: str = "postgres") -> None:
        """Run a statement or a script as the administrator."""
        with self.connect(database) as connection:
            connection.execute(query.encode())

    def value(self, query: str, database: str = "postgres") -> Any:  # noqa: ANN401
        """Return the first column of the first row."""
        with self.connect(database) as connection:
            found = connection.execute(query.encode()).fetchone()
        return found[0] if found else None

    def environment(self, database: str) -> dict[str, str]:
        """Return libpq's environment for a client program."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": database,
        }

    def cpu_seconds(self) -> float:
        """Return the CPU time of all sessions that have ended (Linux; elsewhere 0)."""
        try:
            pid = (self.home / "data" / "postmaster.pid").read_text().split()[0]
            told = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(told[13]) + int(told[14])) / os.sysconf("SC_CLK_TCK")

    def control(self, *args: str) -> None:
        """Run pg_ctl."""
        command = [str(self.home / "pg" / "bin" / "pg_ctl"), "-D", str(self.home / "data"), *args]
        _unprivileged(command)


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Keep every process that is started meanwhile on these cores (Linux)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def server(major: int, user: str, disk: str = DISK) -> Iterator[Server]:
    """Make, start, and in the end remove a server, its data in a new folder of `disk`."""
    home = Path(tempfile.mkdtemp(prefix=f"benchmark-pg{major}-", dir=disk))
    home.chmod(0o755)
    try:
        made = _make(home, major, user)
        try:
            yield made
        finally:
            made.control("stop", "-m", "immediate", "-w")
    finally:
        shutil.rmtree(home)


def _make(home: Path, major: int, user: str) -> Server:
    shutil.copytree(binaries(major), home / "pg", symlinks=True)
    made = Server(home, major, _free_port(), user, f"benchmark-{user}")
    (home / "pwfile").write_text(made.password)
    if os.geteuid() == 0:
        entry = pwd.getpwnam(UNPRIVILEGED)
        for path in (home, home / "pwfile"):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    options = ["--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={home}/pwfile"]
    command = [f"{home}/pg/bin/initdb", "-D", f"{home}/data", "-U", user, "-E", "UTF8"]
    _unprivileged([*command, *options])
    with (home / "data" / "postgresql.conf").open("a") as conf:
        settings = {**SETTINGS, "unix_socket_directories": str(home)}
        conf.writelines(f"{name} = '{text}'\n" for name, text in settings.items())
    made.control("start", "-l", str(home / "log"), "-w", "-o", f"-p {made.port}")
    return made


def _unprivileged(command: list[str]) -> None:
    entry = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
    subprocess.run(
        command,
        check=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        start_new_session=True,
        user=entry.pw_uid if entry else None,
        group=entry.pw_gid if entry else None,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
