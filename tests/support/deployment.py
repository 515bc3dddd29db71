"""Three servers, their agents and two Airbytes that write: v2 without Pulumi, hosts and containers.

Everything that outlives a process lies in files, so that a test, a background agent and a cut-over
that is killed see the same hosts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from db_migration import config_file
from db_migration.agent.agent import Agent
from db_migration.config import Config, InstanceConfig
from db_migration.context import Context
from db_migration.cutover import cutover
from db_migration.cutover.sides import Means
from db_migration.sides.hosts import HostControl
from tests.support import kept, timeouts
from tests.support.fake_host import FakeHost
from tests.support.fix_postgres import PgServer, drop_everything, wait_for
from tests.support.scenario import PASSWORDS, ROOT, content, set_up_server

INTERMEDIARY, KEEPER = "intermediary", "core-worker-01"
OLD, NEW, REPLICA = "airbyte-prod", "airbyte-prod-abctl", "airbyte-prod-backup-replica-2"
COMMON = ROOT / "tests" / "scenarios" / "airbyte.sql"


@dataclass(frozen=True)
class Proven:
    active: int = 6
    scheduled: int = 6
    unscheduled: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Deployment:
    """Prod's server, ours, the configuration of each of our hosts, and the Airbytes' processes."""

    prod: PgServer
    intermediary: PgServer
    keeper: PgServer
    folder: Path
    drain_seconds: float = 2
    proof: Proven = Proven()
    writers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stops: list[Callable[[], None]] = field(default_factory=list)
    agents: list[Callable[[], None]] = field(default_factory=list)
    """What ends them, host by host."""
    said: list[str] = field(default_factory=list)
    when_said: dict[str, Callable[[], object]] = field(default_factory=dict)
    """What happens when the cut-over says a line."""

    @property
    def servers(self) -> dict[str, PgServer]:
        return {KEEPER: self.keeper, INTERMEDIARY: self.intermediary}

    @property
    def every_server(self) -> tuple[PgServer, ...]:
        """Subscribers first: they would take the slots of the others again."""
        return self.keeper, self.intermediary, self.prod

    def reset(self) -> None:
        self._lay_files()
        self._empty_servers()

    def _empty_servers(self) -> None:
        for server in self.every_server:
            drop_everything(server)
        for server in self.every_server:
            server.sql("ALTER SYSTEM SET wal_level = 'logical'")
            server.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '8GB'")
            if server.sql("SHOW wal_level") != [("logical",)]:
                server.restart()
            server.sql("SELECT pg_reload_conf()")
        self.prod.sql("CREATE DATABASE airbyte")
        with self.prod.connect("airbyte") as connection:
            connection.execute(COMMON.read_text().encode())
        for server in self.servers.values():
            set_up_server(server)

    def _lay_files(self) -> None:
        secrets = {"source_owner": self.prod.password, **PASSWORDS}
        for name, text in secrets.items():
            (self.folder / name).write_text(text)
        prepared = {NEW: {"epoch": 0, "rendering": "prepared"}}
        (self.folder / "instances.json").write_text(json.dumps(prepared))
        (self.folder / "compose.runs").touch()
        for name in self.servers:
            self.write_config(name)

    def write_config(self, here: str) -> Path:
        path = self.folder / f"{here}.json"
        path.write_text(json.dumps(self._config(here), indent=1))
        return path

    def config(self, here: str = KEEPER) -> Config:
        return config_file.load(self.folder / f"{here}.json")

    def _config(self, here: str) -> dict[str, Any]:
        login = {"user": "airbyte_migration", "password_file": str(self.folder / "migration")}
        servers = [
            {"name": name, "host": "127.0.0.1", "port": server.port, "sslmode": "prefer", **login}
            for name, server in self.servers.items()
        ]
        other = INTERMEDIARY if here == KEEPER else KEEPER
        own = next(server for server in servers if server["name"] == here)
        return {
            "deployment": "test",
            "here": here,
            "control": {**login, "host": own["host"], "port": own["port"], "sslmode": "prefer"},
            "feeds": [self._feed("prod", here), self._feed(other, here)],
            "verify_every_seconds": 3600,
            "poll_seconds": 0.1,
            "schema_quiet_seconds": 0.3,
            "servers": servers,
            "instances": [
                {"name": OLD, "kind": "compose", "host": "prod", "database": "prod"},
                {"name": NEW, "kind": "abctl", "host": "prod", "role": "airbyte_prod"},
                {"name": REPLICA, "kind": "abctl", "host": "replica", "role": "airbyte_replica"},
            ],
            "initial": {"database": "prod", "airbyte": OLD},
            "cutover": {
                "database": INTERMEDIARY,
                "airbyte": NEW,
                "drain_seconds": self.drain_seconds,
            },
        }

    def _feed(self, source: str, target: str) -> dict[str, Any]:
        login = {"user": "airbyte_migration", "password_file": str(self.folder / "migration")}
        owner = {"user": self.prod.user, "password_file": str(self.folder / "source_owner")}
        server = self.prod if source == "prod" else self.servers[source]
        where = {"host": "127.0.0.1", "port": server.port}
        feed: dict[str, Any] = {
            "name": f"{source}-to-{target}",
            "source": {
                "name": source,
                **where,
                "database": "airbyte",
                "owner": owner if source == "prod" else login,
                "reader": login,
                "address_for_subscriber": where,
            },
            "target": {
                "name": target,
                "host": "127.0.0.1",
                "port": self.servers[target].port,
                "sslmode": "prefer",
                **login,
            },
        }
        if KEEPER in {target, source}:
            feed["working_database"] = {"name": "airbyte", "owner_role": "airbyte"}
        return feed

    def host(self, instance: InstanceConfig) -> HostControl:
        return FakeHost(self.folder, instance.host, self.prod)

    def means(self) -> Means:
        return Means(self.host, lambda config, instance: self.proof, self._hear)

    def _hear(self, line: str) -> None:
        self.said.append(line)
        self.when_said.get(line, lambda: None)()

    def cut_over(self, mode: cutover.Mode = cutover.Mode.GO) -> dict[str, Any]:
        return cutover.run(self.config(), mode, self.means())

    def start_agents(self) -> None:
        """Run the agents of both hosts in threads."""
        for here in self.servers:
            config = self.config(here)
            stop = threading.Event()
            agents = [
                Agent(Context(config, feed, stop=stop, instance_host=self.host))
                for feed in config.feeds
            ]
            threads = [threading.Thread(target=agent.run, name=agent.name) for agent in agents]
            for thread in threads:
                thread.start()
            end = partial(_join, threads, stop)
            self.agents.append(end)
            self.stops.append(end)

    def reach(self, point: str, make: Callable[[], None]) -> None:
        """Let the agents go on from a point that an earlier test of this worker has come to.

        The first one comes to it by `make`, which starts them. What they have said of their feeds
        is gone, so that whoever waits for it hears them.
        """
        if not kept.put_back(self.every_server, point):
            make()
            self.stop_agents()
            forget = 'UPDATE migration.feed SET state = state || \'{"state": "preparing"}\''
            for server in self.servers.values():
                with suppress(psycopg.errors.UndefinedTable):  # no agent has been there
                    server.sql(forget, database="airbyte_migration")
            kept.keep(self.every_server, point)
        self.start_agents()

    def stop_agents(self) -> None:
        for stop in self.agents:
            stop()

    def start_writers(self) -> None:
        """Start what compose and prod's abctl would write, each while its flag is there."""
        password = PASSWORDS["airbyte"]
        compose = self.prod.dsn("airbyte", application_name="compose")
        inside = f"host=127.0.0.1 port={self.intermediary.port} dbname=airbyte user=airbyte_prod"
        for name, conninfo in (("compose", compose), ("abctl", f"{inside} password={password}")):
            arguments = [f"{self.folder}/{name}.runs", f"{self.folder}/{name}.acknowledged"]
            command = [sys.executable, "-m", "tests.support.writer", *arguments, conninfo]
            self.writers.append(subprocess.Popen(command, cwd=ROOT))

    def end(self) -> None:
        for writer in self.writers:
            writer.kill()
            writer.wait()
        for stop in self.stops:
            stop()
        self.stops.clear()
        for server in reversed(self.every_server):
            server.start()

    def acknowledged(self, name: str) -> list[int]:
        path = self.folder / f"{name}.acknowledged"
        lines = path.read_text().splitlines() if path.exists() else []
        return [int(line.split()[0]) for line in lines]

    def feed_state(self, name: str) -> dict[str, Any]:
        target = next(target for target in self.servers if name.endswith(f"-to-{target}"))
        query = "SELECT state FROM migration.feed WHERE name = %s"
        try:
            found = self.servers[target].sql(query, name, database="airbyte_migration")
        except psycopg.Error:
            return {"state": None}
        return found[0][0] if found else {"state": None}

    def until_state(self, state: str, *feeds: str) -> None:
        for feed in feeds:
            wait_for(lambda feed=feed: self.feed_state(feed)["state"] == state, timeouts.CONVERGE)  # type: ignore[misc]

    def until_following(self) -> None:
        """Wait until both copies of prod follow and are verified."""
        feeds = (f"prod-to-{INTERMEDIARY}", f"prod-to-{KEEPER}")
        self.until_state("following", *feeds)
        for feed in feeds:
            wait_for(lambda feed=feed: self.feed_state(feed)["verified"], timeouts.CONVERGE)  # type: ignore[misc]

    def until_equal(self, there: tuple[PgServer, str], here: tuple[PgServer, str]) -> None:
        def equal() -> bool:
            try:
                return content(*there) == content(*here)
            except psycopg.OperationalError:
                return False

        wait_for(equal, timeouts.FOLLOW, every=0.2)


def enter(server: PgServer, role: str) -> psycopg.Connection[tuple[object, ...]]:
    """Come into the server's `airbyte` as an Airbyte does."""
    return psycopg.connect(
        host=server.host,
        port=server.port,
        dbname="airbyte",
        user=role,
        password=PASSWORDS["airbyte"],
        autocommit=True,
    )


def _join(threads: list[threading.Thread], stop: threading.Event) -> None:
    stop.set()
    for thread in threads:
        thread.join(timeouts.AGENT_STEP)
        assert not thread.is_alive()
