"""Dead hosts are told all at once, before anything is registered, within seconds."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypeAlias, cast

import pytest
from pulumi.runtime.mocks import MockMonitor

from stages import reachability
from stages.models import HostSettings, Stage
from stages.reachability import HostsUnreachableError, check, find_dead
from stages.stagectl.stacks import ASK_NO_HOST

if TYPE_CHECKING:
    from stages.settings import Settings

Serve: TypeAlias = Callable[[bytes | None], HostSettings]
SECONDS = 1.0
QUICK = 5.0
"""Far below the minutes of the providers, with room for a busy machine."""


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start hosts that say these bytes to whoever connects and hang up; None says nothing."""
    with contextlib.ExitStack() as opened:

        def start(says: bytes | None) -> HostSettings:
            server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))

            def answer() -> None:
                with contextlib.suppress(OSError):
                    connected = opened.enter_context(server.accept()[0])
                    if says is not None:
                        connected.sendall(says)
                        connected.close()

            threading.Thread(target=answer, daemon=True).start()
            return host(server.getsockname()[1])

        yield start


def host(port: int, address: str = "127.0.0.1") -> HostSettings:
    return HostSettings(address=address, ssh_port=port)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def settings(stage: Stage, **hosts: HostSettings) -> "Settings":
    ways = {name: SimpleNamespace(settings=each) for name, each in hosts.items()}
    return cast("Settings", SimpleNamespace(stage=stage, hosts=ways))


@pytest.fixture
def real_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "get_monitor", lambda: None)
    monkeypatch.delenv(ASK_NO_HOST, raising=False)


def test_hosts_that_answer_are_not_dead(serve: Serve) -> None:
    hosts = {
        "prod": serve(b"SSH-2.0-OpenSSH_9.2\r\n"),
        "replica": serve(b"welcome\r\nSSH-2.0-x\r\n"),
    }
    assert find_dead(hosts, QUICK) == []


def test_every_dead_host_is_found_and_all_are_asked_at_once(serve: Serve) -> None:
    hosts = {
        "refuses": host(closed_port()),
        "hung": serve(None),
        "hung-too": serve(None),
        "web": serve(b"HTTP/1.1 400 Bad Request\r\n" * 100),
        "hangs-up": serve(b""),
        "nameless": host(22, "no-such-host.invalid"),
        "alive": serve(b"SSH-2.0-x\r\n"),
    }
    began = time.monotonic()
    found = {dead.name: dead.found for dead in find_dead(hosts, SECONDS)}
    assert time.monotonic() - began < SECONDS + QUICK
    assert found.pop("nameless")
    assert found == {
        "refuses": "Connection refused",
        "hung": "it accepts a connection and says nothing",
        "hung-too": "it accepts a connection and says nothing",
        "web": "something else than SSH answers",
        "hangs-up": "the connection ended without an SSH banner",
    }


@pytest.mark.usefixtures("real_engine")
def test_the_error_names_all_dead_hosts_and_what_to_do_in_which_order(serve: Serve) -> None:
    first, second = closed_port(), closed_port()
    v2 = settings(
        Stage.V2, prod=host(first), replica=serve(b"SSH-2.0-x\r\n"), intermediary=host(second)
    )
    with pytest.raises(HostsUnreachableError) as caught:
        check(v2)
    said = str(caught.value)
    assert said.startswith("2 hosts do not answer within 3 s; nothing was proposed and nothing was")
    assert f"- prod (127.0.0.1:{first}): Connection refused" in said
    assert f"- intermediary (127.0.0.1:{second}): Connection refused" in said
    assert "replica (" not in said
    order = ["needed:", "way out:", "db-migration failover --dry-run", "db-migration rebuild"]
    assert sorted(order, key=said.index) == order
    assert "--stack v2" in said


@pytest.mark.usefixtures("real_engine")
def test_v0_has_nothing_to_fail_over_to() -> None:
    with pytest.raises(HostsUnreachableError, match="1 host does not answer") as caught:
        check(settings(Stage.V0, prod=host(closed_port())))
    assert "failover" not in str(caught.value)


@pytest.mark.usefixtures("real_engine")
def test_a_preview_on_a_copy_asks_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASK_NO_HOST, "true")
    check(settings(Stage.V2, prod=host(closed_port())))


def test_a_program_under_mocks_asks_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    mocked = MockMonitor.__new__(MockMonitor)
    monkeypatch.setattr(reachability, "get_monitor", lambda: mocked)
    check(settings(Stage.V2, prod=host(closed_port())))
