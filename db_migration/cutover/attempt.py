"""One try of a cut-over, from whatever state it is found in, to its end or back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from db_migration.cutover import back as cutover_back
from db_migration.cutover import report as cutover_report
from db_migration.cutover import steps as cutover_steps
from db_migration.cutover.plan import (
    Back,
    Seen,
    Step,
    back_done,
    done,
    may_go_back,
    next_back,
    next_step,
)
from db_migration.cutover.sides import Sides
from db_migration.cutover.steps import REASON, ROLL_BACK
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, MigrationError, UnreachableError
from db_migration.reporting.error_text import of_verb
from db_migration.sides import compose_database, epoch, hosts, promotion, servers
from db_migration.sides.epoch import Epoch

BEGUN = "begun:"
ABORTING = "aborting"
PROVEN = "proven"
FAILURES = (MigrationError, psycopg.Error, OSError)


@dataclass
class CutOver:
    """One try, from whatever state it is found in."""

    both: Sides
    now: Epoch
    number: int

    def __post_init__(self) -> None:
        """Observe once: what follows is known from what this process does."""
        self.locks = ExitStack()
        self.verified: dict[str, Any] = {}
        self.proof: dict[str, Any] = {}
        self.interrupted: list[dict[str, Any]] = []
        self.seen = self._observe()

    @property
    def mine(self) -> bool:
        """Tell whether the current epoch is the one of this cut-over."""
        return (self.now.epoch, self.now.reason) == (self.number, REASON)

    def _observe(self) -> Seen:
        both = self.both
        said = hosts.status(both.host(both.old))
        where = said if both.new.host == both.old.host else hosts.status(both.host(both.new))
        new = where.instance(both.new.name)
        wanted = (self.number, f"active-{both.target.name}")
        prod_open = compose_database.is_open(both.to_keeper)
        renamed = self.mine or (not prod_open and self._renamed())
        with servers.control(both.keeper).connect() as connection:
            proven = PROVEN in both.journal.intents(connection)
        return Seen(
            compose_runs=said.compose == "running",
            prod_open=prod_open,
            renamed=renamed,
            recorded=self.mine,
            activated=bool(new and new.running and (new.epoch, new.rendering) == wanted),
            proven=proven,
            rolled_back=self.now.reason == ROLL_BACK and self.now.epoch >= self.number,
            deactivated=not (self.mine or self.now.epoch > self.number),
        )

    def _renamed(self) -> bool:
        """Tell whether the mirror was promoted; of a silent server the worse is assumed."""
        try:
            return promotion.promoted(self.both.target, self.number)
        except UnreachableError:
            return True

    def forwards(self) -> dict[str, Any]:
        """Go on to the end, or back to where it began."""
        with self.locks:
            while (step := next_step(self.seen)) is not Step.DONE:
                try:
                    self._carry_out(step, self._actions()[step])
                except FAILURES as error:
                    raise self._gone_back(step, error) from error
                self.seen = done(self.seen, step)
            return self._end()

    def back(self) -> None:
        """Put compose back as it was; raises BlockedError past the point of no return."""
        self._refuse_foreign()
        both = self.both
        events = cutover_report.last_try(both.journal.events())
        tried = any(step == Step.ADMIT for _, step, _, _ in events)
        # Not of this epoch alone: the silent server may be the only one that knows it.
        admitted = tried and not self.seen.rolled_back and cutover_back.anybody(both)
        # Also where somebody has opened prod's database by hand: what was promoted is old by now.
        renamed = self.seen.renamed or self._renamed()
        self.seen = replace(
            self.seen, paused=False, resumed=False, tried=tried, admitted=admitted, renamed=renamed
        )
        with self.locks:
            both.journal.intend(ABORTING, on=True)
            while (step := next_back(self.seen)) is not Back.DONE:
                try:
                    self._carry_out(f"back: {step}", self._ways_back()[step])
                except BlockedError:
                    if step is Back.COMPARE:
                        self._stay_forward()
                    raise
                self.seen = back_done(self.seen, step)
            forget(self.both, self.number)

    def _stay_forward(self) -> None:
        """Fence prod's database again: there is only the way forwards now."""
        cutover_steps.close_database(self.both)
        cutover_steps.resume(self.both, self.locks)
        self.both.journal.intend(ABORTING, on=False)

    def _refuse_foreign(self) -> None:
        """Leave everything alone when somebody else has changed the active side meanwhile."""
        now = epoch.current(self.both.config)
        if now.epoch >= self.number and now.reason not in {REASON, ROLL_BACK}:
            raise BlockedError(
                found=f"epoch {now.epoch} ({now.reason}) was written meanwhile",
                needed="nobody else who changes the active side",
                way_out="what counts now is in `db-migration status`; compose stays fenced",
            )
        self.now = now

    def _carry_out(self, step: str, action: Callable[[], object]) -> None:
        """Do one step with a line in the journal before and after it."""
        both = self.both
        both.means.say(f"{step} ...")
        both.journal.event(step, "started", f"epoch {self.number}")
        try:
            action()
        except FAILURES as error:
            both.journal.event(step, "failed", _said(error))
            raise
        both.journal.event(step, "done", "")

    def _actions(self) -> dict[Step, Callable[[], object]]:
        both, number = self.both, self.number
        return {
            Step.PAUSE: lambda: cutover_steps.pause(both, self.locks),
            Step.DRAIN: lambda: cutover_steps.drain(both),
            Step.FENCE: self._fence,
            Step.CATCH_UP: lambda: cutover_steps.catch_up(both),
            Step.VERIFY: self._verify,
            Step.CLOSE: lambda: cutover_steps.close_prod(both),
            Step.PROMOTE: lambda: cutover_steps.promote(both, number),
            Step.HAND_OVER: lambda: cutover_steps.hand_over(both),
            Step.ADVANCE: lambda: cutover_steps.advance(both, self.recorded, self.now.epoch),
            Step.RESUME: lambda: cutover_steps.resume(both, self.locks),
            Step.ADMIT: lambda: cutover_steps.admit(both, both.new.role),
            Step.ACTIVATE: lambda: cutover_steps.activate(both, number),
            Step.PROVE: self._prove,
        }

    def _ways_back(self) -> dict[Back, Callable[[], object]]:
        both = self.both
        return {
            Back.HOLD: lambda: cutover_back.hold(both, self.locks),
            Back.SHUT_OUT: lambda: cutover_back.shut_out(both),
            Back.OPEN: lambda: compose_database.open_again(both.to_keeper),
            Back.COMPARE: lambda: cutover_back.compare(both),
            Back.ROLL_BACK: self._roll_back,
            Back.START: lambda: cutover_back.start_compose(both),
            Back.DEACTIVATE: self._deactivate,
            Back.RELEASE: lambda: cutover_back.release(both, self.locks),
        }

    def _fence(self) -> None:
        cutover_steps.fence(self.both)
        self.interrupted = [job.as_dict() for job in cutover_steps.running_jobs(self.both)]

    def _verify(self) -> None:
        self.verified = cutover_steps.verify_exactly(self.both)

    def _prove(self) -> None:
        self.proof = cutover_steps.prove(self.both)
        self.both.journal.intend(PROVEN, on=True)

    def _roll_back(self) -> None:
        """Write that prod is active again, with a number that nothing was promoted for.

        A new side that is silent may know this cut-over's own epoch.
        """
        config, both = self.both.config, self.both
        initial = epoch.initial(config)
        number = max(self.number, self.now.epoch) + 1
        new = Epoch(number, initial.database, initial.airbyte, ROLL_BACK)
        names = [both.keeper.name, both.target.name]
        epoch.advance(config, new, names, after=self.now.epoch)
        self.now = new

    def _deactivate(self) -> None:
        """Do it if the host lets us: the new Airbyte is shut out by the database already."""
        try:
            cutover_back.deactivate(self.both, self.now.epoch)
        except MigrationError as error:
            self.both.means.say(f"{self.both.new.name} is not back to `prepared`: {error.found}")

    def _gone_back(self, step: Step, error: Exception) -> Exception:
        """Put compose back if that is still possible; return what to tell."""
        if not may_go_back(step):
            return error
        said = of_verb(error)
        self.both.means.say(f"{step} failed: {said['found']}; going back")
        try:
            self.seen = self._unsure(step)
            self.locks.close()
            self.back()
        except FAILURES as second:
            return BlockedError(
                found=f"`{step}` failed: {said['found']}; the way back: {_said(second)}",
                needed=f"{said['needed']}; or: {of_verb(second)['needed']}",
                way_out="mend that; then `cutover` goes on, and `cutover --abort` goes back",
            )
        return BlockedError(
            found=f"`{step}` failed: {said['found']}",
            needed=said["needed"],
            way_out=f"{said['way_out']}; compose is back as it was, begin again then",
        )

    def _unsure(self, step: Step) -> Seen:
        """Assume of a step that has failed that it may have been done."""
        self.now = epoch.current(self.both.config)
        unsure = step in {Step.PROMOTE, Step.HAND_OVER, Step.ADVANCE}
        return replace(
            self.seen,
            compose_runs=self.seen.compose_runs and step is not Step.FENCE,
            prod_open=self.seen.prod_open and step is not Step.CLOSE,
            renamed=self.seen.renamed or (unsure and self._renamed()),
            recorded=self.mine,
            deactivated=not self.mine,
        )

    def _end(self) -> dict[str, Any]:
        """Save the report, and forget that anything was begun."""
        events = self.both.journal.events()
        found = {
            "state": "done",
            "epoch": self.recorded.as_dict(),
            "phases": cutover_report.phases(events),
            "downtime_seconds": cutover_report.downtime(events, Step.ACTIVATE),
            "database_seconds": cutover_report.downtime(events, Step.ADMIT),
            "verified": self.verified,
            "interrupted": self.interrupted,
            "connections": self.proof,
        }
        found["summary"] = (
            f"{self.both.new.name} is prod, on {self.both.target.name}, epoch {self.number}: "
            f"{found['downtime_seconds']} s without a write "
            f"(databases: {found['database_seconds']} s), "
            f"{self.proof.get('scheduled', '?')} of {self.proof.get('active', '?')} connections "
            "scheduled"
        )
        save_report(self.both, found)
        forget(self.both, self.number)
        return found

    @property
    def recorded(self) -> Epoch:
        """The epoch that this cut-over writes."""
        return Epoch(self.number, self.both.target.name, self.both.new.name, REASON)


def forget(both: Sides, number: int) -> None:
    """Note that nothing is under way any more."""
    for name in (f"{BEGUN}{number}", PROVEN, ABORTING):
        both.journal.intend(name, on=False)


@effect(Effect.SAVE_REPORT)
def save_report(both: Sides, found: dict[str, Any]) -> None:
    """Keep the report where `cutover` finds it again."""
    both.journal.save_state(found)


def _said(error: Exception) -> str:
    return of_verb(error)["found"]
