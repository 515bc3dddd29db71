"""The host-side script, run for real against a state folder and stand-ins for docker and abctl."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.host import HOSTCTL_SOURCE

INSTANCE = "airbyte-prod-backup-replica-2"
DOCKER = """#!/bin/bash
echo "docker $*" >>"$LOG"
case "$*" in
  *State.Running*) [[ ! -e $HOME/no-node ]] && echo true || echo false ;;
  *"get secret"*) [[ -e $HOME/has-auth ]] ;;
  *"get deployments -o name"*) echo deployment/airbyte-abctl-server ;;
esac
"""
ABCTL = """#!/bin/bash
echo "abctl $*" >>"$LOG"
echo "DO_NOT_TRACK=$DO_NOT_TRACK" >>"$LOG"
touch "$HOME/has-auth"
exit 1
"""
CURL = """#!/bin/bash
echo "curl $*" >>"$LOG"
"""


@dataclass(frozen=True)
class Machine:
    """A host made of folders."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> list[str]:
        file = self.folder / "log"
        return file.read_text().splitlines() if file.exists() else []

    def run(
        self, *words: str, stdin: str = "", original: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LOG": str(self.folder / "log"),
            "AIRBYTE_MIGRATION_STATE": str(self.state),
        }
        if original is not None:
            environment["SSH_ORIGINAL_COMMAND"] = original
        return subprocess.run(
            ["bash", str(HOSTCTL_SOURCE), *words],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def ok(self, *words: str, stdin: str = "", original: str | None = None) -> str:
        done = self.run(*words, stdin=stdin, original=original)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lay_renderings(self) -> None:
        for rendering in ("standby", "active"):
            folder = f"{INSTANCE}/{rendering}"
            self.ok("put", f"{folder}/values.yaml", "0644", stdin="a: 1\n")
            self.ok("put", f"{folder}/secrets.yaml", "0600", stdin="s: 1\n")
            arguments = "--chart-version\n1.8.5\n--port\n8000\n--no-browser\n"
            self.ok("put", f"{folder}/install.args", "0644", stdin=arguments)
        self.ok("put", f"{INSTANCE}/auth.yaml", "0600", stdin="auth: 1\n")

    def installs(self) -> list[str]:
        return [line for line in self.log if line.startswith("abctl local install")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("docker", DOCKER), ("abctl", ABCTL), ("curl", CURL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return Machine(tmp_path)


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
        "activate $(id) 1",
        "activate a b",
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
        "docker stop -t 60 airbyte-proxy airbyte-worker",
        "docker start airbyte-worker",
        "docker start airbyte-proxy",
    ]


def test_stopping_nothing_is_no_error(machine: Machine) -> None:
    assert "no airbyte on this host" in machine.run("forced", original="stop airbyte").stderr


def test_without_an_epoch_the_standby_is_installed(machine: Machine) -> None:
    machine.lay_renderings()
    told = json.loads(machine.ok("apply", INSTANCE))
    assert told == {"instance": INSTANCE, "rendering": "standby"}
    (install,) = machine.installs()
    assert f"{INSTANCE}/standby/values.yaml" in install
    assert "/active/" not in install
    assert "--chart-version 1.8.5 --port 8000 --no-browser" in install
    assert "DO_NOT_TRACK=1" in machine.log


def test_the_exit_code_of_abctl_proves_nothing(machine: Machine) -> None:
    """It ends with 1 though everything was applied, and with 0 though nothing is there."""
    machine.lay_renderings()
    machine.ok("apply", INSTANCE)
    assert any("rollout status deployment/airbyte-abctl-server" in line for line in machine.log)
    (machine.folder / "no-node").touch()
    failed = machine.run("apply", INSTANCE)
    assert failed.returncode == 1
    assert "no cluster node" in failed.stderr


def test_the_auth_secret_is_given_once(machine: Machine) -> None:
    """abctl replaces a Secret that it is given, and the bootloader's own keys with it."""
    machine.lay_renderings()
    machine.ok("apply", INSTANCE)
    machine.ok("apply", INSTANCE)
    first, second = machine.installs()
    assert "auth.yaml" in first
    assert "auth.yaml" not in second
    machine.ok("put", f"{INSTANCE}/auth.yaml", "0600", stdin="auth: 2\n")
    machine.ok("apply", INSTANCE)
    assert "auth.yaml" in machine.installs()[2]


def test_an_epoch_makes_it_active_and_pulumi_does_not_undo_it(machine: Machine) -> None:
    machine.lay_renderings()
    machine.ok("forced", original=f"activate {INSTANCE} 3")
    assert json.loads(machine.ok("apply", INSTANCE))["rendering"] == "active"
    older = machine.run("activate", INSTANCE, "2")
    assert older.returncode == 1
    assert "epoch 2" in older.stderr


def test_an_active_airbyte_is_not_uninstalled(machine: Machine) -> None:
    machine.lay_renderings()
    machine.ok("activate", INSTANCE, "1")
    assert machine.run("uninstall", INSTANCE).returncode == 1
    assert not [line for line in machine.log if "abctl local uninstall" in line]


def test_starting_a_standby_installs_it_again(machine: Machine) -> None:
    """A refreshed working database has prod's schema until the bootloader has run."""
    machine.lay_renderings()
    machine.ok("put", "services/airbyte", "0644", stdin=f"abctl {INSTANCE}\n")
    machine.ok("stop", "airbyte")
    assert any("scale deployment --all --replicas=0" in line for line in machine.log)
    machine.ok("start", "airbyte")
    assert len(machine.installs()) == 1
