"""kill is a power cut, cut a partition; heal and up undo both. The host `intermediary` suffers."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from subprocess import TimeoutExpired

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from lab import lifecycle, status
from lab.errors import LabError
from tests.support import timeouts
from tests.support.fix_lab import Lab

HOST = "intermediary"
LISTEN = "TCP-LISTEN:7,fork,reuseaddr"
SILENCE = 3
"""Seconds without an answer that count as vanished packets."""


def eventually(condition: Callable[[], bool]) -> None:
    Retrying(
        stop=stop_after_delay(timeouts.CONVERGE),
        wait=wait_fixed(0.2),
        retry=retry_if_result(lambda reached: not reached),
    )(condition)


@pytest.fixture
def talker(lab: Lab) -> Iterator[Callable[..., str]]:
    """Runs containers on the host that answer on port 7 (echo)."""
    image, made = lab.images["alpine/socat"], []

    def run(name: str, *options: str) -> str:
        made.append(name)
        return lab.docker(HOST, "run", "-d", "--name", name, *options, image, LISTEN, "EXEC:cat")

    yield run
    with suppress(LabError):
        lab.heal(HOST)
    for name in made:
        lab.ssh(HOST, f"docker rm --force --volumes {name}", check=False)


def state(lab: Lab) -> str:
    return status.observe(lab.spec).machines[HOST].state


def container_state(lab: Lab, name: str) -> str:
    found = lab.inspect(HOST, name)
    return str(found["State"]["Status"]) if found else "absent"


def reaches(lab: Lab, origin: str, address: str, port: int) -> int:
    """Exit code of a connection attempt: 0 answered, 1 refused, 124 nothing came back."""
    line = f"timeout {SILENCE} bash -c 'exec 3<> /dev/tcp/{address}/{port}' 2>/dev/null"
    return lab.ssh(origin, line, check=False).returncode


def test_power_cut_and_reboot(lab: Lab, talker: Callable[..., str]) -> None:
    talker("lab-test-revived", "--restart", "unless-stopped", "-v", "lab-test-kept:/kept")
    talker("lab-test-stopped", "--restart", "unless-stopped")
    talker("lab-test-mortal")
    lab.docker(HOST, "exec", "lab-test-revived", "sh", "-c", "echo here > /kept/file && sync")
    lab.docker(HOST, "stop", "--time", "1", "lab-test-stopped")
    lab.ssh(HOST, "mkdir -p /var/lib/airbyte-migration && echo 7 > /var/lib/airbyte-migration/t")

    lab.kill(HOST)
    assert state(lab) == "exited"
    refused = lab.ssh(HOST, "true", check=False)
    assert refused.returncode == 255
    assert "refused" in refused.stderr

    lab.heal(HOST)
    assert state(lab) == "running"
    # The danger for a fenced side: what runs unless stopped, runs again by itself.
    eventually(lambda: container_state(lab, "lab-test-revived") == "running")
    assert container_state(lab, "lab-test-stopped") == "exited"
    assert container_state(lab, "lab-test-mortal") == "exited"
    assert lab.docker(HOST, "exec", "lab-test-revived", "cat", "/kept/file") == "here"
    assert lab.ssh(HOST, "cat /var/lib/airbyte-migration/t").stdout.strip() == "7"
    lab.ssh(HOST, "rm /var/lib/airbyte-migration/t")
    lab.docker(HOST, "rm", "--force", "lab-test-revived")
    lab.docker(HOST, "volume", "rm", "lab-test-kept")


def test_a_kind_node_comes_back_with_its_host_each_time(
    lab: Lab, talker: Callable[..., str]
) -> None:
    """kind starts its node with `on-failure:1`: nobody asked for it, and its Airbyte is there."""
    talker("lab-test-node", "--restart", "on-failure:1")
    for _ in range(2):
        lab.kill(HOST)
        lifecycle.start(lab.spec, lab.hosts[HOST])
        eventually(lambda: container_state(lab, "lab-test-node") == "running")


def test_a_lost_host_is_replaced_by_an_empty_one_with_its_key(lab: Lab) -> None:
    lab.docker(HOST, "volume", "create", "lab-test-lost")
    lab.ssh(HOST, "mkdir -p /var/lib/airbyte-migration && echo 7 > /var/lib/airbyte-migration/t")
    before = lab.spec.known_hosts.read_text()

    lifecycle.lose(lab.spec, lab.hosts[HOST])

    assert lab.docker(HOST, "volume", "ls", "--quiet") == ""
    assert lab.ssh(HOST, "ls /var/lib/airbyte-migration", check=False).returncode != 0
    assert lab.ssh(HOST, "hostname").stdout.strip() == HOST
    assert lab.spec.known_hosts.read_text() == before


def test_cut_makes_packets_vanish_in_both_directions(lab: Lab, talker: Callable[..., str]) -> None:
    address = lab.spec.address(lab.hosts[HOST])
    talker("lab-test-inside", "--publish", "5999:7")
    registry = lab.spec.registry_endpoint.replace(":", "/")
    leave = f"timeout {SILENCE} bash -c 'exec 3<> /dev/tcp/{registry}'"
    from_inside = ["docker", "exec", "lab-test-inside", "sh", "-c", leave]
    eventually(lambda: reaches(lab, "core-worker-01", address, 5999) == 0)
    assert lifecycle.inside(lab.spec, lab.hosts[HOST], from_inside).returncode == 0

    lab.cut(HOST)
    lab.cut(HOST)
    assert state(lab) == "cut"
    assert reaches(lab, "core-worker-01", address, 22) == 124
    assert reaches(lab, "core-worker-01", address, 5999) == 124
    assert lifecycle.inside(lab.spec, lab.hosts[HOST], from_inside).returncode == 124
    running = lifecycle.inside(lab.spec, lab.hosts[HOST], ["docker", "ps", "--quiet"])
    assert running.stdout.strip()

    lab.heal(HOST)
    lab.heal(HOST)
    assert state(lab) == "running"
    assert reaches(lab, "core-worker-01", address, 5999) == 0
    assert lifecycle.inside(lab.spec, lab.hosts[HOST], from_inside).returncode == 0


def test_an_open_session_hangs_while_cut_and_goes_on_after(lab: Lab) -> None:
    lab.cut(HOST)
    try:
        hung = lab.ssh(HOST, "true", check=False)
    except TimeoutExpired:  # pragma: no cover  ssh's ConnectTimeout comes first
        pytest.fail("ssh had no limit of its own")
    finally:
        lab.heal(HOST)
    assert hung.returncode == 255
    assert "timed out" in hung.stderr


def test_up_repairs_what_was_killed_and_cut(lab: Lab) -> None:
    lab.cut(HOST)
    lifecycle.up(lab.spec)
    assert state(lab) == "running"
    lab.kill(HOST)
    lifecycle.up(lab.spec)
    assert state(lab) == "running"


def test_a_dead_host_can_not_be_cut(lab: Lab) -> None:
    lab.kill(HOST)
    with pytest.raises(LabError, match="heal intermediary"):
        lab.cut(HOST)
    lab.heal(HOST)
