"""The loop: observe -> plan.next_step -> one step, again and again, through every outage."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import psycopg
import structlog

from db_migration import deadline
from db_migration.agent import copies, observe, plan, state
from db_migration.agent.actions import ACTIONS
from db_migration.agent.memory import Memory
from db_migration.agent.patience import Fault, Worker
from db_migration.agent.plan import Step
from db_migration.agent.trail import Trail
from db_migration.context import Context
from db_migration.errors import (
    BlockedError,
    MigrationError,
    Stopping,
    UnreachableError,
)
from db_migration.following import log_watch
from db_migration.following.heartbeat import Heartbeat
from db_migration.journal import Journal
from db_migration.reporting import error_text, evidence, feed_state, status
from db_migration.reporting.board import Board
from db_migration.sides import epoch
from db_migration.snapshots import look as snapshot_look
from db_migration.snapshots import plan as snapshot_plan

PAUSE_AFTER_ERROR_SECONDS = 2.0
LONGEST_NAP_SECONDS = 0.2
EPOCH_SECONDS = 30
"""How often other servers are asked for a higher epoch."""
ANSWER_SECONDS = 45.0
"""For a look at a server: more than some waits for locks (5 s each), less than passes for dead."""
log = structlog.get_logger()


class Agent:
    """One feed, from whatever state it is found in."""

    def __init__(self, context: Context, board: Board | None = None) -> None:
        """Take a feed; nothing is opened before the first step."""
        self.context = replace(context, tell=self._tell)
        self.board = board or Board()
        self.journal = Journal(context.control, context.feed.name)
        self._log = log.bind(feed=context.feed.name)
        self._open = False
        others = {feed.name for feed in context.config.feeds} - {self.name}
        self._trail = Trail(self.journal, others, self._log)
        self._said: plan.Decision | None = None
        self._fault, self._worker = Fault(), Worker()
        self._active: state.Active | None = None
        self._peers_asked: float | None = None
        self._heartbeat = Heartbeat(context)
        self.memory = Memory(heartbeat=self._heartbeat)
        self._lag_seen: dict[str, object] | None = None
        """What a failover says of the rows that may be lost, when the source is dead."""

    def run(self) -> None:
        """Go on until SIGTERM, or until the configuration has changed; no outage ends the loop.

        A step that comes twice in a row has not done what it should: it waits its turn, or the loop
        would run hot.
        """
        self._heartbeat.start()
        try:
            self._run()
        finally:
            self._heartbeat.stop()
        self._log.info("stopped")

    def _run(self) -> None:
        before: Step | None = None
        while not self.context.stop.is_set():
            if self.context.config.outdated():
                self._log.info("the configuration has changed: ending, to be started with it")
                self.context.stop.set()
                break
            try:
                step = self.once()
            except Stopping:
                break
            idle = step in {Step.WAIT, None, before}
            self._rest(self.context.config.poll_seconds if idle else 0)
            before = step

    def _rest(self, seconds: float) -> None:
        """Wait for the next look; it comes at once when the source's schema moves."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._heartbeat.moved.is_set():
            if self.context.stop.wait(min(left, LONGEST_NAP_SECONDS)):
                break
        self._heartbeat.moved.clear()

    @property
    def name(self) -> str:
        """Name of the feed."""
        return self.context.feed.name

    def once(self) -> Step | None:
        """Do one step; return it, or None when an error forbade it (the state says which)."""
        with self.board.loop(self.name):
            try:
                return self.attempt()
            except (MigrationError, psycopg.Error) as error:
                self._report(error)
        return None

    def attempt(self, allowed: frozenset[Step] | None = None, *, patient: bool = True) -> Step:
        """Do one step, if it is among the allowed ones; raise what forbids it.

        A server that does not answer is waited for, or raised if the caller is not patient.
        """
        if not self._open:
            self._try_open()
        self._ask_peers()
        sight = self._look()
        try:
            decision = snapshot_plan.next_step(sight.planner)
        except BlockedError as error:
            self._save(feed_state.describe(self.context, sight, None, error))
            raise
        outage = sight.unreachable[0] if sight.unreachable else None
        if outage is not None and not patient:
            raise outage
        if decision.step is Step.WAIT:
            self._wait(sight, decision, outage)
            if allowed is None:  # else beside an agent, who might see half of a note
                log_watch.keep(self.context, self.journal, sight.planner)
            return Step.WAIT
        if allowed is not None and decision.step not in allowed:
            return Step.WAIT
        self._act(sight, decision, outage)
        return decision.step

    def _wait(
        self, sight: observe.Sight, decision: plan.Decision, outage: MigrationError | None
    ) -> None:
        """Tell what is waited for, and what is wrong: also with a worker, which raises nothing."""
        rests = self.memory.copies.failure if sight.planner.rest_seconds > 0 else None
        told = feed_state.describe(self.context, sight, decision, outage or rests)
        self._save(told)
        self._say(decision)
        if outage is not None:
            self._report(outage)
            return
        self.journal.tidy()
        if told["error"] is None or rests is not None:
            self._fault.unseen()
            self._trail.unseen()
        elif self._worker.missed:
            self._warn(told["error"]["found"])

    def _look(self) -> observe.Sight:
        """Observe, and count for how long the subscription has had no worker."""
        with deadline.answers_within(ANSWER_SECONDS):
            sight = observe.look(
                self.context,
                self.journal,
                stalled=self._worker.stalled,
                known=self._active,
                memory=self.memory,
            )
        self._active = sight.planner.active
        self.board.active = vars(self._active) if self._active is not None else None
        target = sight.planner.target
        follows = target is not None and target.subscription is not None
        self._worker.look(missing=follows and not sight.worker and sight.planner.source is not None)
        if self._worker.doubtful:
            # It would wait for a mirror that gets nothing, and the worker be mended after that.
            sight.planner = replace(sight.planner, verify_due=False)
        return sight

    def _ask_peers(self) -> None:
        """Take over a higher epoch, before the first step and then now and again.

        An active server that was away may have been replaced: it must hear of that first.
        """
        config, now = self.context.config, time.monotonic()
        asked = self._peers_asked
        if not config.servers or (asked is not None and now - asked < EPOCH_SECONDS):
            return
        try:
            epoch.copy_from_peers(config)
            self._peers_asked = now
        except (MigrationError, psycopg.Error) as error:
            self._log.debug("epoch is not copied", error=error_text.short(error))

    def _act(
        self, sight: observe.Sight, decision: plan.Decision, outage: MigrationError | None
    ) -> None:
        """Carry out one step under the feed's lock, with a line in the journal before and after."""
        action = ACTIONS[decision.step]
        self._say(decision)
        if sight.planner.target is None:
            with self.board.step(self.name, decision.step):
                action(self.context, self.journal)
            return
        with self.journal.alone() as alone:
            if not alone:
                raise BlockedError(
                    found="another process acts on this feed",
                    needed="one process at a time",
                    way_out="nothing to do: this is tried again by itself",
                )
            if self._overtaken(sight):
                return
            self._save(feed_state.describe(self.context, sight, decision, outage))
            seen = evidence.evidence(sight.planner)
            self._trail.begins(decision, seen)
            self.memory.begins(decision.step)
            try:
                with self.board.step(self.name, decision.step):
                    action(self.context, self.journal)
            except (MigrationError, psycopg.Error) as error:
                self.memory.failed(decision.step, error)
                self._trail.failed(decision, error_text.short(error))
                raise
            self.memory.succeeded(decision.step)
            if decision.step is Step.DROP_SLOT and (why := copies.outgrown(sight.planner)):
                self.memory.copies.fail(why)
            self._trail.done(decision)

    def _overtaken(self, sight: observe.Sight) -> bool:
        """Tell whether the epoch has changed since the look: a failover held the lock meanwhile.

        A step decided before it could shut the new active Airbyte out of its database.
        """
        seen = sight.planner.active
        if seen is None:
            return False
        with self.context.control.connect() as connection:
            return epoch.here(self.context.config, connection).epoch != seen.epoch

    def _try_open(self) -> None:
        try:
            self.journal.open()
            self._open = True
            found = self.journal.state()
            self._lag_seen = found[0].get("lag_seen") if found else None
        except (UnreachableError, psycopg.OperationalError) as error:
            self._log.debug("journal is not reachable yet", error=error_text.short(error))

    def _tell(self, key: str, what: object) -> None:
        """Show how a long step goes; the next look forgets it."""
        self._save({**self.board.state(self.name), key: what})

    def _save(self, state: dict[str, Any]) -> None:
        """Keep the state for `status`; without the target there is nowhere to keep it."""
        lag = state.get("lag")
        if isinstance(lag, dict) and lag["bytes"] is not None:
            self._lag_seen = {**lag, "at": lag["measured_at"]}
        kept = {**state, "lag_seen": self._lag_seen}
        self.board.show(self.name, kept)
        if self._open:
            try:
                self.journal.save_state(kept)
            except (MigrationError, psycopg.Error) as error:
                self._log.debug("state is not saved", error=error_text.short(error))
                self._open = not isinstance(error, psycopg.errors.UndefinedTable)

    def _say(self, decision: plan.Decision) -> None:
        if self._said != decision:
            self._log.info(decision.step.value, why=decision.why)
        self._said = decision

    def _report(self, error: Exception) -> None:
        """Log an error once, save it as the feed's state, and slow down."""
        self._warn(error_text.short(error))
        self._save_error(error)
        self.context.stop.wait(min(PAUSE_AFTER_ERROR_SECONDS, self.context.config.poll_seconds))

    def _warn(self, text: str) -> None:
        """Log an error, unless it was said already, and count it."""
        if (said := self._fault.told(text)) is not None:
            self._log.warning("not now", error=said)
        self.board.failed(self.name)

    def _save_error(self, error: Exception) -> None:
        """Add the error to the last state; what an earlier process has said counts, too."""
        last = self.board.state(self.name)
        try:
            found = self.journal.state() if self._open and not last else None
        except (MigrationError, psycopg.Error):
            found = None
        if not last:
            last = snapshot_look.aged(*found) if found else status.unknown(self.name, None)
        self._save({**last, "error": error_text.error_dict(error)})
