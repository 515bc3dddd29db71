"""What a test does to v2 and how it judges it, from outside the hosts."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field

import pytest

from airbyte.compose import VolumeName
from lab import lifecycle, load_verdict
from lab.demo import measure
from lab.demo.final import accepts, syncs
from lab.demo.follow import Follower, until
from lab.demo.load import Generator
from lab.demo.measure import Ledger
from lab.demo.places import Credentials
from lab.load_notes import ACKNOWLEDGED, read
from tests.integration.docs.runbooks import Command, carry_out, sections
from tests.integration.main_job.deployment import AGENT, Deployment
from tests.support.timeouts import CONVERGE, FACTOR

REBUILT = 300 * FACTOR
SYNCED = 120 * FACTOR
DEAD_HOST_SAID = 60 * FACTOR
"""Seconds in which `pulumi preview` tells of a dead host; dialling alone would take minutes."""
DATABASE_ACCEPTS = 10 * FACTOR
"""Seconds: twice what the demo holds on a machine of its own."""
DATABASE_MOVES = 10 * FACTOR
STILL_ON_ITS_WAY = 1.0
"""Seconds before a database's death in which what it acknowledged may not have reached its copy."""
PROPOSAL = re.compile(r"\d+ to (?:create|update|delete|replace)")
WITH_SCRIPT = ("core-worker-01", "intermediary", "replica")


@dataclass(frozen=True, kw_only=True)
class Death:
    """A host's death, and who is active after the failover."""

    host: str
    section: str
    """Of the failover's page."""
    commander: str
    """Where the operator types it."""
    airbyte: str
    database: str
    database_died: bool

    def __str__(self) -> str:
        """Name the test."""
        return self.host

    def as_typed(self, command: Command) -> Command:
        """Put in the machine and the dead host where the page names those of the first death."""
        line = command.line.replace("--host-is-down prod", f"--host-is-down {self.host}")
        return Command(self.commander, line)


@dataclass(kw_only=True)
class Scene:
    """v2, its load, and who follows prod."""

    deployment: Deployment
    generator: Generator
    follower: Follower
    secrets: Credentials
    known_missing: set[int] = field(default_factory=set)
    """Ids of rows that a database took with it."""
    connector: str = ""
    """Container on prod's host."""

    def follow(self, runbook: str, title: str, death: Death | None = None) -> list[str]:
        """Type a section of a runbook as it stands; return what each command said."""
        said = []
        for command in sections(runbook)[title]:
            typed = death.as_typed(command) if death else command
            done = carry_out(self.deployment, typed)
            said.append(done.stdout + done.stderr)
        return said

    def start_connector(self) -> None:
        """Start what never ends, as compose starts a connector: no label, no known name."""
        lab = self.deployment.lab
        image = str((lab.inspect("prod", "airbyte-worker") or {})["Config"]["Image"])
        workspace = ("-v", f"{VolumeName.WORKSPACE}:/data")
        run = (
            "run",
            "-d",
            "--rm",
            "--init",
            *workspace,
            "--entrypoint",
            "sleep",
            image,
            "infinity",
        )
        self.connector = lab.docker("prod", *run)

    def kill(self, host: str) -> float:
        """Pull the plug; return the moment before."""
        moment = time.time()
        self.deployment.lab.kill(host)
        return moment

    def start(self, host: str) -> None:
        """Boot it again, and wait for the script's container, which restarts by itself."""
        lab = self.deployment.lab
        lifecycle.start(lab.spec, lab.hosts[host])

        def back() -> bool:
            found = lab.inspect(host, AGENT)
            return found is not None and bool(found["State"]["Running"])

        if host in WITH_SCRIPT:
            until(back, f"{AGENT} runs on {host}", CONVERGE)

    def script(self, host: str, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the DB Migration Script's command line on a host, as an operator."""
        command = shlex.join(["docker", "exec", AGENT, AGENT, *words])
        return self.deployment.run(
            *(sys.executable, "-m", "lab", "ssh", host, "--", command), ok=ok
        )

    def has_moved(self, airbyte: str, database: str, since: float = 0.0) -> None:
        """Wait until the new side is known, accepts writes, and syncs."""

        def known() -> bool:
            active = self.follower.active
            return active is not None and (active.airbyte, active.database) == (airbyte, database)

        until(known, f"{airbyte} on {database} is active", CONVERGE)
        accepts(self.generator, airbyte, max(since, self.follower.changes[-1].at))
        syncs(airbyte)

    def until_acknowledged(self, writes: int) -> None:
        """Wait until prod has acknowledged so many writes."""
        until(lambda: self.generator.acknowledged() >= writes, f"{writes} writes", CONVERGE)

    def newly_missing(self, database: str) -> list[float]:
        """When those acknowledged rows were acknowledged that are missing since the last look."""
        verdict = load_verdict.judge(
            self.generator.folder, lambda: measure.rows(self.secrets, database)
        ).rows
        assert verdict is not None
        assert verdict.found > 0
        lost = set(verdict.missing_ids) - self.known_missing
        self.known_missing |= lost
        notes = read(self.generator.folder / ACKNOWLEDGED)
        assert verdict.missing <= load_verdict.SHOWN, f"{verdict.missing} rows are missing"
        return [float(note["at"]) for note in notes if note["id"] in lost]

    def unscheduled(self, database: str) -> int:
        """Count the active connections without a running workflow."""
        found = measure.scheduled(self.secrets, database)
        assert found.active > 0
        return found.active - found.scheduled

    def ledger(self, since: float) -> Ledger:
        """What the destinations got; of the writers, those since a moment, of whom there is one."""
        until(lambda: bool(measure.ledger(since).writers), "a sync", SYNCED)
        return measure.ledger(since)

    def preview_of_a_dead_host(self, host: str) -> None:
        """`pulumi preview` says which host is dead, soon, and proposes nothing."""
        began = time.monotonic()
        done = self.deployment.run("pulumi", "preview", "--stack", "v2", ok=False)
        said = done.stdout + done.stderr
        if time.monotonic() - began > DEAD_HOST_SAID or host not in said or PROPOSAL.search(said):
            pytest.fail(f"of the dead host {host} `pulumi preview` said:\n{said[-4000:]}")

    def repair(self) -> None:
        """As the page says: the returned host is the standby again, the lost copy is made anew."""
        self.follow("failover", "Afterwards, and when the host is back")
        self.until_redundant()

    def until_redundant(self) -> None:
        """Wait until a copy follows prod's database."""
        deadline = ("--deadline", f"{REBUILT:.0f}")
        for host in ("core-worker-01", "intermediary"):
            self.script(host, "status", "--wait", "following", *deadline)

    def preview_proposes_nothing(self) -> None:
        """`pulumi preview` leaves everything as the failover and the repair left it."""
        self.deployment.run("pulumi", "preview", "--stack", "v2", "--expect-no-changes")
