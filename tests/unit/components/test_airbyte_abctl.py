"""An Airbyte by abctl: both renderings on the host, and no input says which one runs."""

import json

import pytest
import yaml

from airbyte.chart_values import ExternalDatabase
from airbyte.versions import CHARTS
from components import AirbyteAbctl, AirbyteAbctlArgs
from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.components import hosts

NAME = "airbyte-prod-backup-replica-2"
SECRETS = ("planted-database", "planted-admin", "planted-client")


@pytest.fixture(scope="module", params=["1.8.5", "2.0.17"])
def recorded(request: pytest.FixtureRequest) -> Recorder:
    def build() -> None:
        AirbyteAbctl(
            NAME,
            AirbyteAbctlArgs(
                host=hosts.host("replica", 2),
                chart=CHARTS[request.param],
                port=8000,
                url="https://airbyte.example.com",
                low_resource=True,
                public_host=None,
                database=ExternalDatabase(host="10.0.0.3", port=5432, name="airbyte", tls=True),
                database_user="airbyte",
                database_password=hosts.secret(SECRETS[0]),
                admin_password=hosts.secret(SECRETS[1]),
                client_secret=hosts.secret(SECRETS[2]),
            ),
        )

    return mocks.declare(build)


def test_both_renderings_are_on_the_host(recorded: Recorder) -> None:
    paths = {
        r.inputs["create"].split()[2]
        for r in recorded.of("Command")
        if " put " in r.inputs["create"]
    }
    assert paths == {
        f"{NAME}/{rendering}/{file}"
        for rendering in ("standby", "active")
        for file in ("values.yaml", "secrets.yaml", "install.args")
    } | {f"{NAME}/auth.yaml", "services/airbyte"}


def test_the_standby_has_no_workers_and_runs_on_the_working_database(recorded: Recorder) -> None:
    values = yaml.safe_load(recorded.named(f"{NAME}-standby-values").inputs["stdin"])
    launcher = values.get("workload-launcher", values.get("workloadLauncher"))
    assert values["worker"]["replicaCount"] == 0
    assert values["cron"]["replicaCount"] == 0
    assert launcher["replicaCount"] == 0
    assert values["server"]["replicaCount"] == 1
    database = values["global"]["database"]
    assert database.get("database", database.get("name")) == "airbyte"


def test_what_is_applied_is_not_an_input(recorded: Recorder) -> None:
    installed = recorded.named(f"{NAME}-installed")
    assert installed.inputs["create"] == installed.inputs["update"]
    assert installed.inputs["create"].endswith(f"hostctl apply {NAME}")
    assert "standby" not in installed.inputs["create"]
    assert "active" not in installed.inputs["create"]
    assert installed.inputs["delete"].endswith(f"hostctl uninstall {NAME}")


def test_it_is_installed_after_every_file(recorded: Recorder) -> None:
    installed = recorded.named(f"{NAME}-installed")
    for command in recorded.of("Command"):
        if " put " in command.inputs["create"]:
            assert command.urn in installed.dependencies, command.name


def test_secrets_travel_sealed_on_stdin_into_files_of_root(recorded: Recorder) -> None:
    for name, kind in (
        ("standby-secrets", "airbyte-config-secrets"),
        ("active-secrets", "airbyte-config-secrets"),
        ("auth", "airbyte-auth-secrets"),
    ):
        upload = recorded.named(f"{NAME}-{name}")
        assert upload.inputs["create"].endswith(" 0600")
        assert upload.inputs["logging"] == "none"
        assert upload.sealed["stdin"] == "[secret]"
        assert yaml.safe_load(upload.inputs["stdin"])["metadata"]["name"] == kind
    for resource in recorded.resources:
        text = json.dumps(resource.sealed)
        assert not [secret for secret in SECRETS if secret in text], resource.name


def test_a_changed_file_is_installed_again(recorded: Recorder) -> None:
    installed = recorded.named(f"{NAME}-installed")
    assert installed.sealed["stdin"] == "[secret]"
    assert len(installed.inputs["stdin"]) == 64


def test_people_are_told_where_it_is(recorded: Recorder) -> None:
    assert recorded.outputs_of(NAME)["url"] == "https://airbyte.example.com"
