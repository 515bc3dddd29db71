"""The charts' `global.database`, whose keys differ between the two lines (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .charts import Chart, Line
from .output import AbctlError
from .values import Values, get

RELEASE = NAMESPACE = "airbyte-abctl"
ENV_MAP = f"{RELEASE}-airbyte-env"
OWN_SECRET = f"{RELEASE}-airbyte-secrets"
V2_DEFAULT_NAME = "db-airbyte"


@dataclass(frozen=True, kw_only=True)
class Database:
    """What the pods are told."""

    host: str
    port: str
    name: str
    secret: str
    user_key: str
    password_key: str
    tls: bool
    replica_keys: tuple[str, str] | None
    own_user: str
    own_password: str

    def config(self) -> dict[str, str]:
        """Return the ConfigMap's part."""
        return {
            "DATABASE_HOST": self.host,
            "DATABASE_PORT": self.port,
            "DATABASE_DB": self.name,
            "DATABASE_URL": f"jdbc:postgresql://{self.host}:{self.port}/{self.name}",
        }

    def own_secret(self) -> dict[str, str]:
        """Return what the release's own Secret holds."""
        return {"DATABASE_USER": self.own_user, "DATABASE_PASSWORD": self.own_password}

    def credentials(self) -> list[dict[str, Any]]:
        """Return the environment of a pod that uses the Airbyte database."""
        found = [
            self._key("DATABASE_USER", self.user_key),
            self._key("DATABASE_PASSWORD", self.password_key),
        ]
        if self.replica_keys:
            user, password = self.replica_keys
            found.append(self._key("CONFIG_DATABASE_REPLICA_USER", user))
            found.append(self._key("CONFIG_DATABASE_REPLICA_PASSWORD", password))
        return found

    def temporal(self) -> list[dict[str, Any]]:
        """Return Temporal's environment: host and port by name, never the URL."""
        tls = str(self.tls).lower()
        return [
            {"name": "DB", "value": "postgres12"},
            _from_map("POSTGRES_SEEDS", "DATABASE_HOST"),
            _from_map("DB_PORT", "DATABASE_PORT"),
            self._key("POSTGRES_USER", self.user_key),
            self._key("POSTGRES_PWD", self.password_key),
            {"name": "SQL_TLS_ENABLED", "value": tls},
            {"name": "POSTGRES_TLS_ENABLED", "value": tls},
            {"name": "SQL_TLS_DISABLE_HOST_VERIFICATION", "value": "true"},
        ]

    def _key(self, env: str, key: str) -> dict[str, Any]:
        return {"name": env, "valueFrom": {"secretKeyRef": {"name": self.secret, "key": key}}}


def _from_map(env: str, key: str) -> dict[str, Any]:
    return {"name": env, "valueFrom": {"configMapKeyRef": {"name": ENV_MAP, "key": key}}}


def read_database(chart: Chart, values: Values) -> Database:
    """Read the values; what v1 lacks fails the render, what v2 lacks gets a default."""
    if get(values, "postgresql.enabled", default=True):
        msg = (
            "lab: postgresql.enabled is true, and the stand-in has no bundled PostgreSQL\n"
            "set postgresql.enabled: false and global.database"
        )
        raise AbctlError(msg)
    part = get(values, "global.database", {})
    secret = get(part, "secretName")
    replica = None
    if chart.at_least("2.1.0"):
        # These charts take the replica's credentials from the same Secret, set or not.
        replica = (
            str(get(part, "replica.userSecretKey", "CONFIG_DATABASE_REPLICA_USER")),
            str(get(part, "replica.passwordSecretKey", "CONFIG_DATABASE_REPLICA_PASSWORD")),
        )
    return Database(
        host=_plain(chart, part, "host"),
        port=str(get(part, "port", 5432)),
        name=_plain(chart, part, "database") if chart.line is Line.V1 else _v2_name(part),
        secret=str(secret or OWN_SECRET),
        user_key=str(get(part, "userSecretKey") or "DATABASE_USER"),
        password_key=str(get(part, "passwordSecretKey") or "DATABASE_PASSWORD"),
        tls=get(part, "type") == "external",
        replica_keys=replica,
        own_user=str(get(part, "user", "")),
        own_password=str(get(part, "password", "")),
    )


def _v2_name(part: Values) -> str:
    return str(get(part, "name") or V2_DEFAULT_NAME)


def _plain(chart: Chart, part: Values, key: str) -> str:
    found = get(part, key)
    if not found and chart.line is Line.V1:
        msg = (
            "unable to install airbyte chart: unable to install helm: execution error at "
            f"(airbyte/templates/env-configmap.yaml): You must set `global.database.{key}` "
            "when using an external database"
        )
        raise AbctlError(msg)
    return str(found or "")
