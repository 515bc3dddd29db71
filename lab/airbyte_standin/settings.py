"""What a role reads from its environment: Airbyte's own variable names, plus the lab's few."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPOSE_VERSION = "0.63.15"
WORLD_URL = "http://198.51.100.20:8080"
JDBC_URL = re.compile(r"^jdbc:postgresql://(?P<host>[^:/]+)(?::(?P<port>\d+))?/(?P<db>[^?]+)")


class StandinError(Exception):
    """A role cannot go on; its text is the last line of the container's log."""


@dataclass(frozen=True, kw_only=True)
class Database:
    """Where a database is and who asks."""

    host: str
    port: int
    name: str
    user: str
    password: str
    sslmode: str = "prefer"

    def conninfo(self, database: str | None, application: str) -> str:
        """Return libpq's text, for this database or another one of the same server."""
        values = {
            "host": self.host,
            "port": self.port,
            "dbname": database or self.name,
            "user": self.user,
            "password": self.password,
            "sslmode": self.sslmode,
            "connect_timeout": 5,
            "application_name": application,
        }
        return " ".join(f"{key}='{_escaped(value)}'" for key, value in values.items())


def _escaped(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace("'", "\\'")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A role's environment, typed."""

    role: str
    version: str
    env: Mapping[str, str]
    world_url: str
    instance: str
    minute_seconds: float
    poll_seconds: float

    @property
    def temporal_url(self) -> str:
        """Address of the Temporal front end."""
        return "http://" + self.env.get("TEMPORAL_HOST", "airbyte-temporal:7233")

    @property
    def in_kubernetes(self) -> bool:
        """Whether abctl's chart started this process."""
        return self.env.get("WORKER_ENVIRONMENT", "docker") == "kubernetes"

    def port(self, default: int) -> int:
        """Return the port to listen on."""
        return int(self.env.get("STANDIN_PORT", str(default)))

    def flag(self, name: str, default: str) -> bool:
        """Read a boolean as Airbyte's charts and `.env` write it."""
        return self.env.get(name, default).strip().lower() == "true"

    def airbyte_database(self) -> Database:
        """Airbyte's applications read DATABASE_URL, never DATABASE_HOST."""
        url = self._need("DATABASE_URL")
        found = JDBC_URL.match(url)
        if found is None:
            msg = f"DATABASE_URL must be jdbc:postgresql://host:port/database, got {url!r}"
            raise StandinError(msg)
        return Database(
            host=found["host"],
            port=int(found["port"] or 5432),
            name=found["db"],
            user=self._need("DATABASE_USER"),
            password=self._need("DATABASE_PASSWORD"),
        )

    def temporal_database(self) -> Database:
        """Temporal reads host and port, never DATABASE_URL; TLS is all or nothing."""
        tls = self.flag("SQL_TLS_ENABLED", "false")
        return Database(
            host=self._need("POSTGRES_SEEDS", "DATABASE_HOST"),
            port=int(self._need("DB_PORT", "DATABASE_PORT")),
            name="temporal",
            user=self._need("POSTGRES_USER", "DATABASE_USER"),
            password=self._need("POSTGRES_PWD", "DATABASE_PASSWORD"),
            sslmode="require" if tls else "disable",
        )

    def _need(self, *names: str) -> str:
        for name in names:
            if self.env.get(name):
                return self.env[name]
        msg = f"{names[0]} must be set for role {self.role}, found nothing"
        raise StandinError(msg)


def _instance(env: Mapping[str, str]) -> str:
    """Compose's containers are one Airbyte under as many names; a node's name is its host's."""
    return socket.gethostname() if env.get("WORKER_ENVIRONMENT") == "kubernetes" else "compose"


def read(env: Mapping[str, str] | None = None) -> Settings:
    """Read the environment once."""
    env = dict(os.environ if env is None else env)
    return Settings(
        role=env.get("STANDIN_ROLE", ""),
        version=env.get("AIRBYTE_VERSION") or env.get("VERSION") or COMPOSE_VERSION,
        env=env,
        world_url=env.get("LAB_WORLD_URL", WORLD_URL),
        instance=env.get("LAB_INSTANCE") or _instance(env),
        minute_seconds=float(env.get("STANDIN_MINUTE_SECONDS", "60")),
        poll_seconds=float(env.get("STANDIN_POLL_SECONDS", "2")),
    )
