"""The host-side script, run for real: guard, files, keys, compose containers."""

import json
from pathlib import Path

import pytest

from tests.unit.components import hostctl_machine
from tests.unit.components.hostctl_machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return hostctl_machine.make(tmp_path)


def test_a_marker_is_claimed_once_and_again_by_the_same(machine: Machine) -> None:
    assert machine.ok("marker", "read") == ""
    for _ in range(2):
        claimed = json.loads(machine.ok("marker", "claim", "lab", "v0"))
        assert claimed == {"deployment": "lab", "stage": "v0"}
    assert json.loads(machine.ok("marker", "read")) == {"deployment": "lab", "stage": "v0"}


def test_another_stage_is_refused_with_the_command_that_helps(machine: Machine) -> None:
    machine.ok("marker", "claim", "lab", "v0")
    refused = machine.run("marker", "claim", "lab", "v1")
    assert refused.returncode == 1
    assert "held by stack v0 of deployment `lab`" in refused.stderr
    assert "stagectl promote v0 v1" in refused.stderr
    assert json.loads(machine.ok("marker", "read"))["stage"] == "v0"


def test_another_deployment_is_refused(machine: Machine) -> None:
    machine.ok("marker", "claim", "lab", "v0")
    refused = machine.run("marker", "claim", "other", "v0")
    assert refused.returncode == 1
    assert "held by deployment `lab`" in refused.stderr


def test_a_promotion_moves_the_marker_and_may_be_repeated(machine: Machine) -> None:
    machine.ok("marker", "claim", "lab", "v0")
    for _ in range(2):
        machine.ok("marker", "move", "--from", "v0", "--to", "v1")
    assert json.loads(machine.ok("marker", "claim", "lab", "v1"))["stage"] == "v1"
    assert machine.run("marker", "move", "--from", "v0", "--to", "v2").returncode == 1


def test_only_the_holder_releases_a_marker(machine: Machine) -> None:
    machine.ok("marker", "claim", "lab", "v1")
    machine.ok("marker", "release", "lab", "v0")
    assert json.loads(machine.ok("marker", "read"))["stage"] == "v1"
    machine.ok("marker", "release", "lab", "v1")
    assert machine.ok("marker", "read") == ""


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "a/../../outside"])
def test_files_stay_below_the_state_folder(machine: Machine, path: str) -> None:
    assert machine.run("put", path, "0644", stdin="x").returncode == 1


def test_a_file_has_its_mode_from_the_start(machine: Machine) -> None:
    machine.ok("put", "a/secret.yaml", "0600", stdin="x")
    file = machine.state / "a" / "secret.yaml"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("x", 0o600)


def test_a_key_is_made_once_and_its_private_half_stays(machine: Machine) -> None:
    first = machine.ok("keys", "ensure", "tunnel")
    assert first.startswith("ssh-ed25519 ")
    assert machine.ok("keys", "ensure", "tunnel") == first
    assert (machine.state / "keys" / "tunnel").stat().st_mode & 0o777 == 0o600


def test_authorizing_replaces_its_own_line_and_leaves_the_others(machine: Machine) -> None:
    authorized = machine.folder / ".ssh" / "authorized_keys"
    authorized.parent.mkdir()
    authorized.write_text("ssh-ed25519 AAAAoperator me\n")
    for key in ("AAAAold", "AAAAnew"):
        machine.ok("authorize", "agent", "restrict", stdin=f"ssh-ed25519 {key} comment")
    machine.ok("authorize", "tunnel", "restrict", stdin="ssh-ed25519 AAAAtunnel\n")
    assert authorized.read_text().splitlines() == [
        "ssh-ed25519 AAAAoperator me",
        "restrict ssh-ed25519 AAAAnew airbyte-migration:agent",
        "restrict ssh-ed25519 AAAAtunnel airbyte-migration:tunnel",
    ]
    machine.ok("unauthorize", "agent")
    assert "agent" not in authorized.read_text()
    assert "operator" in authorized.read_text()


@pytest.mark.parametrize(
    "command",
    [
        "",
        "sh",
        "stop",
        "stop everything",
        "apply x",
        "status; id",
        "start everything",
        "activate $(id) 1 active",
        "activate a 1",
        "activate a b active",
        "activate a 1 ../active",
        "uninstall a",
    ],
)
def test_the_agents_key_opens_nothing_else(machine: Machine, command: str) -> None:
    assert machine.run("forced", original=command).returncode == 1
    assert machine.log == []


def test_the_agents_key_stops_what_the_host_says_airbyte_is(machine: Machine) -> None:
    machine.ok("put", "services/airbyte", "0644", stdin="containers airbyte-proxy airbyte-worker\n")
    machine.ok("forced", original="stop airbyte")
    machine.ok("forced", original="start airbyte")
    assert machine.log == [
        "docker stop -t 5 airbyte-proxy airbyte-worker",
        "docker ps -q --filter volume=airbyte_workspace",
        "docker start airbyte-worker",
        "docker start airbyte-proxy",
    ]


def test_its_database_gets_the_time_to_write_everything_out(machine: Machine) -> None:
    machine.ok("put", "services/database", "0644", stdin="containers airbyte-db\n")
    machine.ok("forced", original="stop database")
    assert machine.log == ["docker stop -t 60 airbyte-db"]


def test_stopping_nothing_is_no_error(machine: Machine) -> None:
    assert "no airbyte on this host" in machine.run("forced", original="stop airbyte").stderr


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ("", "none"),
        ("airbyte-db\tUp 3 days\n", "none"),
        ("airbyte-proxy\tExited (0) 2 hours ago\nairbyte-worker\tCreated\n", "stopped"),
        ("airbyte-proxy\tExited (0) 2 hours ago\nairbyte-worker\tUp 3 days\n", "running"),
        ("airbyte-worker\tRestarting (1) 2 seconds ago\nairbyte-proxy\tCreated\n", "running"),
    ],
    ids=["nothing", "only its database", "stopped", "partly stopped", "restarting"],
)
def test_status_says_whether_compose_runs(machine: Machine, containers: str, expected: str) -> None:
    machine.ok("put", "services/airbyte", "0644", stdin="containers airbyte-proxy airbyte-worker\n")
    (machine.folder / "containers").write_text(containers)
    status = json.loads(machine.ok("forced", original="status"))
    assert status["compose"] == expected
    assert [found["name"] for found in status["containers"]] == [
        line.split("\t")[0] for line in containers.splitlines()
    ]


def test_status_of_an_empty_host_is_json(machine: Machine) -> None:
    status = json.loads(machine.ok("status"))
    assert status == {
        "host": status["host"],
        "marker": None,
        "containers": [],
        "instances": [],
        "compose": "none",
        "keys": [],
        "free_bytes": status["free_bytes"],
    }
    assert status["free_bytes"] > 0


def test_status_names_the_keys_that_may_enter(machine: Machine) -> None:
    """What `release --dry-run` lists of prod's host; a stranger's key is not ours to name."""
    (machine.folder / ".ssh").mkdir()
    (machine.folder / ".ssh" / "authorized_keys").write_text("ssh-ed25519 AAAA operator\n")
    for name in ("tunnel-core-worker-01", "agent-replica"):
        machine.ok("authorize", name, "restrict", stdin="ssh-ed25519 AAAA x\n")
    keys = json.loads(machine.ok("forced", original="status"))["keys"]
    assert keys == ["tunnel-core-worker-01", "agent-replica"]


def test_status_names_the_holder(machine: Machine) -> None:
    machine.ok("marker", "claim", "lab", "v2")
    assert json.loads(machine.ok("status"))["marker"] == {"deployment": "lab", "stage": "v2"}


def test_a_host_whose_docker_is_silent_proves_nothing(machine: Machine) -> None:
    """`compose: none` from it would be read as a fence."""
    (machine.folder / "no-docker").touch()
    failed = machine.run("status")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "no answer from Docker" in failed.stderr
