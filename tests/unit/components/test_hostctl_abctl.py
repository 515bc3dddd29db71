"""The host-side script, run for real: which rendering of an Airbyte is installed, when."""

import json
from pathlib import Path

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tests.support import timeouts
from tests.unit.components import hostctl_machine
from tests.unit.components.hostctl_machine import DEFAULT, INSTANCE, Machine

SCALED = "scale deployment --all --replicas=0"
ENDED = "delete pods --all"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = hostctl_machine.make(tmp_path)
    made.lay_renderings()
    return made


def activate(machine: Machine, epoch: int, rendering: str) -> None:
    told = json.loads(machine.ok("forced", original=f"activate {INSTANCE} {epoch} {rendering}"))
    assert told == {"instance": INSTANCE, "rendering": rendering}


def status(machine: Machine) -> dict[str, object]:
    (found,) = json.loads(machine.ok("forced", original="status"))["instances"]
    return dict(found)


def wait_for_installs(machine: Machine, count: int) -> None:
    Retrying(
        stop=stop_after_delay(timeouts.AGENT_STEP),
        wait=wait_fixed(0.05),
        retry=retry_if_result(lambda found: found < count),
    )(lambda: len(machine.installs()))


def after(machine: Machine, mark: int, text: str) -> bool:
    return any(text in line for line in machine.log[mark:])


def test_without_an_epoch_the_default_is_installed(machine: Machine) -> None:
    told = json.loads(machine.ok("apply", INSTANCE))
    assert told == {"instance": INSTANCE, "rendering": DEFAULT}
    (install,) = machine.installs()
    assert f"{INSTANCE}/{DEFAULT}/values.yaml" in install
    assert "/active-" not in install
    assert "--chart-version 1.8.5 --port 8000 --no-browser" in install
    assert "DO_NOT_TRACK=1" in machine.log
    assert status(machine) == {
        "name": INSTANCE,
        "epoch": 0,
        "rendering": DEFAULT,
        "running": True,
        "syncing": False,
    }


def test_an_epoch_decides_and_pulumi_does_not_undo_it(machine: Machine) -> None:
    activate(machine, 3, "active-intermediary")
    assert json.loads(machine.ok("apply", INSTANCE))["rendering"] == "active-intermediary"
    assert status(machine)["epoch"] == 3


@pytest.mark.parametrize("name", ["worker", "cron", "workload-launcher"])
def test_what_could_sync_is_told(machine: Machine, name: str) -> None:
    """A standby with one of these would run prod's syncs a second time."""
    machine.ok("apply", INSTANCE)
    (machine.folder / "pods").write_text("pod/airbyte-abctl-workload-api-server-7d9f-x2x\n")
    assert status(machine)["syncing"] is False
    (machine.folder / "pods").write_text(f"pod/airbyte-abctl-{name}-7d9f-x2x\n")
    assert status(machine)["syncing"] is True


def test_an_older_epoch_is_refused_and_installs_nothing(machine: Machine) -> None:
    activate(machine, 3, "active-intermediary")
    installs = len(machine.installs())
    older = machine.run("activate", INSTANCE, "2", "active-core-worker-01")
    assert older.returncode == 1
    assert older.stderr.splitlines() == [
        "error: found epoch 2",
        "needed: at least 3",
        "way out: ask the database servers for the epoch",
    ]
    assert len(machine.installs()) == installs
    activate(machine, 3, "active-intermediary")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("nobody", "1", "stopped"), "no instance nobody"),
        ((INSTANCE, "1", "active-nowhere"), "no rendering"),
        ((INSTANCE, "01", "prepared"), "hostctl activate"),
        ((INSTANCE, "1"), "hostctl activate"),
    ],
)
def test_what_the_host_does_not_know_is_not_written_down(
    machine: Machine, words: tuple[str, ...], found: str
) -> None:
    refused = machine.run("activate", *words)
    assert refused.returncode == 1
    assert found in refused.stderr
    assert status(machine)["epoch"] == 0


def test_on_another_database_everything_starts_anew(machine: Machine) -> None:
    """The charts restart no pod for a changed address: it would stay on the old database."""
    machine.ok("apply", INSTANCE)
    mark = len(machine.log)
    activate(machine, 1, "active-intermediary")
    order = [line for line in machine.log[mark:] if SCALED in line or ENDED in line]
    assert [SCALED in line for line in order] == [True, False]
    assert machine.log.index(order[-1]) < machine.log.index(machine.installs()[-1])
    mark = len(machine.log)
    machine.ok("apply", INSTANCE)
    assert not after(machine, mark, SCALED)


def test_stopped_scales_down_and_installs_nothing(machine: Machine) -> None:
    activate(machine, 1, "stopped")
    machine.ok("apply", INSTANCE)
    assert machine.installs() == []
    activate(machine, 1, "active-core-worker-01")
    activate(machine, 2, "stopped")
    assert status(machine) == {
        "name": INSTANCE,
        "epoch": 2,
        "rendering": "stopped",
        "running": False,
        "syncing": False,
    }
    machine.ok("start", "abctl")
    assert len(machine.installs()) == 1


def test_a_prepared_one_is_not_asked_for_its_health(machine: Machine) -> None:
    """Nothing runs, so abctl would wait for its page for a minute and end with 1."""
    (machine.folder / "hangs").touch()
    activate(machine, 0, "prepared")
    assert len(machine.installs()) == 1
    assert not [line for line in machine.log if line.startswith("curl")]


def test_the_exit_code_of_abctl_proves_nothing(machine: Machine) -> None:
    """It ends with 1 though everything was applied, and with 0 though nothing is there."""
    machine.ok("apply", INSTANCE)
    order = ("abctl local status", "rollout status deployment.apps/airbyte-abctl-server", "curl")
    found = [next(n for n, line in enumerate(machine.log) if text in line) for text in order]
    assert found == sorted(found)


def test_an_airbyte_that_still_runs_does_not_hide_a_failed_install(machine: Machine) -> None:
    """Taken for active, it would be the standby on its old database."""
    machine.ok("apply", INSTANCE)
    (machine.folder / "helm-fails").touch()
    failed = machine.run("activate", INSTANCE, "1", "active-intermediary")
    assert failed.returncode == 1
    assert "no Airbyte installed by abctl" in failed.stderr
    assert "way out:" in failed.stderr
    (machine.folder / "helm-fails").unlink()
    mark = len(machine.log)
    machine.ok("apply", INSTANCE)
    assert after(machine, mark, SCALED)


def test_a_newer_epoch_ends_an_install_that_hangs(machine: Machine) -> None:
    """Its database may be dead, and Helm waits for an hour."""
    (machine.folder / "hangs").touch()
    hanging = machine.start("apply", INSTANCE)
    wait_for_installs(machine, 1)
    (machine.folder / "hangs").unlink()
    activate(machine, 1, "active-intermediary")
    _, said = hanging.communicate(timeout=timeouts.AGENT_STEP)
    assert hanging.returncode == 1
    assert "told to be active-intermediary meanwhile" in said
    assert f"{INSTANCE}/active-intermediary/" in machine.installs()[-1]


def test_two_callers_of_one_activation_both_succeed(machine: Machine) -> None:
    words = ("activate", INSTANCE, "1", "active-intermediary")
    callers = [machine.start(*words) for _ in range(2)]
    for caller in callers:
        out, said = caller.communicate(timeout=timeouts.AGENT_STEP)
        assert caller.returncode == 0, said
        assert json.loads(out)["rendering"] == "active-intermediary"


def test_an_install_whose_hostctl_was_killed_is_repeated(machine: Machine) -> None:
    (machine.folder / "hangs").touch()
    killed = machine.start("apply", INSTANCE)
    wait_for_installs(machine, 1)
    killed.kill()
    killed.communicate(timeout=timeouts.AGENT_STEP)
    (machine.folder / "hangs").unlink()
    machine.ok("apply", INSTANCE)
    assert len(machine.installs()) == 2


def test_a_cluster_that_was_never_finished_is_made_anew(machine: Machine) -> None:
    (machine.folder / "node").write_text("true\n")
    (machine.folder / "silent-cluster").touch()
    machine.ok("apply", INSTANCE)
    calls = [line for line in machine.log if line.startswith("abctl local")]
    assert [call.split()[2] for call in calls] == ["uninstall", "install", "status"]
    (machine.folder / "silent-cluster").touch()
    assert "no answer from the cluster" in machine.run("apply", INSTANCE).stderr


def test_a_node_that_a_reboot_left_stopped_is_started(machine: Machine) -> None:
    machine.ok("apply", INSTANCE)
    (machine.folder / "node").write_text("false\n")
    assert status(machine)["running"] is False
    machine.ok("start", "abctl")
    assert "docker start airbyte-abctl-control-plane" in machine.log


def test_starting_a_standby_installs_it_again(machine: Machine) -> None:
    """A refreshed working database has prod's schema until the bootloader has run."""
    machine.ok("apply", INSTANCE)
    machine.ok("forced", original="stop abctl")
    assert status(machine)["running"] is False
    assert any(ENDED in line for line in machine.log)
    machine.ok("forced", original="start abctl")
    assert len(machine.installs()) == 2
    assert status(machine)["running"] is True
