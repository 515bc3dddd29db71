"""A live Airbyte, played by the strict stand-in, whose Temporal has forgotten everything."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from db_migration.airbytes.connections import Report, touch_and_prove
from db_migration.config import Config, InstanceConfig
from tests.conformance.harness import Airbyte, call
from tests.conformance.installation import Installation
from tests.support.fix_postgres import PgServer

LIVE, OTHER = "airbyte-prod-abctl", "airbyte-prod-backup-replica-2"
CONTROL = "airbyte_migration"
CONNECTIONS = 10
"""Six with a basic schedule, two manual, two inactive (lab/airbyte_standin/seed.py)."""


@dataclass
class SaysHost:
    """The other Airbyte's host, as its hostctl answers."""

    rendering: str = "stopped"
    running: bool = False

    def run(self, verb: str) -> str:
        assert verb == "status"
        known = {"name": OTHER, "epoch": 1, "rendering": self.rendering, "running": self.running}
        return json.dumps({"host": "replica", "instances": [known], "compose": "none"})


@dataclass
class Live:
    """The stand-in, and a configuration that says that it is active."""

    server: PgServer
    folder: Path
    airbyte: Airbyte
    lab: Installation
    other: SaysHost = field(default_factory=SaysHost)

    def config(self, *, running_at_most: int = 5, prove_seconds: float = 30) -> Config:
        (self.folder / "password").write_text(self.server.password)
        login = {"user": self.server.user, "password_file": str(self.folder / "password")}
        where = {"host": "127.0.0.1", "port": self.server.port, "sslmode": "prefer", **login}
        own = {"owner_role": self.server.user, "database": self.airbyte.database}
        url = {
            "url": self.lab.server.url,
            "client_id": "lab",
            "client_secret_file": login["password_file"],
        }
        return Config.model_validate(
            {
                "deployment": "test",
                "control": {**where, "database": CONTROL},
                "feeds": [],
                "servers": [{"name": "intermediary", **where, **own}],
                "instances": [
                    {"name": LIVE, "kind": "abctl", "host": "prod", **url},
                    {"name": OTHER, "kind": "abctl", "host": "replica"},
                ],
                "initial": {"database": "intermediary", "airbyte": LIVE},
                "schedules": {
                    "running_at_most": running_at_most,
                    "touch_every_seconds": 30,
                    "prove_seconds": prove_seconds,
                },
            }
        )

    def touch_and_prove(self, config: Config) -> Report:
        (instance, _) = config.instances
        return touch_and_prove(config, instance, instance_host=self._host)

    def _host(self, instance: InstanceConfig) -> SaysHost:
        assert instance.name == OTHER
        return self.other

    def forget_workflows(self) -> None:
        """Leave an empty Temporal behind, as after a move to another server (facts 5)."""
        with psycopg.connect(self.server.dsn("temporal"), autocommit=True) as connection:
            connection.execute("DELETE FROM current_executions")
        self.airbyte.sql("DELETE FROM attempts")
        self.airbyte.sql("DELETE FROM jobs")

    def slow_down(self, records: int, seconds: float) -> None:
        """Let every source take its time."""
        for row in self.airbyte.sql("SELECT DISTINCT source_id::text AS id FROM connection"):
            body = {"records": records, "seconds": seconds}
            call(f"{self.lab.world.url}/source/{row['id']}/pace", body)

    def basic(self) -> list[str]:
        query = """SELECT id::text AS id FROM connection
                   WHERE status = 'active' AND schedule_type = 'basic_schedule' ORDER BY name"""
        return [str(row["id"]) for row in self.airbyte.sql(query)]
