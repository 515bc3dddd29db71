"""The host-side script, run for real: Airbyte's Secret outlives its cluster."""

from pathlib import Path

import pytest
import yaml

from tests.unit.components import hostctl_machine
from tests.unit.components.hostctl_machine import INSTANCE, Machine

MINE = "stringData:\n  jwt-signature-secret: mine\n"
KEPT = {"dataplane-client-id": "bWFkZQ=="}
SCALED = "scale deployment --all --replicas=0"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = hostctl_machine.make(tmp_path)
    made.lay_renderings()
    made.ok("put", f"{INSTANCE}/auth.yaml", "0600", stdin=MINE)
    made.ok("apply", INSTANCE)
    return made


def given(machine: Machine) -> dict[str, dict[str, str]]:
    return dict(yaml.safe_load((machine.folder / "given").read_text()))


def test_it_is_given_once(machine: Machine) -> None:
    """abctl replaces a Secret that it is given, and the bootloader's own keys with it."""
    assert "auth.given.yaml" in machine.installs()[0]
    machine.ok("apply", INSTANCE)
    assert "auth.given.yaml" not in machine.installs()[1]


def test_what_the_bootloader_added_is_kept_where_only_root_reads(machine: Machine) -> None:
    kept = machine.state / INSTANCE / "auth.kept"
    assert yaml.safe_load(kept.read_text()) == {"data": KEPT}
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not (machine.state / INSTANCE / "auth.given.yaml").exists()


def test_a_changed_setting_wins_and_loses_no_other_key(machine: Machine) -> None:
    """Kubernetes writes `stringData` over `data`."""
    changed = MINE.replace("mine", "other")
    machine.ok("put", f"{INSTANCE}/auth.yaml", "0600", stdin=changed)
    mark = len(machine.log)
    machine.ok("apply", INSTANCE)
    assert given(machine) == yaml.safe_load(changed) | {"data": KEPT}
    assert any(SCALED in line for line in machine.log[mark:])


def test_it_comes_back_with_a_new_cluster(machine: Machine) -> None:
    """17: a new one would have another password, and tokens and data plane would be void."""
    for gone in ("node", "auth", "release"):
        (machine.folder / gone).unlink()
    done = machine.run("apply", INSTANCE)
    assert done.returncode == 0, done.stderr
    assert "found a leftover: no cluster, though Airbyte was installed" in done.stderr
    assert given(machine)["data"] == KEPT


def test_it_outlives_an_uninstall_by_the_script(machine: Machine) -> None:
    machine.ok("uninstall", INSTANCE)
    assert not (machine.folder / "auth").exists()
    machine.ok("put", "services/abctl", "0644", stdin=f"abctl {INSTANCE}\n")
    machine.ok("apply", INSTANCE)
    assert given(machine)["data"] == KEPT


def test_nothing_is_uninstalled_whose_secret_is_not_kept(machine: Machine) -> None:
    (machine.folder / "auth").unlink()
    refused = machine.run("uninstall", INSTANCE)
    assert refused.returncode == 1
    assert "no fresh copy of airbyte-auth-secrets" in refused.stderr
    assert not [line for line in machine.log if line.startswith("abctl local uninstall")]


def test_nothing_of_it_is_ever_printed(machine: Machine) -> None:
    for verb in ("apply", "look", "uninstall"):
        done = machine.run(verb, INSTANCE)
        assert "bWFkZQ" not in done.stdout + done.stderr
    assert "bWFkZQ" not in "\n".join(machine.log)
    assert "mine" not in "\n".join(machine.log)
