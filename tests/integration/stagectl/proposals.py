"""What Pulumi proposes for a deployment that has changed without it: nothing, after a failover."""

import json
import subprocess
import time
from typing import Protocol

from stages.stagectl import preview
from stages.stagectl.state import State
from tests.support.timeouts import FACTOR

TOLD_SECONDS = 10 * FACTOR
"""A dead host is told of within this time."""
QUIET = ("--non-interactive", "--color=never")


class Runs(Protocol):
    """Whatever runs commands on a deployment, e.g. the `Deployment` of the main job."""

    def run(self, *command: str, ok: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run one command; with `ok` it must succeed."""


def assert_nothing_proposed(deployment: Runs, stack: str) -> None:
    """Neither `preview` nor `refresh`, nor both together, would change anything; and none did."""
    before = _state(deployment, stack)
    for more in ("--refresh=false", "--refresh"):
        done = deployment.run("pulumi", "preview", "--json", "--stack", stack, more, *QUIET)
        proposed = preview.read(stack, json.loads(done.stdout))
        # That it looked again is no change; what it found different is told below.
        changes = [change for change in proposed.changes if change.op != "refresh"]
        assert changes == [], f"preview {more}: {changes}"
        assert proposed.unchanged >= len(before.held)
    drift = ("refresh", "--preview-only", "--expect-no-changes")
    done = deployment.run("pulumi", *drift, "--stack", stack, *QUIET, ok=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _state(deployment, stack).digest == before.digest


def assert_dead_hosts_are_told(deployment: Runs, stack: str, *hosts: str) -> None:
    """`preview` and `refresh --run-program` end soon, name exactly these hosts, change nothing."""
    before = _state(deployment, stack)
    for command in (["preview"], ["refresh", "--yes", "--run-program"]):
        began = time.monotonic()
        done = deployment.run("pulumi", *command, "--stack", stack, *QUIET, ok=False)
        said, seconds = done.stdout + done.stderr, time.monotonic() - began
        assert done.returncode != 0, said
        assert seconds < TOLD_SECONDS, f"{command}: {seconds:.1f} s"
        assert "nothing was proposed and nothing was changed" in said
        told = {line.split()[1] for line in said.splitlines() if line.strip().startswith("- ")}
        assert told == set(hosts), said
        assert "failover --dry-run" in said
    assert _state(deployment, stack).keys == before.keys


def _state(deployment: Runs, stack: str) -> State:
    return State(json.loads(deployment.run("pulumi", "stack", "export", "--stack", stack).stdout))
