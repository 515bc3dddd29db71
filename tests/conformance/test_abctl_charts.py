"""What the charts make of a values file."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.abctl import charts, values
from lab.abctl.output import AbctlError
from lab.abctl.render import Rendered, Renderer

FLAGS: dict[str, Any] = {
    "disable-auth": False,
    "low-resource-mode": False,
    "insecure-cookies": False,
    "docker-username": "",
    "docker-password": "",
    "port": 8000,
    "values": "",
}
DATABASE: dict[str, Any] = {
    "type": "internal",
    "host": "pg.example",
    "port": 5432,
    "secretName": "airbyte-config-secrets",
    "userSecretKey": "database-user",
    "passwordSecretKey": "database-password",
}
V1, V2, V22 = "1.8.5", "2.0.17", "2.2.0"
ALL = {
    "server",
    "worker",
    "cron",
    "workload-launcher",
    "workload-api-server",
    "temporal",
    "connector-builder-server",
}


def render(
    tmp_path: Path,
    chart_version: str,
    *,
    flags: dict[str, Any] | None = None,
    **more: Any,  # noqa: ANN401 - YAML
) -> Rendered:
    key = "database" if chart_version < "2" else "name"
    database = {**DATABASE, key: "airbyte"} | more.pop("database", {})
    part = {"database": database} | more.pop("global_", {})
    text = {"postgresql": {"enabled": False}, "global": part} | more
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(text))
    chart = charts.resolve("", chart_version)
    built = values.build(FLAGS | {"values": str(file)} | (flags or {}), chart, tmp_path)
    return Renderer(chart, built).render()


def names(rendered: Rendered) -> set[str]:
    found = {one["metadata"]["name"] for one in rendered.deployments}
    return {name.removeprefix("airbyte-abctl-") for name in found}


def environment(rendered: Rendered, name: str) -> dict[str, Any]:
    found = {one["metadata"]["name"]: one for one in rendered.deployments}
    spec = found[f"airbyte-abctl-{name}"]["spec"]["template"]["spec"]
    return {entry["name"]: entry for entry in spec["containers"][0]["env"]}


def config(rendered: Rendered) -> dict[str, str]:
    return dict(rendered.config_map["data"])


@pytest.mark.parametrize(
    ("chart", "app"), [("1.8.5", "1.8.5"), ("2.0.17", "1.8.5"), ("2.0.18", "2.0.0")]
)
def test_chart_is_not_app_version(chart: str, app: str) -> None:
    """0: chart 2.0.x below 2.0.18 is not app 2.0.x."""
    assert charts.resolve("", chart).app_version == app


def test_repositories() -> None:
    """2.2: from 2.0.0 on the v2 repository; without a version the newest stable v2."""
    assert charts.resolve("", "").line is charts.Line.V2
    assert charts.resolve("", V1).url.startswith(charts.V1_URL)
    with pytest.raises(AbctlError, match="404"):
        charts.resolve("", "2.0.99")


def test_what_the_charts_create(tmp_path: Path) -> None:
    """3.3: v1 1.8.5, v2 below 2.1, and 2.2.0 without the builder but with manifest-server."""
    assert names(render(tmp_path, V1)) == ALL
    assert names(render(tmp_path, V2)) == ALL
    newer = names(render(tmp_path, V22))
    assert newer == (ALL - {"connector-builder-server"}) | {"manifest-server"}


def test_database_key_differs(tmp_path: Path) -> None:
    """3.1: v1 `database`, v2 `name`; a wrong key silently means db-airbyte, or fails in v1."""
    assert config(render(tmp_path, V1))["DATABASE_URL"].endswith(":5432/airbyte")
    assert config(render(tmp_path, V2))["DATABASE_URL"].endswith(":5432/airbyte")
    wrong = {"name": None, "database": "airbyte"}
    assert config(render(tmp_path, V2, database=wrong))["DATABASE_DB"] == "db-airbyte"
    with pytest.raises(AbctlError, match=r"global\.database\.database"):
        render(tmp_path, V1, database={"name": "airbyte", "database": None})


@pytest.mark.parametrize("version", [V1, V2, V22])
@pytest.mark.parametrize(("kind", "tls"), [("external", "true"), ("internal", "false")])
def test_type_external_forces_temporals_tls(
    tmp_path: Path, version: str, kind: str, tls: str
) -> None:
    """3.2: nothing else uses `type`; Temporal reads host and port, not the URL."""
    found = environment(render(tmp_path, version, database={"type": kind}), "temporal")
    assert found["SQL_TLS_ENABLED"]["value"] == tls
    assert found["POSTGRES_SEEDS"]["valueFrom"]["configMapKeyRef"]["key"] == "DATABASE_HOST"
    assert found["DB"]["value"] == "postgres12"


def test_replica_keys_of_2_1_and_2_2(tmp_path: Path) -> None:
    """3.1: charts 2.1 and 2.2 also want replica keys in the same Secret; 2.0.17 does not."""
    assert "CONFIG_DATABASE_REPLICA_USER" not in environment(render(tmp_path, V2), "server")
    found = environment(render(tmp_path, V22), "server")["CONFIG_DATABASE_REPLICA_USER"]
    reference = found["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "airbyte-config-secrets", "key": "CONFIG_DATABASE_REPLICA_USER"}
    keys = {"replica": {"userSecretKey": "database-user", "passwordSecretKey": "p"}}
    named = environment(render(tmp_path, V22, database=keys), "server")
    found = named["CONFIG_DATABASE_REPLICA_USER"]
    assert found["valueFrom"]["secretKeyRef"]["key"] == "database-user"


def test_passive(tmp_path: Path) -> None:
    """3.4: replicaCount 0 keeps the object; enabled false removes it; keys per chart line."""
    v1 = render(tmp_path, V1, worker={"replicaCount": 0}, **{"workload-launcher": {"enabled": 0}})
    replicas = {one["metadata"]["name"]: one["spec"]["replicas"] for one in v1.deployments}
    assert replicas["airbyte-abctl-worker"] == 0
    assert "airbyte-abctl-workload-launcher" not in replicas
    v2 = render(tmp_path, V2, **{"workload-launcher": {"replicaCount": 0}})
    ignored = {one["metadata"]["name"]: one["spec"]["replicas"] for one in v2.deployments}
    assert ignored["airbyte-abctl-workload-launcher"] == 1


def test_bootloader_switches(tmp_path: Path) -> None:
    """3.4: off by its key; in v1 the boolean false is lost, the string is not; v2 has its own."""
    assert render(tmp_path, V1, **{"airbyte-bootloader": {"enabled": False}}).bootloader is None
    assert render(tmp_path, V2, airbyteBootloader={"enabled": False}).bootloader is None
    key, variable = "runDatabaseMigrationsOnStartup", "RUN_DATABASE_MIGRATION_ON_STARTUP"
    for value, expected in ((False, "true"), ("false", "false")):
        found = render(tmp_path, V1, **{"airbyte-bootloader": {key: value}})
        assert config(found)[variable] == expected
    off = render(tmp_path, V2, global_={"migrations": {"runAtStartup": False}})
    assert config(off)[variable] == "false"


def test_bootloader_pod_names(tmp_path: Path) -> None:
    """2.3: the v1 name is the one whose failure abctl recognizes; v2's differs."""
    v1, v2 = render(tmp_path, V1).bootloader, render(tmp_path, V2).bootloader
    assert v1
    assert v1["metadata"]["name"] == "airbyte-abctl-airbyte-bootloader"
    assert v2
    assert v2["metadata"]["name"] == "airbyte-abctl-bootloader"


@pytest.mark.parametrize(
    ("version", "flag", "expected"),
    [(V1, False, "true"), (V1, True, "false"), (V2, True, "false"), (V22, True, "true")],
)
def test_auth_default(tmp_path: Path, version: str, flag: bool, expected: str) -> None:
    """2.2, 3.5: --disable-auth only omits the key, and 2.1 to 2.2.0 default to true."""
    found = render(tmp_path, version, flags={"disable-auth": flag})
    assert config(found)["API_AUTHORIZATION_ENABLED"] == expected


def test_user_values_win(tmp_path: Path) -> None:
    """2.2: the values file overrides what abctl injects."""
    found = render(tmp_path, V22, global_={"auth": {"enabled": False}})
    assert config(found)["API_AUTHORIZATION_ENABLED"] == "false"


def test_image_tag_does_not_change_the_version(tmp_path: Path) -> None:
    """3.5: AIRBYTE_VERSION follows the chart; v1 `version`, v2 `global.version` change it."""
    tagged = render(tmp_path, V1, global_={"image": {"tag": "9.9.9"}})
    assert config(tagged)["AIRBYTE_VERSION"] == "1.8.5"
    image = tagged.deployments[0]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.endswith(":9.9.9")
    assert config(render(tmp_path, V1, version="9.9.9"))["AIRBYTE_VERSION"] == "9.9.9"
    assert config(render(tmp_path, V2, global_={"version": "8.8.8"}))["AIRBYTE_VERSION"] == "8.8.8"


def test_dataplane_group_name(tmp_path: Path) -> None:
    """6: v2 charts render the group's name empty unless it is set."""
    assert config(render(tmp_path, V22))["DEFAULT_DATAPLANE_GROUP_NAME"] == ""
    named = {"dataplaneGroups": {"defaultDataplaneGroupName": "AUTO"}}
    found = render(tmp_path, V22, global_=named)
    assert config(found)["DEFAULT_DATAPLANE_GROUP_NAME"] == "AUTO"


def test_low_resource_mode(tmp_path: Path) -> None:
    """2.2: disables the connector builder server."""
    flags = {"low-resource-mode": True}
    assert "connector-builder-server" not in names(render(tmp_path, V1, flags=flags))
    assert "connector-builder-server" not in names(render(tmp_path, V2, flags=flags))


def test_minio_is_gone(tmp_path: Path) -> None:
    """3.5: abctl injects local storage; minio is a StatefulSet whose image cannot be pulled."""
    assert "airbyte-minio" not in names(render(tmp_path, V1))
    chosen = render(tmp_path, V1, global_={"storage": {"type": "minio"}})
    assert "airbyte-minio" in names(chosen)


def test_auth_secret_names(tmp_path: Path) -> None:
    """3.5: v1 global.auth.secretName, v2 global.auth.managedSecretName."""
    for version, key in ((V1, "secretName"), (V2, "managedSecretName")):
        found = environment(render(tmp_path, version, global_={"auth": {key: "mine"}}), "server")
        reference = found["AB_INSTANCE_ADMIN_PASSWORD"]["valueFrom"]["secretKeyRef"]
        assert reference == {"name": "mine", "key": "instance-admin-password"}


def test_v2_port_must_be_a_port(tmp_path: Path) -> None:
    """2.4: v2 values hold the port; it must be one."""
    with pytest.raises(AbctlError, match="invalid port 70000"):
        render(tmp_path, V2, flags={"port": 70000})
