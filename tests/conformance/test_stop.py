"""A service of compose ends on SIGTERM within seconds, whatever it is in the middle of.

The kernel may hand the signal of a process to any of its threads; here it is not the main one.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.conformance.harness import FACTOR, Airbyte, Process, call, eventually, free_port
from tests.conformance.installation import Installation
from tests.support.signals import terminate_by_another_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDS_SECONDS = 5.0
NEVER_ENDING = 10_000_000
RUNNING = "SELECT count(*) FROM jobs WHERE status = 'running'"


@pytest.fixture
def services(booted: Airbyte) -> Iterator[dict[str, Process]]:
    """All that `docker stop` stops, with a sync under way and a client connected to each."""
    lab = Installation(booted, interval=1000)
    call(f"{lab.world.url}/source/{lab.source()}/grow", {"to": NEVER_ENDING})
    running = {"world": lab.world, "temporal": lab.temporal, "server": lab.server}
    for role in ("worker", "cron", "webapp", "connector-builder-server"):
        running[role] = booted.start(role).ready()
    ports = ",".join(str(free_port()) for _ in range(3))
    proxy = booted.start("proxy", STANDIN_PORT=ports)
    proxy.port = int(ports.rpartition(",")[2])
    running["proxy"] = proxy.ready()
    eventually(lambda: booted.one(RUNNING) == 1, "a sync runs")
    clients = [
        socket.create_connection(("127.0.0.1", process.port)) for process in running.values()
    ]
    for client in clients:
        client.sendall(b"GET /never-asked-to-the-end HTTP/1.1\r\n")
    yield running
    for client in clients:
        client.close()


def test_every_service_ends_on_sigterm_with_clients_connected_and_a_sync_under_way(
    services: dict[str, Process],
) -> None:
    began = time.monotonic()
    for process in services.values():
        terminate_by_another_thread(process.popen.pid)
    for name, process in services.items():
        code = process.ended(ENDS_SECONDS)
        assert (name, code) == (name, 0), process.text()
    assert time.monotonic() - began < ENDS_SECONDS * FACTOR
