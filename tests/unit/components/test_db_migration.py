"""The DB Migration Script as a service: its path to prod, its keys, and waiting for it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from components import ServerKind, execute
from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.components import hosts
from tests.unit.components.scripts import SCRIPTS, config, declare


@pytest.fixture(scope="module")
def ours() -> Recorder:
    return declare(ServerKind.CONTAINER)


@pytest.fixture(scope="module")
def existing() -> Recorder:
    return declare(ServerKind.EXISTING)


@pytest.fixture(scope="module")
def final() -> Recorder:
    return declare(ServerKind.CONTAINER, final=True)


def test_the_database_reaches_the_loopback_of_its_host_and_no_further(ours: Recorder) -> None:
    gateway = ours.named("db-migration-gateway")
    (port,) = gateway.inputs["ports"]
    assert (port["ip"], port["external"]) == ("127.0.0.1", 15432)
    assert gateway.inputs["networksAdvanced"] == [{"name": "mine_airbyte_internal"}]
    assert gateway.inputs["entrypoints"] == ["socat"]
    assert gateway.provider.startswith(ours.named("prod-docker").urn)


def test_the_gateway_is_there_once_and_each_tunnel_waits_for_it(final: Recorder) -> None:
    gateways = [r for r in final.of("Container") if r.name.endswith("-gateway")]
    assert [gateway.name for gateway in gateways] == ["db-migration-gateway"]
    for script in SCRIPTS[:2]:
        assert gateways[0].urn in final.named(f"{script}-tunnel").dependencies


def test_the_tunnel_checks_the_host_key_and_dies_with_its_other_side(ours: Recorder) -> None:
    tunnel = ours.named("db-migration-tunnel")
    command = " ".join(tunnel.inputs["command"])
    for option in ("StrictHostKeyChecking=yes", "ExitOnForwardFailure=yes", "ServerAliveInterval"):
        assert option in command
    assert "-L 0.0.0.0:5432:127.0.0.1:15432" in command
    assert command.endswith("-p 22 root@10.0.0.1")
    (known,) = tunnel.inputs["uploads"]
    assert known["content"] == f"10.0.0.1 {hosts.KEY}1\n"
    assert tunnel.inputs["networksAdvanced"][0]["aliases"] == ["prod-database"]


def test_beside_an_existing_server_all_is_on_the_hosts_network(existing: Recorder) -> None:
    for name in ("db-migration-tunnel", "db-migration-agent"):
        container = existing.named(name)
        assert container.inputs["networkMode"] == "host"
        assert "networksAdvanced" not in container.inputs
    command = " ".join(existing.named("db-migration-tunnel").inputs["command"])
    assert "-L 127.0.0.1:15432:127.0.0.1:15432" in command
    feed = config(existing)["feeds"][0]
    assert feed["source"]["address_for_subscriber"] == {"host": "127.0.0.1", "port": 15432}
    assert (feed["target"]["host"], feed["target"]["port"]) == ("127.0.0.1", 5432)
    assert config(existing)["servers"][0]["host"] == "127.0.0.1"


def test_metrics_reach_the_loopback_of_the_host_and_no_further(
    ours: Recorder, existing: Recorder
) -> None:
    (port,) = ours.named("db-migration-agent").inputs["ports"]
    assert (port["ip"], port["internal"], port["external"]) == ("127.0.0.1", 19187, 19187)
    assert "ports" not in existing.named("db-migration-agent").inputs
    assert config(existing)["http"] == {"host": "127.0.0.1", "port": 19187}


@pytest.mark.parametrize(
    ("key", "option"),
    [
        ("tunnel", 'restrict,port-forwarding,permitopen="127.0.0.1:15432"'),
        ("agent", 'restrict,command="/usr/local/lib/airbyte-migration/hostctl forced"'),
    ],
)
def test_keys_may_do_one_thing_and_can_be_withdrawn(ours: Recorder, key: str, option: str) -> None:
    authorized = ours.named(f"db-migration-{key}-authorized-prod")
    assert option in authorized.inputs["create"]
    assert authorized.inputs["delete"].endswith(f"unauthorize {key}-core-worker-01")
    assert authorized.inputs["stdin"] == mocks.PUBLIC_KEY
    assert authorized.inputs["connection"]["host"] == "192.0.2.1"


def test_each_hosts_key_has_a_line_of_its_own(final: Recorder) -> None:
    """One name for all would let in the last one only."""
    names: dict[str, list[str]] = {}
    for command in final.of("Command"):
        words = command.inputs["create"].split()
        if "-authorized-" in command.name:
            names.setdefault(command.inputs["connection"]["host"], []).append(words[2])
    agents = ["agent-core-worker-01", "agent-intermediary", "agent-replica"]
    assert sorted(names["192.0.2.1"]) == [
        *agents,
        "tunnel-core-worker-01",
        "tunnel-intermediary",
    ]
    assert sorted(names["192.0.2.2"]) == agents


def test_only_the_agents_key_reaches_the_reader(ours: Recorder) -> None:
    names = {r.name for r in ours.of("Command") if r.name.endswith("authorized-replica")}
    assert names == {"db-migration-agent-authorized-replica"}


def test_up_waits_for_a_state_and_waits_again_for_a_new_agent(ours: Recorder) -> None:
    following = ours.named("db-migration-following")
    script = following.inputs["create"]
    assert "status --json --wait following,verified,working --deadline 900" in script
    assert script.endswith("db-migration-agent-id")
    assert following.inputs["logging"] == "stderr"
    agent = ours.named("db-migration-agent")
    for database in ours.of("Database", "Grant", "Role"):
        assert database.urn in agent.dependencies


def test_the_host_knows_which_containers_stopping_airbyte_means(ours: Recorder) -> None:
    airbyte = ours.named("db-migration-service-airbyte")
    assert airbyte.inputs["stdin"].split()[0] == "containers"
    assert "airbyte-db" not in airbyte.inputs["stdin"]
    database = ours.named("db-migration-service-database")
    assert database.inputs["stdin"] == "containers airbyte-db\n"


class Shell:
    """The operator's host with a `docker` that answers as a test says, in this order."""

    def __init__(self, folder: Path, *codes: int) -> None:
        self.folder = folder
        script = folder / "docker"
        (folder / "codes").write_text("".join(f"{code}\n" for code in codes))
        script.write_text(
            "#!/bin/bash\n"
            '[[ $* == *" true" ]] && exit 0\n'
            f'echo "$*" >> {folder}/calls\n'
            f"code=$(head -n1 {folder}/codes); sed -i 1d {folder}/codes; exit $code\n"
        )
        script.chmod(0o755)

    def run(self, script: str) -> int:
        path = f"{self.folder}:{Path(shutil.which('bash') or '').parent}:/usr/bin:/bin"
        return subprocess.run(["bash", "-c", script], env={"PATH": path}, check=False).returncode

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("codes", "result", "times"),
    [
        ((0,), 0, 1),
        ((137, 0), 0, 2),
        ((126, 0), 0, 2),
        ((125, 137, 0), 0, 3),
        ((1,), 1, 1),
        ((3,), 3, 1),
        ((137, 137, 137), 137, 3),
    ],
    ids=[
        "well",
        "script started anew",
        "not begun beside a start",
        "gone at first",
        "failed",
        "refused",
        "starts again and again",
    ],
)
def test_only_what_was_killed_with_the_container_is_tried_again(
    tmp_path: Path, codes: tuple[int, ...], result: int, times: int
) -> None:
    shell = Shell(tmp_path, *codes)
    assert shell.run(execute("cutover")) == result
    assert shell.calls == ["exec db-migration db-migration cutover"] * times


def test_what_follows_a_failed_command_is_not_done(tmp_path: Path) -> None:
    shell = Shell(tmp_path, 3)
    assert shell.run(execute("cutover", "status --json")) == 3
    assert len(shell.calls) == 1
