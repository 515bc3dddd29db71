"""Values files of both chart lines, in every rendering."""

import pytest

from airbyte import chart_values, versions
from airbyte.chart_values import BOOTLOADER, COMPONENTS, ExternalDatabase, Rendering
from airbyte.versions import Chart, ChartLine

DATABASE = ExternalDatabase(host="10.0.0.13", port=5432, name="airbyte", tls=True)
V1, V2 = versions.CHARTS["1.8.5"], versions.CHARTS["2.0.17"]
BOTH = pytest.mark.parametrize("chart", [V1, V2], ids=["v1", "v2"])


@BOTH
def test_a_standby_runs_nothing_that_syncs(chart: Chart) -> None:
    """One worker on a copy of prod's database writes every destination a second time."""
    values = chart_values.values(chart, DATABASE, Rendering.STANDBY)
    for component in COMPONENTS:
        expected = 0 if component.syncs else 1
        assert values[component.key(chart.line)] == {"replicaCount": expected}
    assert {component.v1 for component in COMPONENTS if component.syncs} == {
        "worker",
        "cron",
        "workload-launcher",
    }


@BOTH
def test_an_active_one_runs_everything(chart: Chart) -> None:
    values = chart_values.values(chart, DATABASE, Rendering.ACTIVE)
    assert all(values[c.key(chart.line)] == {"replicaCount": 1} for c in COMPONENTS)


@BOTH
def test_a_prepared_one_runs_nothing_and_has_no_bootloader(chart: Chart) -> None:
    """One Deployment left at 1 would connect to a database that is not its own yet."""
    values = chart_values.values(chart, DATABASE, Rendering.PREPARED)
    assert all(values[c.key(chart.line)] == {"replicaCount": 0} for c in COMPONENTS)
    assert values[BOOTLOADER.key(chart.line)] == {"enabled": False}


@pytest.mark.parametrize(
    ("chart", "keys"),
    [
        (V1, {"workload-launcher", "workload-api-server", "connector-builder-server"}),
        (V2, {"workloadLauncher", "workloadApiServer", "connectorBuilderServer"}),
    ],
    ids=["v1", "v2"],
)
def test_every_deployment_of_the_chart_has_its_key(chart: Chart, keys: set[str]) -> None:
    """A key of the other line is ignored, and the Deployment runs with the chart's own 1."""
    plain = {"server", "temporal", "worker", "cron"}
    assert {component.key(chart.line) for component in COMPONENTS} == plain | keys


@BOTH
@pytest.mark.parametrize("rendering", Rendering)
def test_renderings_differ_only_in_what_runs(chart: Chart, rendering: Rendering) -> None:
    found = chart_values.values(chart, DATABASE, rendering)
    active = chart_values.values(chart, DATABASE, Rendering.ACTIVE)
    running = {component.key(chart.line) for component in (*COMPONENTS, BOOTLOADER)}
    assert {key for key in found if found[key] != active[key]} <= running


@BOTH
def test_another_server_changes_the_address_alone(chart: Chart) -> None:
    other = ExternalDatabase(host="10.0.0.14", port=35432, name="airbyte", tls=False)
    here, there = (
        chart_values.values(chart, database, Rendering.ACTIVE) for database in (DATABASE, other)
    )
    assert (there["global"]["database"]["host"], there["global"]["database"]["port"]) == (
        "10.0.0.14",
        35432,
    )
    del here["global"]["database"], there["global"]["database"]
    assert here == there


def test_a_rendering_is_named_after_its_server() -> None:
    assert [rendering.on("intermediary") for rendering in Rendering] == [
        "standby-intermediary",
        "active-intermediary",
        "prepared",
    ]


@BOTH
def test_the_external_database_is_used_and_the_bundled_one_off(chart: Chart) -> None:
    values = chart_values.values(chart, DATABASE, Rendering.STANDBY)
    database = values["global"]["database"]
    assert values["postgresql"] == {"enabled": False}
    assert values["global"]["auth"] == {"enabled": True}
    assert values["global"]["storage"] == {"type": "local"}
    assert (database["host"], database["port"]) == ("10.0.0.13", 5432)
    assert "password" not in database


def test_each_line_has_its_own_key_for_the_database() -> None:
    """A wrong key is silent in v2: it means a database called db-airbyte."""
    v1, v2 = (
        chart_values.values(chart, DATABASE, Rendering.STANDBY)["global"]["database"]
        for chart in (V1, V2)
    )
    assert (v1["database"], v1.get("name")) == ("airbyte", None)
    assert (v2["name"], v2.get("database")) == ("airbyte", None)


@BOTH
def test_the_bootloader_runs_under_its_own_key(chart: Chart) -> None:
    key = "airbyte-bootloader" if chart.line is ChartLine.V1 else "airbyteBootloader"
    assert chart_values.values(chart, DATABASE, Rendering.STANDBY)[key] == {"enabled": True}


def test_without_tls_temporal_is_not_forced_to_it() -> None:
    plain = ExternalDatabase(host="h", port=1, name="airbyte", tls=False)
    kinds = [
        chart_values.values(V1, database, Rendering.STANDBY)["global"]["database"]["type"]
        for database in (DATABASE, plain)
    ]
    assert kinds == ["external", "internal"]


def test_the_dataplane_group_is_the_migrated_databases_in_v2() -> None:
    values = chart_values.values(V2, DATABASE, Rendering.STANDBY)["global"]
    assert values["dataplaneGroups"] == {"defaultDataplaneGroupName": "AUTO"}
    assert "dataplaneGroups" not in chart_values.values(V1, DATABASE, Rendering.ACTIVE)["global"]


def test_secrets_carry_the_keys_that_the_values_name() -> None:
    database = chart_values.values(V1, DATABASE, Rendering.STANDBY)["global"]["database"]
    secret = chart_values.config_secret(user="airbyte", password="p")
    assert secret["metadata"]["name"] == database["secretName"]
    assert set(secret["stringData"]) == {database["userSecretKey"], database["passwordSecretKey"]}
    auth = chart_values.auth_secret(admin_password="a", client_secret="c")
    assert auth["metadata"]["name"] == "airbyte-auth-secrets"
    assert auth["stringData"]["instance-admin-password"] == "a"
    assert auth["stringData"]["instance-admin-client-secret"] == "c"


def test_install_flags_pin_the_chart_and_hold_no_file() -> None:
    flags = chart_values.install_arguments(V1, port=8000, low_resource=True, host="a.example.com")
    assert flags == [
        *("--chart-version", "1.8.5", "--port", "8000", "--no-browser"),
        *("--low-resource-mode", "--host", "a.example.com", "--insecure-cookies"),
    ]
    plain = chart_values.install_arguments(V2, port=9000, low_resource=False, host=None)
    assert "--low-resource-mode" not in plain
    assert "--host" not in plain
