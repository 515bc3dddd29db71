"""The loop: observe -> plan.next_step -> one step, again and again, through every outage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import structlog

from db_migration import (
    epoch,
    follow,
    observe,
    plan,
    prepare,
    seed,
    sequences,
    standby,
    state,
    status,
    verify,
    working,
)
from db_migration.config import Config, FeedConfig
from db_migration.context import Context
from db_migration.errors import BlockedError, MigrationError, Stopping, UnreachableError
from db_migration.hosts import SshHostControl
from db_migration.journal import Journal
from db_migration.plan import Step

PAUSE_AFTER_ERROR_SECONDS = 2.0
LOOKS_UNTIL_STALLED = 10
EPOCH_SECONDS = 30
"""How often other servers are asked for a higher epoch."""
log = structlog.get_logger()

Action = Callable[[Context, Journal], object]

ACTIONS: dict[Step, Action] = {
    Step.DROP_SLOT: lambda context, _: follow.drop_slot(context),
    Step.CREATE_ROLE: lambda context, _: prepare.create_role(context),
    Step.BOUND_WAL: lambda context, _: prepare.bound_wal(context),
    Step.SET_WAL_LEVEL: lambda context, _: prepare.set_wal_level(context),
    Step.RESTART_SOURCE: prepare.restart_source,
    Step.START_SOURCE: prepare.start_source,
    Step.FORGET_RESTART: lambda _, journal: journal.intend(prepare.RESTART_SOURCE, on=False),
    Step.PUBLISH: lambda context, _: prepare.publish(context),
    Step.DROP_SEED: lambda context, _: follow.drop_seed(context),
    Step.SEED: lambda context, _: seed.seed(context),
    Step.SWAP_MIRROR: lambda context, _: follow.swap_mirror(context),
    Step.DROP_OLD_MIRROR: lambda context, _: follow.drop_old_mirror(context),
    Step.SUBSCRIBE: lambda context, _: follow.create_subscription(context),
    Step.ENABLE: lambda context, _: follow.enable(context),
    Step.RECONNECT: lambda context, _: follow.reconnect(context),
    Step.DROP_SUBSCRIPTION: lambda context, _: follow.drop_subscription(context),
    Step.ADD_TABLES: lambda context, _: follow.add_tables(context),
    Step.ADVANCE_SEQUENCES: lambda context, _: sequences.advance(context, context.mirror),
    Step.DROP_OLD_WORKING: lambda context, _: working.drop_old(context),
    Step.DROP_NEXT_WORKING: lambda context, _: working.drop_next(context),
    Step.CLONE_WORKING: lambda context, _: working.clone(context),
    Step.SWAP_WORKING: working.swap,
    Step.ADMIT_READER: lambda context, _: standby.admit(context),
    Step.START_READER: working.start_reader,
    Step.VERIFY: lambda context, journal: verify.verify_and_record(context, journal),
}


def context_of(config: Config, feed: FeedConfig, stop: threading.Event | None = None) -> Context:
    """Put a feed together with the hosts it may command."""
    reader = feed.working_database.reader_host_control if feed.working_database else None
    source = feed.source.host_control
    return Context(
        config,
        feed,
        source_host=SshHostControl(source) if source else None,
        reader_host=SshHostControl(reader) if reader else None,
        stop=stop or threading.Event(),
    )


class Agent:
    """One feed, from whatever state it is found in."""

    def __init__(self, context: Context) -> None:
        """Take a feed; nothing is opened before the first step."""
        self.context = context
        self.journal = Journal(context.control, context.feed.name)
        self._log = log.bind(feed=context.feed.name)
        self._open = False
        self._said: str | None = None
        self._reported: str | None = None
        self._without_worker = 0
        self._active: state.Active | None = None
        self._peers_asked: float | None = None
        self._lag_seen: dict[str, object] | None = None
        """What a failover says of the rows that may be lost, when the source is dead."""

    def run(self) -> None:
        """Go on until SIGTERM, or until the configuration has changed; no outage ends the loop.

        A step that comes twice in a row has not done what it should: it waits its turn, or the loop
        would run hot.
        """
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
            self.context.stop.wait(self.context.config.poll_seconds if idle else 0)
            before = step
        self._log.info("stopped")

    @property
    def name(self) -> str:
        """Name of the feed."""
        return self.context.feed.name

    def once(self) -> Step | None:
        """Do one step; return it, or None when an error forbade it (the state says which)."""
        try:
            return self.attempt()
        except (UnreachableError, psycopg.OperationalError) as error:
            self._report(error)
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
            decision = plan.next_step(sight.planner)
        except BlockedError as error:
            self._save(status.describe(self.context, sight, None, error))
            raise
        outage = sight.unreachable[0] if sight.unreachable else None
        if outage is not None and not patient:
            raise outage
        if decision.step is Step.WAIT:
            self._save(status.describe(self.context, sight, decision, outage))
            self._say(decision)
            if outage is not None:
                self._report(outage)
            else:
                self._reported = None
            return Step.WAIT
        if allowed is not None and decision.step not in allowed:
            return Step.WAIT
        self._act(sight, decision, outage)
        return decision.step

    def _look(self) -> observe.Sight:
        """Observe, and count for how long the subscription has had no worker."""
        stalled = self._without_worker >= LOOKS_UNTIL_STALLED
        sight = observe.look(self.context, self.journal, stalled=stalled, known=self._active)
        self._active = sight.planner.active
        target = sight.planner.target
        follows = target is not None and target.subscription is not None
        missing = follows and not sight.worker and sight.planner.source is not None
        self._without_worker = self._without_worker + 1 if missing and not stalled else 0
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
            self._log.debug("epoch is not copied", error=status.short(error))

    def _act(
        self, sight: observe.Sight, decision: plan.Decision, outage: MigrationError | None
    ) -> None:
        """Carry out one step under the feed's lock, with a line in the journal before and after."""
        action = ACTIONS[decision.step]
        self._say(decision)
        if sight.planner.target is None:
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
            self._save(status.describe(self.context, sight, decision, outage))
            self.journal.event(decision.step, "started", decision.why)
            try:
                action(self.context, self.journal)
            except (MigrationError, psycopg.Error) as error:
                self.journal.event(decision.step, "failed", status.short(error))
                raise
            self.journal.event(decision.step, "done", "")

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
            self._log.debug("journal is not reachable yet", error=status.short(error))

    def _save(self, state: dict[str, object]) -> None:
        """Keep the state for `status`; without the target there is nowhere to keep it."""
        lag = state.get("lag")
        if isinstance(lag, dict):
            self._lag_seen = {**lag, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        if self._open:
            try:
                self.journal.save_state({**state, "lag_seen": self._lag_seen})
            except (UnreachableError, psycopg.OperationalError) as error:
                self._log.debug("state is not saved", error=status.short(error))

    def _say(self, decision: plan.Decision) -> None:
        if decision.step is not Step.WAIT or self._said != decision.why:
            self._log.info(decision.step.value, why=decision.why)
        self._said = decision.why

    def _report(self, error: Exception) -> None:
        """Log an error once, save it as the feed's state, and slow down."""
        text = status.short(error)
        if text != self._reported:
            self._log.warning("not now", error=text)
            self._reported = text
        self._save_error(error)
        self.context.stop.wait(min(PAUSE_AFTER_ERROR_SECONDS, self.context.config.poll_seconds))

    def _save_error(self, error: Exception) -> None:
        try:
            found = self.journal.state() if self._open else None
        except (MigrationError, psycopg.Error):
            found = None
        if found is not None:
            self._save({**found[0], "error": status.error_dict(error)})
