"""Commanding a host: how long a verb may take, what a dead host is, what its status says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from db_migration.config_access import HostControlConfig
from db_migration.errors import BlockedError, MigrationError, UnreachableError
from db_migration.sides import hosts
from db_migration.sides.hosts import SshHostControl

STATUS = """{"host":"prod","marker":{"deployment":"lab","stage":"v2"},
 "containers":[{"name":"airbyte-db","status":"Up 2 hours"}],
 "instances":[{"name":"airbyte-prod-abctl","epoch":2,"rendering":"active-intermediary",
 "running":true}],"compose":"stopped"}"""


def ssh(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> SshHostControl:
    """Return a host whose `ssh` is a script."""
    program = folder / "ssh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    config = HostControlConfig(address="198.51.100.11", key_file=folder, known_hosts_file=folder)
    return SshHostControl(config)


def test_status_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "answer").write_text(STATUS)
    host = ssh(tmp_path, monkeypatch, f"cat {tmp_path}/answer")
    found = hosts.status(host)
    instance = found.instance("airbyte-prod-abctl")
    assert found.compose == "stopped"
    assert instance is not None
    assert (instance.epoch, instance.rendering, instance.running) == (
        2,
        "active-intermediary",
        True,
    )
    assert found.instance("airbyte-prod-backup-replica-2") is None
    assert hosts.reachable(host)


def test_status_of_an_old_hostctl_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BlockedError) as refused:
        hosts.status(ssh(tmp_path, monkeypatch, "echo no JSON"))
    assert "pulumi up" in refused.value.way_out


@pytest.mark.parametrize(
    ("script", "error", "answers"),
    [
        ("echo 'connect to host: No route to host' >&2; exit 255", UnreachableError, False),
        ("echo 'root@host: Permission denied (publickey).' >&2; exit 255", BlockedError, True),
        ("echo 'Host key verification failed.' >&2; exit 255", BlockedError, True),
        ("echo 'error: found epoch 1' >&2; exit 1", BlockedError, True),
    ],
    ids=["dead", "refuses our key", "is another host", "the verb failed"],
)
def test_a_host_that_refuses_is_not_a_dead_host(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    error: type[MigrationError],
    answers: bool,
) -> None:
    host = ssh(tmp_path, monkeypatch, script)
    with pytest.raises(error):
        host.run("stop abctl")
    assert hosts.reachable(host) is answers


def test_a_host_that_never_ends_counts_as_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "STATUS_DEADLINE_SECONDS", 0.2)
    host = ssh(tmp_path, monkeypatch, "exec sleep 60")
    assert not hosts.reachable(host)


@pytest.mark.parametrize(
    ("verb", "seconds"),
    [
        ("status", hosts.STATUS_DEADLINE_SECONDS),
        ("stop abctl", hosts.VERB_DEADLINE_SECONDS),
        ("stop airbyte", hosts.VERB_DEADLINE_SECONDS),
        ("start abctl", hosts.INSTALL_DEADLINE_SECONDS),
        ("activate airbyte-prod-abctl 1 active-intermediary", hosts.INSTALL_DEADLINE_SECONDS),
    ],
)
def test_installing_may_take_as_long_as_helm_waits(verb: str, seconds: int) -> None:
    assert hosts.deadline(verb) == seconds


def test_dead_host_costs_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ssh(tmp_path, monkeypatch, "true").command("status")
    assert "ConnectTimeout=2" in line
    assert line[-1] == "status"
