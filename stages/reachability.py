"""Before anything is registered, every host of the stage is tried: dead ones are told at once.

Without this, providers dial a dead host resource by resource, each with its own limit, and bury
the one fact under an error for each. Only a real `preview`, `up` or `refresh --run-program` asks:
not a program under mocks, and not a preview on a copy (`stagectl preview`, a promotion's
rehearsal), which must work where hosts can not be reached.
"""

import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor

from stages.models import HostSettings, Stage
from stages.problems import NAMESPACE
from stages.stagectl.stacks import ASK_NO_HOST

if TYPE_CHECKING:
    from stages.settings import Settings

ANSWER_SECONDS = 3.0
BANNER = b"SSH-"
MOST_BYTES = 1024
"""A server may send lines of its own before its banner (RFC 4253, 4.2)."""
AGENT = "docker exec db-migration db-migration"


@dataclass(frozen=True, kw_only=True)
class DeadHost:
    """A host that does not answer as an SSH server."""

    name: str
    where: str
    found: str


class HostsUnreachableError(pulumi.RunError):
    """Hosts of the stage do not answer, e.g. after a crash; nothing was registered."""

    def __init__(self, stage: Stage, dead: list[DeadHost]) -> None:
        """Name every dead host, and the order of what to do."""
        self.dead = tuple(dead)
        count = "1 host does" if len(dead) == 1 else f"{len(dead)} hosts do"
        lines = [
            f"{count} not answer within {ANSWER_SECONDS:g} s; nothing was proposed and nothing was"
            " changed:",
            *(f"- {host.name} ({host.where}): {host.found}" for host in dead),
            f"needed:  every host in {NAMESPACE}:hosts of stack `{stage}` answers on SSH, for"
            " `pulumi preview`, `up` and `refresh` compare with what is there",
            *_way_out(stage),
        ]
        super().__init__("\n".join(lines))


def check(settings: "Settings") -> None:
    """Try every host; raise HostsUnreachableError with all that do not answer."""
    if os.environ.get(ASK_NO_HOST) or isinstance(get_monitor(), MockMonitor):
        return
    hosts = {name: host.settings for name, host in settings.hosts.items()}
    if dead := find_dead(hosts):
        raise HostsUnreachableError(settings.stage, dead)


def find_dead(hosts: Mapping[str, HostSettings], seconds: float = ANSWER_SECONDS) -> list[DeadHost]:
    """Try all hosts at once, for `seconds` altogether; return those without an SSH banner."""
    deadline = time.monotonic() + seconds
    found = dict.fromkeys(hosts, "no connection")

    def ask(name: str, host: HostSettings) -> None:
        found[name] = _try(host, deadline)

    # Daemons, not a pool: a name that does not resolve may keep its thread for longer.
    threads = [
        threading.Thread(target=ask, args=item, name=f"reach-{item[0]}", daemon=True)
        for item in hosts.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline + 0.1 - time.monotonic()))
    return [
        DeadHost(name=name, where=f"{host.address}:{host.ssh_port}", found=found[name])
        for name, host in hosts.items()
        if found[name]
    ]


def _try(host: HostSettings, deadline: float) -> str:
    """Return what is wrong with a host, nothing if it is well."""
    heard, silence = b"", "no connection"
    try:
        with socket.create_connection((host.address, host.ssh_port), _left(deadline)) as connected:
            silence = "it accepts a connection and says nothing"
            while BANNER not in heard and len(heard) < MOST_BYTES:
                connected.settimeout(_left(deadline))
                chunk = connected.recv(MOST_BYTES)
                if not chunk:
                    return "the connection ended without an SSH banner"
                heard += chunk
    except TimeoutError:
        return silence
    except OSError as error:
        return error.strerror or str(error)
    return "" if BANNER in heard else "something else than SSH answers"


def _left(deadline: float) -> float:
    return max(0.01, deadline - time.monotonic())


def _way_out(stage: Stage) -> list[str]:
    mend = f"way out: start it, or mend {NAMESPACE}:hosts"
    if stage is Stage.V0:
        return [mend]
    return [
        f"{mend}. After a crash, in this order (docs/runbooks/failover.md):",
        "  1. on core-worker-01 or on the replica's host, which needs neither Pulumi nor the dead"
        f" one: {AGENT} failover --dry-run; the same without --dry-run",
        f"  2. once the host is back: {AGENT} rebuild, then pulumi preview --stack {stage}",
    ]
