"""The values a chart gets: abctl's own, overridden by the user's file."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

from .charts import Line
from .output import AbctlError

if TYPE_CHECKING:
    from pathlib import Path

    from .charts import Chart

Values = dict[str, Any]
PSQL17_TAG = "1.7.0-17"
LOW_RESOURCE_VARIABLES = tuple(
    f"{part}_{unit}_REQUEST"
    for part in (
        "CHECK_JOB_MAIN_CONTAINER",
        "DISCOVER_JOB_MAIN_CONTAINER",
        "SPEC_JOB_MAIN_CONTAINER",
        "SIDECAR_MAIN_CONTAINER",
    )
    for unit in ("CPU", "MEMORY")
)


def read(path: str) -> Values:
    """Read a values file; an empty one is an empty mapping."""
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - the flag's text, as given
            found = yaml.safe_load(file)
    except yaml.YAMLError as error:
        msg = f"failed to unmarshal file {path}: {error}"
        raise AbctlError(msg) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        msg = f"failed to unmarshal file {path}: yaml: cannot unmarshal into a map"
        raise AbctlError(msg)
    return found


def get(values: Values, path: str, default: Any = None) -> Any:  # noqa: ANN401 - any YAML value
    """Read `a.b.c`; an empty or null value counts as missing, as in a template's `default`."""
    found: Any = values
    for key in path.split("."):
        if not isinstance(found, dict) or found.get(key) is None:
            return default
        found = found[key]
    return found


def put(values: Values, path: str, value: Any) -> None:  # noqa: ANN401 - any YAML value
    """Set `a.b.c`."""
    *parents, last = path.split(".")
    for key in parents:
        values = values.setdefault(key, {})
    values[last] = value


def merge(base: Values, override: Values) -> Values:
    """Return base with the override's values winning, mapping by mapping."""
    result = copy.copy(base)
    for key, value in override.items():
        mine = result.get(key)
        both = isinstance(mine, dict) and isinstance(value, dict)
        result[key] = merge(mine, value) if both else value  # type: ignore[arg-type]
    return result


def injected(flags: dict[str, Any], chart: Chart, data: Path) -> Values:
    """Return what abctl sets by itself."""
    found: Values = {}
    put(found, "global.env_vars.AIRBYTE_INSTALLATION_ID", "")
    put(found, "global.jobs.resources.limits", {"cpu": "3", "memory": "4Gi"})
    put(found, "airbyte-bootloader.env_vars.PLATFORM_LOG_FORMAT", "json")
    if not (data / "airbyte-minio-pv").is_dir():
        put(found, "global.storage.type", "local")
    marker = data / "airbyte-volume-db" / "pgdata" / "PG_VERSION"
    if not marker.exists() or marker.read_text().strip() in {"", "17"}:
        put(found, "postgresql.image.tag", PSQL17_TAG)
    if not flags["disable-auth"]:
        put(found, "global.auth.enabled", value=True)
    if chart.line is Line.V2:
        put(found, "server.env_vars.WEBAPP_URL", "http://airbyte-abctl-airbyte-server-svc")
        put(found, "global.airbyteUrl", f"http://localhost:{flags['port']}")
    if flags["low-resource-mode"]:
        _low_resources(found, chart)
    if flags["insecure-cookies"]:
        place = "security." if chart.line is Line.V2 else ""
        # A string in both charts: abctl quotes it.
        put(found, f"global.auth.{place}cookieSecureSetting", '"false"')
    if flags["docker-username"] and flags["docker-password"]:
        put(found, "global.imagePullSecrets", [{"name": "docker-auth"}])
    return found


def _low_resources(found: Values, chart: Chart) -> None:
    v2 = chart.line is Line.V2
    launcher = "workloadLauncher" if v2 else "workload-launcher"
    builder = "connectorBuilderServer" if v2 else "connector-builder-server"
    put(found, "server.env_vars.JOB_RESOURCE_VARIANT_OVERRIDE", "lowresource")
    put(found, "global.jobs.resources.requests", {"cpu": "0", "memory": "0"})
    put(found, f"{builder}.enabled", value=False)
    for name in LOW_RESOURCE_VARIABLES:
        put(found, f"{launcher}.env_vars.{name}", "0")


def build(flags: dict[str, Any], chart: Chart, data: Path) -> Values:
    """Return the chart's values."""
    if chart.line is Line.V2 and not 0 < flags["port"] <= 65535:
        msg = (
            "failed to build values yaml for v2 chart: "
            f"invalid port {flags['port']}: must be between 1 and 65535"
        )
        raise AbctlError(msg)
    return merge(injected(flags, chart, data), read(flags["values"]))
