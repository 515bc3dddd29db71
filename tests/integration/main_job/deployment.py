"""A deployment in the lab: the program and its commands, run as a user of the lab runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import lifecycle
from tests.support.fix_lab import Lab
from tests.support.timeouts import PULUMI_UP

ROOT = Path(__file__).resolve().parents[3]
AGENT = "db-migration"
DEPLOYED = "docker ps -aq; docker volume ls -q; find /var/lib/airbyte-migration 2>/dev/null; true"


@dataclass
class Deployment:
    """One lab, one folder with the program, and all that was printed."""

    lab: Lab
    logs: list[str] = field(default_factory=list)
    """All that the commands printed, for the search for planted secrets."""
    folder: Path = ROOT

    @property
    def env(self) -> dict[str, str]:
        """That of `lab env`."""
        return self.lab.env

    def run(
        self, *command: str, ok: bool = True, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder, with the environment."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PULUMI_UP,
        )
        self.logs.append(done.stdout + done.stderr)
        if ok and done.returncode:
            pytest.fail(
                f"{' '.join(command)} ended with {done.returncode}\n{self.logs[-1][-8000:]}"
            )
        return done

    def up(self, stack: str) -> dict[str, int]:
        """`pulumi up`; return how many resources were created, updated, replaced, deleted."""
        self.run("pulumi", "up", "--yes", "--non-interactive", "--stack", stack)
        return self.last_changes(stack)

    def refresh(self, stack: str) -> dict[str, int]:
        """`pulumi refresh`; return what it found to differ."""
        self.run("pulumi", "refresh", "--yes", "--non-interactive", "--stack", stack)
        return self.last_changes(stack)

    def last_changes(self, stack: str) -> dict[str, int]:
        """Counts of the stack's last update by operation, `same` left out."""
        done = self.run(
            *("pulumi", "stack", "history", "--stack", stack, "--json", "--page-size", "1")
        )
        changes: dict[str, int] = json.loads(done.stdout)[0].get("resourceChanges") or {}
        return {kind: count for kind, count in changes.items() if kind != "same" and count}

    def outputs(self, stack: str) -> dict[str, Any]:
        """The stack's outputs, secrets kept back."""
        done = self.run("pulumi", "stack", "output", "--json", "--stack", stack)
        parsed: dict[str, Any] = json.loads(done.stdout)
        return parsed

    def agent(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the DB Migration Script's command line on core-worker-01."""
        command = ["docker", "exec", AGENT, AGENT, *arguments]
        return self.run(sys.executable, "-m", "lab", "ssh", "core-worker-01", "--", *command, ok=ok)

    def prod_sql(self, query: str) -> str:
        """Run SQL on prod's database as its owner, inside its container."""
        return self.lab.docker(
            "prod", *("exec", "airbyte-db", "psql", "-U", "docker", "-d", "airbyte", "-Atc", query)
        )

    def copy_sql(self, query: str, database: str = "airbyte_mirror") -> str:
        """Run SQL on core-worker-01 as the administrator, inside its container."""
        return self.lab.docker(
            "core-worker-01",
            *("exec", "core-worker-01-postgres", "psql", "-U", "postgres", "-d", database),
            *("-Atc", query),
        )


def empty(lab: Lab) -> None:
    """Leave no stack, and nothing on any host; what is clean already stays as it is."""
    stacks = list(lab.spec.pulumi_state.glob(".pulumi/stacks/*/*.json"))
    if stacks or any(lab.ssh(host, DEPLOYED).stdout for host in lab.hosts):
        lifecycle.down(lab.spec)
        lifecycle.up(lab.spec)
