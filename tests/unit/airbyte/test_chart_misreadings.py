"""What a chart would take without a word and misread is refused, before anything is installed."""

from typing import Any

import pytest

from airbyte import chart_values, versions
from airbyte.chart_misreadings import MisreadError
from airbyte.chart_values import ExternalDatabase, Wish
from airbyte.renderings import Rendering
from tests.unit.airbyte.wishes import DATABASE, HTTP

V1, V2, V22 = "1.8.5", "2.0.17", "2.2.0"
ALL = (V1, V2, V22)
GROUP = "global.dataplaneGroups.defaultDataplaneGroupName"

# The owner's value, the charts that would misread it, and a word of the refusal.
REFUSED: list[tuple[str, Any, tuple[str, ...], str]] = [
    ("global.database.name", "airbyte", (V1,), "global.database"),
    ("global.database.database", "airbyte", (V2, V22), "its name in `name`"),
    ("global.database.host", "elsewhere", ALL, "follows from the settings"),
    ("global.database.type", "external ", ALL, "for a server with TLS"),
    ("postgresql.enabled", True, ALL, "postgresql"),
    ("global.secretsManager.type", "AWS_SECRET_MANAGER", ALL, "global.secretsManager"),
    ("global.auth.secretName", "mine", ALL, "global.auth.secretName"),
    ("global.auth.managedSecretName", "mine", ALL, "managedSecretName"),
    ("global.auth.instanceAdmin.password", "p", ALL, "instanceAdmin"),
    ("global.auth.enabled", "yes", ALL, "not the same in all charts"),
    ("worker.replicaCount", 1, ALL, "worker.replicaCount"),
    ("workloadLauncher.resources", {}, (V1,), "a key of chart 1.8.5"),
    ("workload-launcher.resources", {}, (V2, V22), "a key of chart"),
    ("connectorBuilderServer.resources", {}, (V1, V22), "a key of chart"),
    ("manifestServer.resources", {}, (V1, V2), "a key of chart"),
    ("airbyte-bootloader.enabled", False, ALL, "airbyte-bootloader"),
    ("airbyte-bootloader.runDatabaseMigrationsOnStartup", False, (V1,), 'the string "false"'),
    ("global.tracking.enabled", False, (V2, V22), "strategy: logging"),
    ("global.storage.type", "minio", ALL, "airbyte/minio"),
    ("global.image.tag", "1.8.4", ALL, "1.8.4` alone"),
    (GROUP, "", (V22,), "no workload is ever claimed"),
    ("temporal.database.host", "elsewhere", ALL, "host and port of global.database"),
    ("temporal.env_vars.SQL_TLS_ENABLED", "false", ALL, "SQL_TLS_ENABLED for Temporal"),
    ("temporal.extraEnv", [{"name": "POSTGRES_TLS_ENABLED"}], ALL, "POSTGRES_TLS_ENABLED"),
]


def render(chart: str, more: dict[str, Any], database: ExternalDatabase = DATABASE) -> None:
    wish = Wish(chart=versions.CHARTS[chart], access=HTTP, low_resource=False, more=more)
    chart_values.values(wish, database, Rendering.STANDBY)


def nested(path: str, value: object) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("chart", "path", "value", "word"),
    [(chart, path, value, word) for path, value, charts, word in REFUSED for chart in charts],
)
def test_refused(chart: str, path: str, value: object, word: str) -> None:
    with pytest.raises(MisreadError) as refused:
        render(chart, nested(path, value))
    assert word in str(refused.value)
    assert all(one.found and one.needed for one in refused.value.misreadings)


@pytest.mark.parametrize(
    ("chart", "path", "value"),
    [
        *((chart, "server.resources", {"limits": {"memory": "2Gi"}}) for chart in ALL),
        *((chart, "global.auth.enabled", False) for chart in ALL),
        *((chart, "global.storage", {"type": "s3", "bucket": {}}) for chart in ALL),
        (V1, "airbyte-bootloader.runDatabaseMigrationsOnStartup", "true"),
        (V2, GROUP, "auto"),
        (V22, "global.tracking.enabled", True),
    ],
)
def test_taken(chart: str, path: str, value: object) -> None:
    render(chart, nested(path, value))


@pytest.mark.parametrize("chart", ALL)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", ""])
def test_a_database_that_pods_do_not_reach_is_refused(chart: str, host: str) -> None:
    """3.1: a pod's loopback is the pod."""
    with pytest.raises(MisreadError, match="address that pods reach"):
        render(chart, {}, ExternalDatabase(host=host, port=5432, name="airbyte", tls=True))


def test_all_misreadings_are_told_at_once() -> None:
    with pytest.raises(MisreadError) as refused:
        render(V22, nested("workload-launcher", {}) | nested("global.storage.type", "minio"))
    assert len(refused.value.misreadings) == 2
