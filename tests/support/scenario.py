"""A source and a target to run the DB Migration Script between, and a host that can be
restarted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from db_migration import config_file
from db_migration.agent.agent import Agent
from db_migration.context import Context, context_of
from db_migration.journal import Journal
from tests.support import timeouts
from tests.support.fix_postgres import PgServer, drop_everything, wait_for

ROOT = Path(__file__).parents[2]
PASSWORDS = {"migration": "planted-migration-secret", "airbyte": "planted-airbyte-secret"}
TARGET_SETUP = ROOT / "db_migration" / "target_setup.sql"
FEED = "prod-to-core-worker-01"
SLOT = "airbyte_migration_core_worker_01"


class LocalHost:
    """Host control whose host is this machine: stops and starts a real server."""

    def __init__(self, server: PgServer) -> None:
        self.server = server
        self.verbs: list[str] = []

    def run(self, verb: str) -> str:
        self.verbs.append(verb)
        if verb == "stop database":
            self.server.stop()
        elif verb == "start database":
            self.server.start()
        return ""


def set_up_server(server: PgServer) -> None:
    """Run the product's own list of roles, grants and databases."""
    script = TARGET_SETUP.read_text()
    for name, password in PASSWORDS.items():
        script = script.replace(f":'{name}_password'", f"'{password}'")
    with server.connect() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())


def content(server: PgServer, database: str) -> dict[str, list[Any]]:
    """Read every row of every table as text: the test's own comparison, not the product's."""
    with psycopg.connect(
        server.dsn(database, options="-c timezone=UTC -c lc_monetary=C")
    ) as connection:
        found = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n "
            "ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' "
            "AND n.nspname <> 'information_schema'"
        ).fetchall()
        return {
            f"{schema}.{name}": sorted(
                text
                for (text,) in connection.execute(
                    psycopg.sql.SQL("SELECT t::text FROM {} t").format(
                        psycopg.sql.Identifier(schema, name)
                    )
                )
            )
            for schema, name in found
        }


def command(config: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the real command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "db_migration", "--config", str(config), *args],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=timeouts.AGENT_STEP,
        env={**os.environ, **env},
    )


@dataclass
class Scenario:
    """One test's world: real servers, an empty target, a source made by `setup.sql`."""

    source: PgServer
    target: PgServer
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    stops: list[Callable[[], None]] = field(default_factory=list)

    def owned_by(self, role: str, options: str = "") -> None:
        """Give prod's database and tables to a new role that is no superuser; feeds enter as it."""
        self.source.sql(
            f"""
            CREATE ROLE "{role}" LOGIN {options} PASSWORD 'planted-app-secret';
            ALTER DATABASE airbyte OWNER TO "{role}";
            DO $$ DECLARE t regclass; BEGIN
                FOR t IN SELECT oid FROM pg_class
                    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                LOOP EXECUTE format('ALTER TABLE %s OWNER TO "{role}"', t); END LOOP;
            END $$
            """,
            database="airbyte",
        )
        (self.folder / role).write_text("planted-app-secret")
        owner = {"user": role, "password_file": str(self.folder / role)}
        self.settings["feeds.0.source.owner"] = owner

    def reset(self, setup: str, *, wal_level: str = "logical") -> None:
        """Make both servers as new and fill the source."""
        drop_everything(self.target)  # first: its subscription would take the slot again
        drop_everything(self.source)
        self.set_wal_level(wal_level)
        self.source.sql("CREATE DATABASE airbyte")
        with self.source.connect("airbyte") as connection:
            connection.execute(setup.encode())
        self.set_up_target()
        self.write_config()

    def set_wal_level(self, wal_level: str) -> None:
        self.source.sql("ALTER SYSTEM RESET wal_level")
        self.source.sql("ALTER SYSTEM RESET max_slot_wal_keep_size")
        self.source.sql("SELECT pg_reload_conf()")
        if wal_level == "logical":
            self.source.sql("ALTER SYSTEM SET wal_level = 'logical'")
        if self.source.sql("SHOW wal_level") != [(wal_level,)]:
            self.source.restart()

    def set_up_target(self) -> None:
        """Run the product's own list of roles, grants and databases."""
        set_up_server(self.target)

    def write_config(self) -> Path:
        """Write the agent's configuration and its secrets."""
        secrets = {"source_owner": self.source.password, **PASSWORDS}
        for name, text in secrets.items():
            (self.folder / name).write_text(text)
        path = self.folder / "config.json"
        path.write_text(json.dumps(self._config(), indent=1))
        return path

    def _config(self) -> dict[str, Any]:
        migration = {"user": "airbyte_migration", "password_file": str(self.folder / "migration")}
        here = {"host": "127.0.0.1", "port": self.target.port, "sslmode": "prefer"}
        there = {"host": "127.0.0.1", "port": self.source.port}
        owner = {"user": self.source.user, "password_file": str(self.folder / "source_owner")}
        feed = {
            "name": FEED,
            "mode": "auto",
            "allow_source_restart": True,
            "source": {
                "name": "prod",
                **there,
                "database": "airbyte",
                "owner": owner,
                "reader": migration,
                "address_for_subscriber": there,
            },
            "target": {"name": "core-worker-01", **here, **migration},
            "working_database": {"name": "airbyte", "owner_role": "airbyte"},
        }
        whole: dict[str, Any] = {
            "deployment": "test",
            "control": {**here, **migration, "database": "airbyte_migration"},
            "feeds": [feed],
            "verify_every_seconds": 3600,
            "poll_seconds": 0.1,
            "schema_quiet_seconds": 0.3,
        }
        for path, value in self.settings.items():
            at = whole
            *parents, last = path.split(".")
            for part in parents:
                at = at[int(part)] if part.isdigit() else at[part]  # type: ignore[index]
            at[last] = value
        return whole

    def context(self) -> Context:
        """Load the configuration as the agent does, with this machine as the source's host."""
        config = config_file.load(self.write_config())
        return replace(context_of(config, config.feeds[0]), source_host=LocalHost(self.source))

    def agent(self) -> Agent:
        return Agent(self.context())

    def journal(self) -> Journal:
        return Journal(self.context().control, FEED)

    def converge(self, agent: Agent | None = None) -> Agent:
        """Let an agent in this process work until nothing is left to do."""
        agent = agent or self.agent()
        wait_for(
            lambda: agent.once() == "wait" and self.state()["state"] == "following",
            timeouts.CONVERGE,
        )
        return agent

    def state(self) -> dict[str, Any]:
        """Read what the agent has saved, without touching the files that it reads."""
        query = "SELECT state FROM migration.feed WHERE name = %s"
        try:
            found = self.target.sql(query, FEED, database="airbyte_migration")
        except psycopg.errors.UndefinedTable:
            found = []
        return found[0][0] if found else {"state": None, "error": None}

    def copies(self) -> int:
        """Count the copies that were begun."""
        query = "SELECT count(*) FROM migration.event WHERE step = 'seed' AND phase = 'started'"
        found = self.target.sql(query, database="airbyte_migration")
        return int(found[0][0])

    def run_in_background(self, agent: Agent) -> Callable[[], None]:
        """Run an agent in a thread; returns what stops it and raises what it raised."""
        failed: list[BaseException] = []

        def work() -> None:
            try:
                agent.run()
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()

        def stop() -> None:
            agent.context.stop.set()
            thread.join(timeouts.AGENT_STEP)
            assert not thread.is_alive()
            if failed:
                raise failed[0]

        self.stops.append(stop)
        return stop

    def cli(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the real command line in a process of its own."""
        return command(self.write_config(), *args, **env)

    def content(self, server: PgServer, database: str) -> dict[str, list[Any]]:
        return content(server, database)

    def assert_equal(self) -> None:
        """Wait until the mirror holds what the source holds, by the test's own reading."""
        there = self.content(self.source, "airbyte")

        def equal() -> bool:
            try:
                return self.content(self.target, "airbyte_mirror") == there
            except psycopg.OperationalError:  # the mirror is being swapped
                return False

        wait_for(equal, timeouts.FOLLOW)
