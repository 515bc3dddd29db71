"""The host-side script, run for real: abctl itself, what it says, and what it left behind."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.unit.components import hostctl_machine
from tests.unit.components.hostctl_machine import ABCTL, INSTANCE, VERSION, Machine

MACHINE = os.uname().machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = hostctl_machine.make(tmp_path)
    made.lay_renderings()
    return made


def lay_release(machine: Machine) -> str:
    """Put what the download would bring; return its checksum."""
    kind = {"x86_64": "amd64", "aarch64": "arm64"}.get(MACHINE, MACHINE)
    member = tarfile.TarInfo(f"abctl-v{VERSION}-linux-{kind}/abctl")
    body = ABCTL.encode()
    member.size, member.mode = len(body), 0o755
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.addfile(member, io.BytesIO(body))
    (machine.folder / "archive").write_bytes(archive.getvalue())
    return hashlib.sha256(archive.getvalue()).hexdigest()


def test_the_owners_program_of_the_pinned_version_is_taken(machine: Machine) -> None:
    found = json.loads(machine.ok("program", "ensure", VERSION))
    program = machine.folder / "bin" / "abctl"
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    assert found == {"version": VERSION, "path": str(program), "sha256": digest}


@pytest.mark.parametrize("have", ["0.30.3", "(devel)", ""])
def test_another_version_is_refused_with_two_ways_out(machine: Machine, have: str) -> None:
    (machine.folder / "version").write_text(have)
    refused = machine.run("program", "ensure", VERSION)
    assert refused.returncode == 1
    assert f"needed: abctl {VERSION}" in refused.stderr
    assert "tools.real_abctl" in refused.stderr


def test_the_official_release_is_fetched_with_its_checksum(machine: Machine) -> None:
    digest = lay_release(machine)
    (machine.folder / "bin" / "abctl").unlink()
    wrong = machine.run("program", "ensure", VERSION, f"{MACHINE}={'0' * 64}")
    assert wrong.returncode == 1
    assert "do not use it" in wrong.stderr
    assert not (machine.state / "bin" / "abctl").exists()
    found = json.loads(machine.ok("program", "ensure", VERSION, f"{MACHINE}={digest}"))
    assert found["path"] == str(machine.state / "bin" / "abctl")
    machine.ok("apply", INSTANCE)
    assert machine.installs()


def test_without_a_checksum_nothing_is_fetched(machine: Machine) -> None:
    lay_release(machine)
    (machine.folder / "bin" / "abctl").unlink()
    assert machine.run("program", "ensure", VERSION, f"other={'0' * 64}").returncode == 1
    assert not [line for line in machine.log if line.startswith("curl")]


def test_a_release_out_of_reach_names_the_other_way(machine: Machine) -> None:
    (machine.folder / "bin" / "abctl").unlink()
    refused = machine.run("program", "ensure", VERSION, f"{MACHINE}={'0' * 64}")
    assert "can not be reached" in refused.stderr
    assert "tools.real_abctl" in refused.stderr


def test_a_program_that_was_replaced_installs_nothing(machine: Machine) -> None:
    machine.ok("program", "ensure", VERSION)
    (machine.folder / "version").write_text("0.31.0")
    assert "found abctl 0.31.0" in machine.run("apply", INSTANCE).stderr
    assert machine.installs() == []


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        ("failed 1.8.5 1.8.5", "failed 1.8.5"),
        ("pending-upgrade 1.8.5 1.8.5", "pending-upgrade"),
        ("deployed 1.8.4 1.8.4", "deployed 1.8.4"),
    ],
)
def test_a_release_that_is_not_the_wanted_one_is_not_ready(
    machine: Machine, outcome: str, found: str
) -> None:
    """abctl ends with 0 and with 1 for all of them."""
    (machine.folder / "outcome").write_text(outcome)
    refused = machine.run("apply", INSTANCE)
    assert refused.returncode == 1
    assert f"Helm release `{found}" in refused.stderr
    assert "needed: deployed, chart 1.8.5" in refused.stderr
    (machine.folder / "outcome").unlink()
    again = machine.run("apply", INSTANCE)
    assert again.returncode == 0, again.stderr
    named = outcome.split()[0]
    assert named == "deployed" or f"leftover: a Helm release that is {named}" in again.stderr


def test_an_older_airbyte_is_not_put_over_a_newer_one(machine: Machine) -> None:
    """6: nothing in Airbyte refuses it; it breaks on the migrated database."""
    machine.ok("apply", INSTANCE)
    machine.ok("put", f"{INSTANCE}/airbyte", "0644", stdin="1.8.10\n")
    machine.ok("apply", INSTANCE)
    machine.ok("put", f"{INSTANCE}/airbyte", "0644", stdin="1.8.9\n")
    installs = len(machine.installs())
    refused = machine.run("apply", INSTANCE)
    assert "found Airbyte 1.8.9 after Airbyte 1.8.10" in refused.stderr
    assert len(machine.installs()) == installs


def test_what_half_an_install_left_is_named(machine: Machine) -> None:
    folder = machine.folder / ".airbyte" / "abctl"
    (folder / "data" / "airbyte-volume-db" / "pgdata").mkdir(parents=True)
    (folder / "abctl.kubeconfig").touch()
    (machine.state / INSTANCE / "auth.applied").touch()
    found = json.loads(machine.ok("look", INSTANCE))
    assert (found["node"], found["release"]) == ("none", "none")
    assert [text.split(":")[0] for text in found["leftovers"]] == [
        "no cluster, though Airbyte was installed",
        "the kubeconfig of a cluster that is gone",
        "the data of a bundled database",
    ]
    (machine.folder / "node").write_text("true\n")
    found = json.loads(machine.ok("look", INSTANCE))
    assert "a cluster without a Helm release" in found["leftovers"]
    (machine.folder / "silent-cluster").touch()
    assert "a cluster that does not answer" in machine.ok("look", INSTANCE)


def test_after_a_good_install_nothing_is_left(machine: Machine) -> None:
    machine.ok("apply", INSTANCE)
    assert json.loads(machine.ok("look", INSTANCE)) == {
        "instance": INSTANCE,
        "node": "running",
        "release": "deployed",
        "chart": "1.8.5",
        "airbyte": "1.8.5",
        "leftovers": [],
    }


def test_a_minio_volume_of_old_is_refused(machine: Machine) -> None:
    """21: abctl would make no volume for local storage beside it, and no pod would start."""
    (machine.folder / ".airbyte" / "abctl" / "data" / "airbyte-minio-pv").mkdir(parents=True)
    refused = machine.run("apply", INSTANCE)
    assert "MinIO volume" in refused.stderr
    assert machine.installs() == []


def test_another_port_is_refused_on_a_cluster_that_has_one(machine: Machine) -> None:
    """20: abctl would go on with the old one, and only warn."""
    machine.ok("apply", INSTANCE)
    (machine.folder / "port").write_text("8000\n")
    machine.ok("apply", INSTANCE)
    (machine.folder / "port").write_text("9000\n")
    installs = len(machine.installs())
    assert "found a cluster on port 9000" in machine.run("apply", INSTANCE).stderr
    assert len(machine.installs()) == installs


def test_persisted_data_is_never_removed(machine: Machine) -> None:
    machine.ok("apply", INSTANCE)
    machine.ok("uninstall", INSTANCE)
    assert "abctl local uninstall" in machine.log
    assert "--persisted" not in "\n".join(machine.log)


def test_an_active_airbyte_is_not_uninstalled(machine: Machine) -> None:
    machine.ok("activate", INSTANCE, "1", "active-intermediary")
    refused = machine.run("uninstall", INSTANCE)
    assert refused.returncode == 1
    assert not [line for line in machine.log if "abctl local uninstall" in line]

    given_up = f"activate {INSTANCE} 1 stopped"
    assert f"hostctl {given_up}" in refused.stderr
    machine.ok(*given_up.split())
    machine.ok("uninstall", INSTANCE)
    assert "abctl local uninstall" in machine.log


def test_an_uninstalled_one_is_forgotten(machine: Machine) -> None:
    machine.ok("activate", INSTANCE, "1", "stopped")
    machine.ok("uninstall", INSTANCE)
    assert json.loads(machine.ok("status"))["instances"] == []
    assert "no abctl on this host" in machine.run("forced", original="stop abctl").stderr
    assert json.loads(machine.ok("apply", INSTANCE))["rendering"] == hostctl_machine.DEFAULT
