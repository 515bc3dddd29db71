"""Helm values of an Airbyte that `abctl` installs, for both chart lines (airbyte-facts 2.4, 3).

Every Airbyte has several renderings; which of them applies is the epoch's matter. All that a chart
or abctl has a default for and that matters here is stated: defaults flip between charts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airbyte import chart_misreadings
from airbyte.chart_secrets import CONFIG_SECRET, PASSWORD_KEY, USER_KEY
from airbyte.renderings import BOOTLOADER, Component, Rendering, components
from airbyte.versions import Chart, ChartLine

DATAPLANE_GROUP = "AUTO"
"""Name that a migrated compose database has; with another one no workload is ever claimed."""

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ExternalDatabase:
    """The PostgreSQL that the chart's pods connect to; its password is a Secret."""

    host: str
    port: int
    name: str
    tls: bool
    """Whether Temporal must use TLS. Airbyte's own driver (JDBC) takes what the server offers: a
    server that refuses plain text gets TLS from it either way, and no value of the chart says so.
    """


@dataclass(frozen=True, kw_only=True)
class Access:
    """How people reach it."""

    url: str
    """Where they open it."""
    host: str | None = None
    """Name in that URL, if the ingress shall answer to names only."""

    @property
    def plain(self) -> bool:
        """Whether it is plain http: secure cookies would let nobody log in."""
        return not self.url.startswith("https://")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """All of an installation but its database and what runs."""

    chart: Chart
    access: Access
    low_resource: bool
    more: Mapping[str, Any] = field(default_factory=dict)
    """The owner's own values; they win."""


def values(wish: Wish, database: ExternalDatabase, rendering: Rendering) -> Values:
    """Return the values file as a mapping; it holds no secret.

    Raises:
        MisreadError: the chart would silently make something else of it.
    """
    line = wish.chart.line
    stated: Values = {
        "postgresql": {"enabled": False},
        "global": _global(wish, database),
        # The bootloader writes and migrates at every install: never point this at the mirror.
        BOOTLOADER.key(line): {"enabled": rendering is not Rendering.PREPARED},
        **{
            component.key(line): {"replicaCount": _replicas(component, rendering)}
            for component in components(wish.chart)
        },
    }
    merged = merge(stated, wish.more)
    chart_misreadings.refuse(wish.chart, stated, merged)
    return merged


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> Values:
    """Return `base` with the values of `override` winning, mapping by mapping, as Helm does."""
    result: Values = dict(base)
    for key, value in override.items():
        mine = result.get(key)
        both = isinstance(mine, Mapping) and isinstance(value, Mapping)
        result[key] = merge(mine, value) if both else value  # type: ignore[arg-type]
    return result


def install_arguments(wish: Wish, *, port: int) -> list[str]:
    """Return the flags of `abctl local install` without the files.

    `port` counts only when the cluster is made; changing it later needs `abctl local uninstall`.
    """
    # Never by image tag: AIRBYTE_VERSION, which the bootloader stores, follows the chart.
    arguments = ["--chart-version", wish.chart.version, "--port", str(port), "--no-browser"]
    if wish.low_resource:
        arguments.append("--low-resource-mode")
    if wish.access.host is not None:
        arguments += ["--host", wish.access.host]
    if wish.access.plain:
        arguments.append("--insecure-cookies")
    return arguments


def _replicas(component: Component, rendering: Rendering) -> int:
    if rendering is Rendering.PREPARED:
        return 0
    return 0 if component.syncs and rendering is Rendering.STANDBY else 1


def _global(wish: Wish, database: ExternalDatabase) -> Values:
    resources: Values = {"limits": {"cpu": "3", "memory": "4Gi"}}
    if wish.low_resource:
        resources["requests"] = {"cpu": "0", "memory": "0"}
    # A string: the charts take the boolean false for a value that is missing.
    cookies = {"cookieSecureSetting": "false" if wish.access.plain else "true"}
    common: Values = {
        "database": _database(wish.chart, database),
        # `minio`, the default of some, names an image that is gone.
        "storage": {"type": "local"},
        "jobs": {"resources": resources},
    }
    if wish.chart.line is ChartLine.V1:
        return common | {
            "auth": {"enabled": True, **cookies},
            "env_vars": {"TRACKING_STRATEGY": "logging"},
        }
    return common | {
        "airbyteUrl": wish.access.url,
        "auth": {"enabled": True, "security": cookies},
        "dataplaneGroups": {"defaultDataplaneGroupName": DATAPLANE_GROUP},
        "migrations": {"runAtStartup": True},
        # `enabled: false` would be lost: the template takes it for missing.
        "tracking": {"strategy": "logging"},
    }


def _database(chart: Chart, database: ExternalDatabase) -> Values:
    keys = {"userSecretKey": USER_KEY, "passwordSecretKey": PASSWORD_KEY}
    found: Values = {
        # `external` forces TLS on Temporal; `internal` with the bundled server off does not.
        "type": "external" if database.tls else "internal",
        "host": database.host,
        "port": database.port,
        # A wrong key is no error in v2: it silently means the database `db-airbyte`.
        ("database" if chart.line is ChartLine.V1 else "name"): database.name,
        "secretName": CONFIG_SECRET,
        **keys,
    }
    if chart.at_least(chart_misreadings.REPLICA_KEYS_SINCE):
        # Without them every pod waits for keys that the Secret does not have.
        found["replica"] = dict(keys)
    return found
