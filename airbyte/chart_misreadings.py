"""Values that a chart would take without a word and make something else of (airbyte-facts 3, 7)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airbyte.renderings import ALL, BOOTLOADER
from airbyte.versions import Chart, ChartLine, numbers

REPLICA_KEYS_SINCE = "2.1.0"
"""First chart whose pods want the credentials of a replica database too, set or not."""
OURS = (
    "postgresql",
    "global.database",
    "global.secretsManager",
    "global.auth.secretName",
    "global.auth.managedSecretName",
    "global.auth.instanceAdmin",
    *(f"{key}.replicaCount" for part in ALL for key in {part.v1, part.v2} if key),
    *(f"{key}.enabled" for key in (BOOTLOADER.v1, BOOTLOADER.v2)),
)
"""What follows from the settings, the epoch or the database; nobody else may say it."""
LOOPBACK = ("localhost", "127.", "::1")
TEMPORAL_TLS = ("SQL_TLS_ENABLED", "POSTGRES_TLS_ENABLED")

Values = Mapping[str, Any]
MISSING = object()


@dataclass(frozen=True, kw_only=True)
class Misreading:
    """One value, and what it would have to be."""

    found: str
    needed: str


class MisreadError(ValueError):
    """The chart would misread these values; nothing was installed."""

    def __init__(self, chart: Chart, misreadings: list[Misreading]) -> None:
        """Tell all of them."""
        self.misreadings = tuple(misreadings)
        lines = [f"chart {chart.version} would silently misread its values:"]
        lines += [f"- found {one.found}; needed: {one.needed}" for one in misreadings]
        super().__init__("\n".join(lines))


def refuse(chart: Chart, stated: Values, merged: Values) -> None:
    """Raise MisreadError when `chart` would misread `merged`; `stated` is without the owner's."""
    found = [*_not_ours(stated, merged)]
    found += [misreading for rule in RULES for misreading in rule(chart, merged)]
    if found:
        raise MisreadError(chart, found)


def get(values: Values, path: str) -> Any:  # noqa: ANN401 - any YAML value
    """Return the value at `a.b.c`, or MISSING."""
    found: Any = values
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return MISSING
        found = found[key]
    return found


def _not_ours(stated: Values, merged: Values) -> Iterator[Misreading]:
    for path in OURS:
        if get(stated, path) != get(merged, path):
            needed = "it left out: it follows from the settings, the epoch or the database"
            yield Misreading(found=f"`{path}`", needed=needed)


def _database(chart: Chart, values: Values) -> Iterator[Misreading]:
    database = get(values, "global.database")
    right, wrong = ("database", "name") if chart.line is ChartLine.V1 else ("name", "database")
    if not database.get(right) or wrong in database:
        # v2 would take the name `db-airbyte`, and Airbyte an empty database.
        yield Misreading(
            found=f"global.database without `{right}`", needed=f"its name in `{right}`"
        )
    host = str(database.get("host", ""))
    if not host or host.startswith(LOOPBACK):
        needed = "an address that pods reach: their own loopback is the pod"
        yield Misreading(found=f"global.database.host `{host}`", needed=needed)
    if chart.at_least(REPLICA_KEYS_SINCE) and "replica" not in database:
        needed = "userSecretKey and passwordSecretKey in it: no pod starts without them"
        yield Misreading(found="no global.database.replica", needed=needed)
    if database.get("type") not in ("internal", "external"):
        needed = "`external` for a server with TLS, `internal` for one without"
        yield Misreading(found=f"global.database.type `{database.get('type')}`", needed=needed)


def _other_keys(chart: Chart, values: Values) -> Iterator[Misreading]:
    """Find keys that the chart ignores: what they say would not happen."""
    known = {part.key(chart.line) for part in (*ALL, BOOTLOADER) if part.is_in(chart)}
    every = {key for part in (*ALL, BOOTLOADER) for key in (part.v1, part.v2)}
    for key in sorted((every - known) & set(values)):
        yield Misreading(found=f"`{key}`", needed=f"a key of chart {chart.version}, or none")
    if get(values, "temporal.database") is not MISSING:
        needed = "none: Temporal takes host and port of global.database"
        yield Misreading(found="`temporal.database`", needed=needed)


def _lost(chart: Chart, values: Values) -> Iterator[Misreading]:
    """Find booleans that a template's `default` takes for missing."""
    path = f"{BOOTLOADER.v1}.runDatabaseMigrationsOnStartup"
    if chart.line is ChartLine.V1 and isinstance(get(values, path), bool):
        yield Misreading(found=f"`{path}` as a boolean", needed='the string "false" or "true"')
    if chart.line is ChartLine.V2 and get(values, "global.tracking.enabled") is False:
        yield Misreading(found="`global.tracking.enabled: false`", needed="`strategy: logging`")


def _auth(_chart: Chart, values: Values) -> Iterator[Misreading]:
    if not isinstance(get(values, "global.auth.enabled"), bool):
        needed = "true or false: the default is not the same in all charts"
        yield Misreading(found="no boolean in `global.auth.enabled`", needed=needed)


def _storage(_chart: Chart, values: Values) -> Iterator[Misreading]:
    image = get(values, "minio.image.repository")
    if get(values, "global.storage.type") in (MISSING, "minio") and image != "airbyte/minio":
        needed = "`local`, or `minio.image.repository: airbyte/minio`: the default image is gone"
        yield Misreading(found="`global.storage.type` minio", needed=needed)


def _version(chart: Chart, values: Values) -> Iterator[Misreading]:
    key = "version" if chart.line is ChartLine.V1 else "global.version"
    tag = get(values, "global.image.tag")
    if tag is not MISSING and get(values, key) != tag:
        needed = f"`{key}: {tag}` beside it, or the chart of that version"
        yield Misreading(found=f"`global.image.tag: {tag}` alone", needed=needed)


def _dataplane_group(chart: Chart, values: Values) -> Iterator[Misreading]:
    name = get(values, "global.dataplaneGroups.defaultDataplaneGroupName")
    if numbers(chart.airbyte) >= (2, 0) and str(name).lower() != "auto":
        needed = "AUTO, as the migrated workspaces say: else no workload is ever claimed"
        yield Misreading(found="another `defaultDataplaneGroupName`", needed=needed)


def _temporal_tls(_chart: Chart, values: Values) -> Iterator[Misreading]:
    extra = get(values, "temporal.extraEnv")
    named = {one.get("name") for one in extra} if isinstance(extra, list) else set()
    variables = get(values, "temporal.env_vars")
    named |= set(variables) if isinstance(variables, Mapping) else set()
    for name in sorted(named & set(TEMPORAL_TLS)):
        needed = "none: it would only be there twice; the server's TLS decides"
        yield Misreading(found=f"{name} for Temporal", needed=needed)


Rule = Callable[[Chart, Values], Iterator[Misreading]]
RULES: tuple[Rule, ...] = (
    _database,
    _other_keys,
    _lost,
    _auth,
    _storage,
    _version,
    _dataplane_group,
    _temporal_tls,
)
