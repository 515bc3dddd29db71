"""Helm values and Kubernetes Secrets of an Airbyte that `abctl` installs, for both chart lines.

Every Airbyte has several renderings; which of them applies is the epoch's matter.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any

from airbyte.versions import Chart, ChartLine

CONFIG_SECRET = "airbyte-config-secrets"  # noqa: S105 - the object's name
AUTH_SECRET = "airbyte-auth-secrets"  # noqa: S105
USER_KEY = "database-user"
PASSWORD_KEY = "database-password"  # noqa: S105
CLIENT_ID = "airbyte-migration"
"""Client id of the API's application; its secret comes from the settings."""
DATAPLANE_GROUP = "AUTO"
"""Name that a migrated compose database has; with another one no workload is ever claimed."""

Values = dict[str, Any]


@unique
class Rendering(StrEnum):
    """What an installed Airbyte may do."""

    STANDBY = "standby"
    """It answers, on a copy: nothing that starts a sync runs."""
    ACTIVE = "active"
    PREPARED = "prepared"
    """Installed, but nothing runs and nothing connects to a database."""

    def on(self, server: str) -> str:
        """Return the name of this rendering on the database of `server`."""
        return self if self is Rendering.PREPARED else f"{self}-{server}"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One Deployment of the chart, under the key that each chart line uses."""

    v1: str
    v2: str
    syncs: bool
    """It starts, claims or repeats syncs: one of them on a copy writes destinations twice."""

    def key(self, line: ChartLine) -> str:
        """Return the top-level key of the values file."""
        return self.v1 if line is ChartLine.V1 else self.v2


COMPONENTS: tuple[Component, ...] = (
    Component(v1="server", v2="server", syncs=False),
    Component(v1="temporal", v2="temporal", syncs=False),
    Component(v1="workload-api-server", v2="workloadApiServer", syncs=False),
    Component(v1="connector-builder-server", v2="connectorBuilderServer", syncs=False),
    Component(v1="worker", v2="worker", syncs=True),
    Component(v1="cron", v2="cron", syncs=True),
    Component(v1="workload-launcher", v2="workloadLauncher", syncs=True),
)
BOOTLOADER = Component(v1="airbyte-bootloader", v2="airbyteBootloader", syncs=False)


@dataclass(frozen=True, kw_only=True)
class ExternalDatabase:
    """The PostgreSQL that the chart's pods connect to; its password is a Secret."""

    host: str
    port: int
    name: str
    tls: bool


def values(chart: Chart, database: ExternalDatabase, rendering: Rendering) -> Values:
    """Return the values file as a mapping; it holds no secret."""
    running: Values = {
        component.key(chart.line): {"replicaCount": _replicas(component, rendering)}
        for component in COMPONENTS
    }
    return {
        "postgresql": {"enabled": False},
        "global": {
            "auth": {"enabled": True},
            "database": _database(chart.line, database),
            "storage": {"type": "local"},
            **_dataplane_group(chart.line),
        },
        # The bootloader writes and migrates at every install: never point this at the mirror.
        BOOTLOADER.key(chart.line): {"enabled": rendering is not Rendering.PREPARED},
        **running,
    }


def config_secret(*, user: str, password: str) -> Values:
    """Return the Secret with the database's credential."""
    return _secret(CONFIG_SECRET, {USER_KEY: user, PASSWORD_KEY: password})


def auth_secret(*, admin_password: str, client_secret: str) -> Values:
    """Return the Secret that pins login and API client; the bootloader adds the other keys."""
    return _secret(
        AUTH_SECRET,
        {
            "instance-admin-password": admin_password,
            "instance-admin-client-id": CLIENT_ID,
            "instance-admin-client-secret": client_secret,
        },
    )


def install_arguments(
    chart: Chart, *, port: int, low_resource: bool, host: str | None
) -> list[str]:
    """Return the flags of `abctl local install` without the files.

    `port` counts only when the cluster is made; changing it later needs `abctl local uninstall`.
    """
    arguments = ["--chart-version", chart.version, "--port", str(port), "--no-browser"]
    if low_resource:
        arguments.append("--low-resource-mode")
    if host is not None:
        arguments += ["--host", host]
    # Login over plain http under a name other than localhost fails with secure cookies.
    return [*arguments, "--insecure-cookies"]


def _replicas(component: Component, rendering: Rendering) -> int:
    if rendering is Rendering.PREPARED:
        return 0
    return 0 if component.syncs and rendering is Rendering.STANDBY else 1


def _database(line: ChartLine, database: ExternalDatabase) -> Values:
    return {
        # `external` forces TLS on Temporal; `internal` with the bundled server off does not.
        "type": "external" if database.tls else "internal",
        "host": database.host,
        "port": database.port,
        # A wrong key is no error in v2: it silently means the database `db-airbyte`.
        ("database" if line is ChartLine.V1 else "name"): database.name,
        "secretName": CONFIG_SECRET,
        "userSecretKey": USER_KEY,
        "passwordSecretKey": PASSWORD_KEY,
    }


def _dataplane_group(line: ChartLine) -> Values:
    if line is ChartLine.V1:
        return {}
    return {"dataplaneGroups": {"defaultDataplaneGroupName": DATAPLANE_GROUP}}


def _secret(name: str, data: dict[str, str]) -> Values:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "stringData": data,
    }
