"""Values files of both chart lines, in every rendering."""

import pytest

from airbyte import chart_secrets, chart_values, versions
from airbyte.chart_values import Access, ExternalDatabase
from airbyte.renderings import BOOTLOADER, Rendering, components
from airbyte.versions import Chart, ChartLine
from tests.unit.airbyte import wishes
from tests.unit.airbyte.wishes import DATABASE, GOLDEN, PLAIN, wish

V1, V2, V22 = versions.CHARTS.values()
EACH = pytest.mark.parametrize("chart", versions.CHARTS.values(), ids=list(versions.CHARTS))
FILES = dict(wishes.files())


@pytest.mark.parametrize("path", FILES)
def test_the_rendered_file_is_the_one_that_was_reviewed(path: str) -> None:
    """Byte for byte. To renew them all: python -m tests.unit.airbyte.wishes; then read the diff."""
    assert FILES[path].encode() == (GOLDEN / path).read_bytes()


def test_no_reviewed_file_is_of_something_that_is_gone() -> None:
    found = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()}
    assert found == set(FILES)


@EACH
def test_a_standby_runs_nothing_that_syncs(chart: Chart) -> None:
    """One worker on a copy of prod's database writes every destination a second time."""
    values = chart_values.values(wish(chart), DATABASE, Rendering.STANDBY)
    for component in components(chart):
        expected = 0 if component.syncs else 1
        assert values[component.key(chart.line)] == {"replicaCount": expected}
    assert {component.v1 for component in components(chart) if component.syncs} == {
        "worker",
        "cron",
        "workload-launcher",
    }


@EACH
def test_an_active_one_runs_everything(chart: Chart) -> None:
    values = chart_values.values(wish(chart), DATABASE, Rendering.ACTIVE)
    assert all(values[c.key(chart.line)] == {"replicaCount": 1} for c in components(chart))


@EACH
def test_a_prepared_one_runs_nothing_and_has_no_bootloader(chart: Chart) -> None:
    """One Deployment left at 1 would connect to a database that is not its own yet."""
    values = chart_values.values(wish(chart), DATABASE, Rendering.PREPARED)
    assert all(values[c.key(chart.line)] == {"replicaCount": 0} for c in components(chart))
    assert values[BOOTLOADER.key(chart.line)] == {"enabled": False}


@pytest.mark.parametrize(
    ("chart", "keys"),
    [
        (V1, {"workload-launcher", "workload-api-server", "connector-builder-server"}),
        (V2, {"workloadLauncher", "workloadApiServer", "connectorBuilderServer"}),
        (V22, {"workloadLauncher", "workloadApiServer", "manifestServer"}),
    ],
    ids=list(versions.CHARTS),
)
def test_every_deployment_of_the_chart_has_its_key(chart: Chart, keys: set[str]) -> None:
    """A key of the other line is ignored, and the Deployment runs with the chart's own 1."""
    plain = {"server", "temporal", "worker", "cron"}
    assert {component.key(chart.line) for component in components(chart)} == plain | keys


@EACH
@pytest.mark.parametrize("rendering", Rendering)
def test_renderings_differ_only_in_what_runs(chart: Chart, rendering: Rendering) -> None:
    found = chart_values.values(wish(chart), DATABASE, rendering)
    active = chart_values.values(wish(chart), DATABASE, Rendering.ACTIVE)
    running = {component.key(chart.line) for component in (*components(chart), BOOTLOADER)}
    assert {key for key in found if found[key] != active[key]} <= running


@EACH
def test_another_server_changes_the_address_alone(chart: Chart) -> None:
    other = ExternalDatabase(host="10.0.0.14", port=35432, name="airbyte", tls=False)
    here, there = (
        chart_values.values(wish(chart), database, Rendering.ACTIVE)
        for database in (DATABASE, other)
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


@EACH
def test_the_external_database_is_used_and_the_bundled_one_off(chart: Chart) -> None:
    values = chart_values.values(wish(chart), DATABASE, Rendering.STANDBY)
    database = values["global"]["database"]
    assert values["postgresql"] == {"enabled": False}
    assert values["global"]["auth"]["enabled"] is True
    assert values["global"]["storage"] == {"type": "local"}
    assert (database["host"], database["port"]) == ("10.0.0.13", 5432)
    assert "password" not in database


def test_each_line_has_its_own_key_for_the_database() -> None:
    """A wrong key is silent in v2: it means a database called db-airbyte."""
    v1, v2 = (
        chart_values.values(wish(chart), DATABASE, Rendering.STANDBY)["global"]["database"]
        for chart in (V1, V2)
    )
    assert (v1["database"], v1.get("name")) == ("airbyte", None)
    assert (v2["name"], v2.get("database")) == ("airbyte", None)


@EACH
def test_the_bootloader_runs_under_its_own_key(chart: Chart) -> None:
    key = "airbyte-bootloader" if chart.line is ChartLine.V1 else "airbyteBootloader"
    assert chart_values.values(wish(chart), DATABASE, Rendering.STANDBY)[key] == {"enabled": True}


def test_without_tls_temporal_is_not_forced_to_it() -> None:
    kinds = [
        chart_values.values(wish(V1), database, Rendering.STANDBY)["global"]["database"]["type"]
        for database in (DATABASE, PLAIN)
    ]
    assert kinds == ["external", "internal"]


@EACH
def test_the_dataplane_group_is_the_migrated_databases_in_v2(chart: Chart) -> None:
    found = chart_values.values(wish(chart), DATABASE, Rendering.STANDBY)["global"]
    expected = None if chart is V1 else {"defaultDataplaneGroupName": "AUTO"}
    assert found.get("dataplaneGroups") == expected


@EACH
def test_no_chart_reports_to_anybody(chart: Chart) -> None:
    """`tracking.enabled: false` would be lost in the template."""
    found = chart_values.values(wish(chart), DATABASE, Rendering.ACTIVE)["global"]
    if chart is V1:
        assert found["env_vars"] == {"TRACKING_STRATEGY": "logging"}
    else:
        assert found["tracking"] == {"strategy": "logging"}


def test_what_the_owner_wants_more_wins_and_leaves_the_rest() -> None:
    more = {"server": {"resources": {"limits": {"memory": "2Gi"}}}}
    plain = chart_values.values(wish(V1), DATABASE, Rendering.ACTIVE)
    wanted = chart_values.Wish(chart=V1, access=wishes.HTTP, low_resource=False, more=more)
    found = chart_values.values(wanted, DATABASE, Rendering.ACTIVE)
    assert found["server"] == {"replicaCount": 1} | more["server"]
    assert {key: found[key] for key in found if key != "server"} == {
        key: plain[key] for key in plain if key != "server"
    }


@EACH
def test_secrets_carry_the_keys_that_the_values_name(chart: Chart) -> None:
    """14: charts 2.1 and 2.2 want keys for a replica too, from the same Secret."""
    database = chart_values.values(wish(chart), DATABASE, Rendering.STANDBY)["global"]["database"]
    secret = chart_secrets.config_secret(user="airbyte", password="p")
    assert secret["metadata"]["name"] == database["secretName"]
    for named in (database, database.get("replica", database)):
        keys = {named["userSecretKey"], named["passwordSecretKey"]}
        assert set(secret["stringData"]) == keys
    assert ("replica" in database) is (chart is V22)


def test_the_auth_secret_pins_login_client_and_the_key_of_tokens() -> None:
    def auth(shared: str, admin: str = "a") -> dict[str, str]:
        given = {"admin_password": admin, "client_secret": "c", "shared": shared}
        secret = chart_secrets.auth_secret(**given)
        assert secret["metadata"]["name"] == "airbyte-auth-secrets"
        return dict(secret["stringData"])

    one, other, replica = auth("s"), auth("t"), auth("s", admin="b")
    assert (one["instance-admin-password"], one["instance-admin-client-secret"]) == ("a", "c")
    assert one["jwt-signature-secret"] == replica["jwt-signature-secret"]
    assert one["jwt-signature-secret"] != other["jwt-signature-secret"]
    assert one["jwt-signature-secret"] != "s"
    assert not [key for key in one if key.startswith("dataplane-")]


def test_install_flags_pin_the_chart_and_hold_no_file() -> None:
    named = Access(url="http://a.example.com", host="a.example.com")
    flags = chart_values.install_arguments(wish(V1, named, low_resource=True), port=8000)
    assert flags == [
        *("--chart-version", "1.8.5", "--port", "8000", "--no-browser"),
        *("--low-resource-mode", "--host", "a.example.com", "--insecure-cookies"),
    ]
    plain = chart_values.install_arguments(wish(V2), port=9000)
    assert "--low-resource-mode" not in plain
    assert "--host" not in plain


@EACH
@pytest.mark.parametrize(("url", "secure"), [("http://h:8000", "false"), ("https://h", "true")])
def test_cookies_are_secure_where_people_come_by_https(chart: Chart, url: str, secure: str) -> None:
    """Over plain http under another name than localhost nobody could log in with secure ones."""
    wanted = wish(chart, Access(url=url))
    auth = chart_values.values(wanted, DATABASE, Rendering.ACTIVE)["global"]["auth"]
    auth = auth if chart is V1 else auth["security"]
    assert auth["cookieSecureSetting"] == secure
    insecure = "--insecure-cookies" in chart_values.install_arguments(wanted, port=8000)
    assert insecure is (secure == "false")
