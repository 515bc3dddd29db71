"""v2 and the crash it exists for, under load."""

import sys
import time
from collections.abc import Mapping

from lab import load_verdict
from lab.demo import measure
from lab.demo.commands import shown
from lab.demo.follow import Follower, until
from lab.demo.history import bring_up
from lab.demo.load import Generator
from lab.demo.places import ABCTL, AIRBYTES, COMPOSE, REPLICA, WRITERS, Credentials
from lab.demo.report import Crash, Final
from lab.load_verdict import first_accepted_after

LAB = [sys.executable, "-m", "lab"]
ON_CORE_WORKER = ["python", "-m", "lab", "ssh", "core-worker-01", "--"]
AGENT = [*ON_CORE_WORKER, "docker", "exec", "db-migration", "db-migration"]
ACCEPTED_DEADLINE = 120.0
SYNCED_DEADLINE = 120.0


def run(
    generator: Generator, follower: Follower, secrets: Credentials, env: Mapping[str, str]
) -> Final:
    """Promote, move prod, kill its host, fail over; then judge from the files outside."""
    promotion = shown(["stagectl", "promote", "v1", "v2", "--yes"], env)
    stage = bring_up("v2", env)
    accepts(generator, ABCTL, 0.0)
    syncs(ABCTL)
    killed = time.time()
    shown([*LAB, "kill", "prod"], env)
    commanded = time.time()
    shown([*AGENT, "failover", "--host-is-down", "prod"], env)
    first = accepts(generator, REPLICA, killed)
    syncs(REPLICA)
    active = follower.active
    database = active.database if active else "intermediary"
    connections = measure.scheduled(secrets, database)
    verdict = load_verdict.judge(generator.folder, lambda: measure.rows(secrets, database))
    changes = {(gap.before, gap.after): gap.seconds for gap in verdict.changes}
    if verdict.rows is None:
        message = f"the rows of {database} were not judged"
        raise RuntimeError(message)
    return Final(
        stage=stage,
        promotion_seconds=promotion,
        cut_over_seconds=changes[AIRBYTES[COMPOSE], AIRBYTES[ABCTL]],
        crash=Crash(
            from_last_write=changes[AIRBYTES[ABCTL], AIRBYTES[REPLICA]],
            from_command=first - commanded,
        ),
        acknowledged=verdict.acknowledged,
        rows=verdict.rows,
        connections=connections,
        ledger=measure.ledger(),
        database=database,
    )


def accepts(generator: Generator, airbyte: str, since: float) -> float:
    """Wait until an Airbyte has accepted a write after a moment; return when it did."""

    def found() -> float | None:
        first = first_accepted_after(generator.folder, since, AIRBYTES[airbyte])
        if first is None and generator.ended:
            message = f"the load has ended, nothing can show whether {airbyte} accepts a write"
            raise RuntimeError(message)
        return first

    until(lambda: found() is not None, f"{airbyte} accepts a write", ACCEPTED_DEADLINE)
    return found() or since


def syncs(airbyte: str) -> None:
    """Wait until the last batch that a destination received is this Airbyte's."""
    writer = WRITERS[airbyte]
    until(lambda: measure.ledger().writers[-1:] == [writer], f"{airbyte} syncs", SYNCED_DEADLINE)
