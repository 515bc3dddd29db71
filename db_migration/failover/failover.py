"""Failover: observe, decide (failover_plan), and carry the plan out, step by step.

Each step looks at what is there and can be repeated, so a failover that was killed is run again
with the same command. All servers that answer are locked meanwhile: of two failovers one wins.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
import structlog

from db_migration.config import Config, ServerConfig
from db_migration.context import over_ssh
from db_migration.errors import BlockedError, MigrationError
from db_migration.failover import outwait, proof, steps
from db_migration.failover import plan as failover_plan
from db_migration.failover.look import JOURNAL, UNFINISHED, InstanceHost, look
from db_migration.failover.plan import Kind, Plan
from db_migration.failover.state import Observed
from db_migration.failover.steps import Report, Task
from db_migration.journal import Journal, try_lock
from db_migration.postgres import rows, until, value
from db_migration.reporting import error_text
from db_migration.sides import epoch, servers
from db_migration.sides.epoch import Epoch

SIDES_LOCK_SECONDS = 3.0
"""Longer than a process that was killed holds it, or one that only stops who has come back."""
FEED_LOCK_SECONDS = 30.0
FEED_ASK_SECONDS = 1.0
PROGRESS_SECONDS = 5.0
COMMAND = "docker exec db-migration db-migration failover"
SOMEBODY = "another cut-over, failover, rebuild or rehearsal"
log = structlog.get_logger()


@dataclass(frozen=True)
class Step:
    """One thing to do: its short name in journal and report, and what it means."""

    name: str
    text: str
    act: Callable[[Task], str | None]
    """Says what the audit trail is to keep of it."""
    changes: bool = True
    """Whether it leaves something unfinished when it is interrupted."""


class Failover:
    """One run, from what it observes to the last proof."""

    def __init__(
        self,
        config: Config,
        *,
        down: frozenset[str] = frozenset(),
        longest_sync: float | None = None,
        instance_host: InstanceHost = over_ssh,
        decide: Callable[[Observed], Plan] = failover_plan.decide,
    ) -> None:
        """Observe and decide; raises BlockedError where nothing may be done.

        `longest_sync` seconds take the place of the operator's word where the live database can
        shut the lost Airbyte out.
        """
        started = time.monotonic()
        seen = look(config, instance_host, down)
        self.plan = decide(seen)
        self.report = Report(self.plan, started)
        self.report.seconds["observe"] = time.monotonic() - started
        silent = {server.name for server in seen.servers if not server.answers}
        living = tuple(server for server in config.servers if server.name not in silent)
        # The dead are not asked again: each time would cost seconds.
        config = config.model_copy(update={"servers": living})
        self._waits = longest_sync is not None and self.plan.kind is Kind.ATTACH
        self._down = down.union(self.plan.words) if self._waits else down
        self._task = Task(config, self.plan, instance_host, self.report, self._down, longest_sync)
        self._stopping: Future[None] | None = None

    @property
    def missing_words(self) -> list[str]:
        """Hosts of which the operator still has to say that they are down."""
        return [host for host in self.plan.words if host not in self._down]

    @property
    def _verb(self) -> str:
        return "failback" if self.plan.kind is Kind.RETURN else "failover"

    @property
    def command(self) -> str:
        """The exact command that gives the operator's word."""
        return " ".join([COMMAND, *(f"--host-is-down {host}" for host in self.plan.words)])

    def steps(self) -> list[Step]:
        """Return what is to be done, in order."""
        plan = self.plan
        if plan.kind is Kind.NOTHING:
            return []
        to, name = plan.then.database, plan.then.airbyte
        found: list[Step] = []
        if plan.kind is Kind.ATTACH:
            found = [Step("shut out", f"let {name} go on nowhere as standby", steps.shut_out)]
            if self._waits:
                found += self._outwaited()
        if plan.kind is Kind.PROMOTE:
            names = ", ".join(plan.stop) or "nobody"
            found = [
                Step("fence", f"begin to stop {names}, beside what follows", self._begin_to_stop),
                Step("shut out", f"let no Airbyte into {to}", steps.shut_out),
                Step("apply", "wait until all changes received are applied", steps.apply_received),
                Step("promote", f"make the mirror of {to} its live database", steps.promote),
                Step("stop", f"wait until {names} is stopped", self._wait_until_stopped),
            ]
        if plan.kind is Kind.RETURN:
            found = self._way_home()
        if plan.moves:
            text = f"record epoch {plan.then.epoch}: {name} on {to}"
            found.append(Step("epoch", text, steps.record))
        found.append(Step("admit", f"let {name} into {to}, and nobody else", steps.let_in))
        return [
            *found,
            Step("others", f"set {', '.join(plan.others) or 'nobody'} `stopped`", steps.set_others),
            Step("activate", f"activate {name} on {to}", steps.activate),
            Step("prove", "touch every active connection, prove each scheduled", steps.prove),
        ]

    def _outwaited(self) -> list[Step]:
        """Return how the lost Airbyte is fenced without anybody's word."""
        lost, where = self.plan.now.airbyte, self.plan.now.database
        seconds = self._task.longest_sync or 0
        return [
            Step("fence", f"let nobody into {where}: {lost} begins no sync", outwait.shut_out),
            Step("outwait", f"wait {seconds:g} s, the longest sync of {lost}", outwait.wait),
        ]

    def _way_home(self) -> list[Step]:
        """Return how a living prod comes to a halt without a row or a sync lost."""
        plan = self.plan
        to, names = plan.then.database, ", ".join(plan.stop)
        found = [
            Step("drain", "wait until no sync runs", steps.drain, changes=False),
            Step("stop", f"stop {names}", steps.stop),
            Step("shut out", "let nobody in meanwhile", steps.shut_out),
        ]
        if plan.keeps:
            return found
        before = f"compare {plan.now.database} with its copy on {to} while prod goes on"
        return [
            Step("compare", before, proof.compare, changes=False),
            *found,
            Step("catch up", f"wait until {to} has applied everything", proof.catch_up),
            Step("verify", f"compare {plan.now.database} with its copy on {to}", proof.prove_equal),
            Step("promote", f"make the mirror of {to} its live database", steps.promote),
        ]

    def run(self) -> Report:
        """Carry the plan out; raises what stopped it, and can then be run again."""
        todo = self.steps()
        if not todo:
            return self.report
        self._ask_for_words()
        journal = Journal(servers.control(self._task.server), JOURNAL)
        with ExitStack() as held:
            lock_all(held, self._task.config.servers, self.plan.now)
            journal.open()
            self._keep_feeds_still(held)
            for step in todo:
                if step.changes:
                    journal.intend(UNFINISHED, on=True)
                self._carry_out(step, journal)
            journal.intend(UNFINISHED, on=False)
            outwait.forget(self._task)
        return self.report

    def _begin_to_stop(self, task: Task) -> None:
        """Fence the syncs; a promotion needs the databases' fence only, and goes on meanwhile."""
        self._stopping = ThreadPoolExecutor(1).submit(steps.stop, task)

    def _wait_until_stopped(self, _: Task) -> None:
        if self._stopping is not None:
            self._stopping.result()

    def _carry_out(self, step: Step, journal: Journal) -> None:
        log.info(self._verb, step=step.name, what=step.text)
        seen = {"seen": list(self.plan.evidence)}
        journal.event(step.name, "started", step.text, seen)
        before = time.monotonic()
        try:
            with _speaking(self._verb, step):
                said = step.act(self._task)
        except (MigrationError, psycopg.Error) as error:
            journal.event(step.name, "failed", error_text.short(error)[:500])
            raise
        self.report.seconds[step.name] = time.monotonic() - before
        journal.event(step.name, "done", said or "")

    def _ask_for_words(self) -> None:
        missing = self.missing_words
        if missing:
            raise BlockedError(
                found=f"host {', '.join(missing)} does not answer; from here a dead host and one "
                "that is only cut off look the same, and on the latter syncs may go on",
                needed="your word that the host is down: make sure that it is switched off",
                way_out=f"then type: {self.command}{self._or_time()}",
            )

    def _or_time(self) -> str:
        if self.plan.kind is not Kind.ATTACH:
            return ""
        return (
            f"; or, if you can not know: {COMMAND} --longest-sync SECONDS, which shuts "
            f"{self.plan.now.airbyte} out of {self.plan.now.database} and waits so long"
        )

    def _keep_feeds_still(self, held: ExitStack) -> None:
        """Hold the locks of all feeds to the end: no agent acts on what it saw before.

        Only a promotion has to wait for them. A feed whose source is alive may be busy for long,
        and does no harm: what it stops it starts again, in the rendering of the new epoch.
        """
        for server in self._task.config.servers:
            needed = not self.plan.keeps and server.name == self._task.server.name
            seconds = FEED_LOCK_SECONDS if needed else FEED_ASK_SECONDS
            connection = held.enter_context(servers.control(server).connect())
            if value(connection, "SELECT to_regclass('migration.feed') IS NULL"):
                continue
            for (name,) in rows(connection, "SELECT name FROM migration.feed ORDER BY 1"):
                still = until(partial(try_lock, connection, name), seconds)
                if needed and not still:
                    raise _somebody_else(found=f"feed {name} is in the middle of a step")


@contextmanager
def _speaking(verb: str, step: Step) -> Iterator[None]:
    """Say every few seconds that a long step is still under way: abctl may take minutes."""
    ended = threading.Event()

    def speak() -> None:
        seconds = 0.0
        while not ended.wait(PROGRESS_SECONDS):
            seconds += PROGRESS_SECONDS
            log.info(verb, step=step.name, still_after_seconds=seconds)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def lock_all(held: ExitStack, living: Sequence[ServerConfig], now: Epoch) -> None:
    """Lock every server that answers for as long as `held` lives, and see that nobody was first.

    Raises BlockedError when another cut-over, failover or rebuild is at work, or has ended since
    `now`.
    """
    for server in sorted(living, key=lambda server: server.name):
        connection = held.enter_context(servers.control(server).connect())
        if not until(partial(try_lock, connection, JOURNAL), SIDES_LOCK_SECONDS):
            raise _somebody_else(found=f"{SOMEBODY} is at work on {server.name}")
        known = epoch.read(connection)
        if known is not None and known.epoch > now.epoch:
            raise _somebody_else(found=f"epoch {known.epoch} was recorded meanwhile")


def _somebody_else(found: str) -> BlockedError:
    return BlockedError(
        found=found,
        needed="nobody else who changes the active side at the same time",
        way_out="nothing was done here; wait for it, or end its process (`docker restart "
        "db-migration` where it was typed); then look again with `db-migration failover --dry-run`",
    )
