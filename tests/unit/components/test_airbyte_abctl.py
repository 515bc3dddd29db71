"""An Airbyte by abctl: all renderings on the host, and no input says which one runs."""

import json

import pytest
import yaml

from airbyte import chart_secrets
from airbyte.chart_values import ExternalDatabase
from airbyte.versions import ABCTL_VERSION, CHARTS
from components import AirbyteAbctl, AirbyteAbctlArgs
from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.components import hosts

NAME = "airbyte-prod-abctl"
SECRETS = ("planted-database", "planted-admin", "planted-client")
SERVERS = {"core-worker-01": "10.0.0.3", "intermediary": "10.0.0.4"}
FOLDERS = {f"{kind}-{server}" for kind in ("standby", "active") for server in SERVERS}


def declare(chart: str, *, prepared: bool) -> Recorder:
    def build() -> None:
        AirbyteAbctl(
            NAME,
            AirbyteAbctlArgs(
                host=hosts.host("prod", 1),
                chart=CHARTS[chart],
                port=8100,
                url="https://airbyte.example.com",
                low_resource=True,
                public_host=None,
                databases={
                    server: ExternalDatabase(host=address, port=5432, name="airbyte", tls=True)
                    for server, address in SERVERS.items()
                },
                default="prepared" if prepared else "standby-core-worker-01",
                prepared=prepared,
                database_user="airbyte_prod",
                database_password=hosts.secret(SECRETS[0]),
                admin_password=hosts.secret(SECRETS[1]),
                client_secret=hosts.secret(SECRETS[2]),
                program_sha256={"x86_64": "5a"},
            ),
        )

    return mocks.declare(build)


@pytest.fixture(scope="module", params=list(CHARTS))
def recorded(request: pytest.FixtureRequest) -> Recorder:
    return declare(request.param, prepared=True)


def paths(recorded: Recorder) -> set[str]:
    creates = [resource.inputs["create"] for resource in recorded.of("Command")]
    return {create.split()[2] for create in creates if " put " in create}


def values(recorded: Recorder, rendering: str) -> dict[str, dict[str, object]]:
    text = recorded.named(f"{NAME}-{rendering}-values").inputs["stdin"]
    return dict(yaml.safe_load(text))


def test_every_rendering_is_on_the_host(recorded: Recorder) -> None:
    assert paths(recorded) == {
        f"{NAME}/{folder}/{file}"
        for folder in FOLDERS | {"prepared"}
        for file in ("values.yaml", "secrets.yaml", "install.args")
    } | {f"{NAME}/auth.yaml", f"{NAME}/default", f"{NAME}/airbyte", "services/abctl"}


def test_one_that_is_never_prepared_has_no_such_rendering() -> None:
    recorded = declare("1.8.5", prepared=False)
    assert not [path for path in paths(recorded) if "prepared" in path]
    assert recorded.named(f"{NAME}-default").inputs["stdin"] == "standby-core-worker-01\n"


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("kind", "workers"), [("standby", 0), ("active", 1)])
def test_it_may_run_on_each_server(
    recorded: Recorder, server: str, kind: str, workers: int
) -> None:
    found = values(recorded, f"{kind}-{server}")
    assert found["global"]["database"]["host"] == SERVERS[server]  # type: ignore[index]
    assert found["worker"]["replicaCount"] == workers
    assert found["cron"]["replicaCount"] == workers
    assert found["server"]["replicaCount"] == 1


def test_a_prepared_one_runs_nothing(recorded: Recorder) -> None:
    found = values(recorded, "prepared")
    assert {part["replicaCount"] for part in found.values() if "replicaCount" in part} == {0}
    assert recorded.named(f"{NAME}-default").inputs["stdin"] == "prepared\n"


def test_it_logs_in_with_its_own_role(recorded: Recorder) -> None:
    for folder in FOLDERS:
        secret = yaml.safe_load(recorded.named(f"{NAME}-{folder}-secrets").inputs["stdin"])
        assert secret["stringData"]["database-user"] == "airbyte_prod"


def test_the_host_is_told_what_abctl_runs(recorded: Recorder) -> None:
    service = recorded.named(f"{NAME}-service").inputs
    assert service["create"].endswith("hostctl put services/abctl 0644")
    assert service["stdin"] == f"abctl {NAME}\n"


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
    config = [(f"{folder}-secrets", "airbyte-config-secrets") for folder in FOLDERS]
    for name, kind in [*config, ("auth", "airbyte-auth-secrets")]:
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


def test_the_host_has_the_pinned_abctl_before_it_installs(recorded: Recorder) -> None:
    program = recorded.named(f"{NAME}-program")
    assert f"hostctl program ensure {ABCTL_VERSION} x86_64=5a" in program.inputs["create"]
    assert program.urn in recorded.named(f"{NAME}-installed").dependencies


def test_the_host_is_told_which_airbyte_the_chart_carries(recorded: Recorder) -> None:
    """It refuses an older one over a newer one."""
    chart = recorded.outputs_of(NAME)["chart"]
    assert recorded.named(f"{NAME}-airbyte").inputs["stdin"] == f"{CHARTS[chart].airbyte}\n"


def test_tokens_are_good_on_every_airbyte_of_the_deployment(recorded: Recorder) -> None:
    """17: their key comes from what all of them share, and is not that secret itself."""
    secret = yaml.safe_load(recorded.named(f"{NAME}-auth").inputs["stdin"])["stringData"]
    expected = chart_secrets.auth_secret(admin_password="", client_secret="", shared=SECRETS[0])
    assert secret["jwt-signature-secret"] == expected["stringData"]["jwt-signature-secret"]
    assert SECRETS[0] not in secret["jwt-signature-secret"]
