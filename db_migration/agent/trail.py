"""What stands in the audit trail of a feed's steps: one that fails for ever must not fill it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import structlog

from db_migration.agent.patience import Fault
from db_migration.agent.plan import Decision
from db_migration.errors import NoRoomError


class Lines(Protocol):
    """The part of the journal that is needed here."""

    def event(
        self, step: str, phase: str, detail: str, evidence: Mapping[str, Any] | None = None
    ) -> int:
        """Add a line, and return its number."""

    def newest(self, but: Collection[str]) -> int:
        """Return the number of the last line that is not of one of these feeds."""


class Trail:
    """A line before and after each step, of identical failures those that `Fault` lets be said.

    A step that begins goes unwritten only where the last line says that it has failed before, for
    the same reason: after a line of a failover's, that one must see that a copy was begun since.
    """

    def __init__(
        self, journal: Lines, others: Collection[str], log: structlog.stdlib.BoundLogger
    ) -> None:
        """Take a feed's journal, and the other feeds, whose lines mean nothing for this one."""
        self._journal, self._others, self._log = journal, others, log
        self._full = Fault()
        self._forget(None)

    def _forget(self, decision: Decision | None) -> None:
        """Begin anew, with a step that has not failed yet."""
        self._decision, self._fault, self._failed = decision, Fault(), 0
        self._line: int | None = None
        self._begun = False

    def unseen(self) -> None:
        """Count a look with nothing wrong: what fails after some of them is new."""
        self._fault.unseen()
        if not self._fault.times:
            self._forget(None)

    def begins(self, decision: Decision, seen: Mapping[str, Any]) -> None:
        """Say that a step begins, and upon what it was decided."""
        if decision != self._decision:
            self._forget(decision)
        repeated = self._fault.quiet and self._journal.newest(self._others) == self._line
        self._begun = not repeated
        if self._begun:
            self._note(decision, "started", decision.why, seen)

    def failed(self, decision: Decision, text: str) -> None:
        """Say why the step that was begun last has failed."""
        self._failed += 1
        said = self._fault.told(text)
        if said is not None or self._begun:
            self._line = self._note(decision, "failed", said or text)

    def done(self, decision: Decision) -> None:
        """Say that the step that was begun last has succeeded, and after how many tries."""
        tries = f"after {self._failed + 1} tries" if self._failed else ""
        self._note(decision, "done", tries)
        if tries:
            self._log.info(f"{decision.step} is done", tries=self._failed + 1)
        self._forget(None)

    def _note(
        self, decision: Decision, phase: str, detail: str, seen: Mapping[str, Any] | None = None
    ) -> int | None:
        """Write into the journal; a full disk must not forbid the very step that makes room."""
        try:
            line = self._journal.event(decision.step, phase, detail, seen)
        except NoRoomError as error:
            if (said := self._full.told(error.found)) is not None:
                self._log.warning("the journal has no room", step=decision.step, error=said)
            return None
        self._full = Fault()
        return line
