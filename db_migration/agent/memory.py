"""What one agent learns over time. Losing it costs time, never safety: no step relies on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from math import inf

from db_migration.agent.patience import Applying
from db_migration.agent.plan import Step
from db_migration.agent.state import Observed
from db_migration.following.heartbeat import Heartbeat
from db_migration.following.schema_watch import SchemaMemory

FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 300.0

COPIES = frozenset({Step.SEED, Step.SNAPSHOT})
"""Steps after whose failure the next copy waits for a while."""

COPIED = frozenset({Step.ENABLE, Step.SNAPSHOT})
"""Steps after which a copy has succeeded: one that is made is not followed yet."""


@dataclass
class Rest:
    """Attempts that failed, and how long the next one waits: twice as long each time."""

    failed: int = 0
    failure: Exception | None = None
    """Why the last one failed: to be told until the next one is begun."""
    _until: float = -inf
    _counted: bool = False
    """Whether the attempt that was begun last has failed already."""

    def begin(self) -> None:
        """Expect how an attempt ends."""
        self._counted = False

    def fail(self, error: Exception) -> None:
        """Let the next one wait. What ends an attempt and what is found later are one failure."""
        if self._counted:
            return
        self._counted = True
        rest = min(FIRST_REST_SECONDS * 2**self.failed, LONGEST_REST_SECONDS)
        self.failed += 1
        self.failure = error
        self._until = time.monotonic() + rest

    def succeed(self) -> None:
        """Begin to count anew."""
        self.failed, self.failure, self._until = 0, None, -inf

    def seconds(self) -> float:
        """Say how long the next attempt still has to wait."""
        return max(0.0, self._until - time.monotonic())


@dataclass
class Memory:
    """The source's schema as last read, the measured lag, and what failed."""

    schema: SchemaMemory = field(default_factory=SchemaMemory)
    heartbeat: Heartbeat | None = None
    applying: Applying = field(default_factory=Applying)
    copies: Rest = field(default_factory=Rest)
    """A copy fills the target's disk and burdens prod before it fails."""
    clones: Rest = field(default_factory=Rest)
    """A clone of the mirror stops the feed. Not counted with copies, which must not wait for it."""

    def follow(self, *, on: bool) -> None:
        """Have the lag measured, or not, where somebody measures it."""
        if self.heartbeat is not None:
            self.heartbeat.follow(on=on)

    def with_worker(self, seen: Observed, errors: int, *, helped: bool) -> Observed:
        """Add whether the worker is stuck, where a new copy would help it."""
        source, target = seen.source, seen.target
        if target is None or target.subscription is None:
            return seen
        slot = source.slot if source is not None and helped else None
        stuck = self.applying.stuck(slot.confirmed_lsn if slot is not None else None, errors)
        subscription = replace(target.subscription, stuck=stuck)
        return replace(seen, target=replace(target, subscription=subscription))

    def begins(self, step: Step) -> None:
        """Expect how a step ends."""
        if step in COPIES:
            self.copies.begin()
        if step is Step.CLONE_WORKING:
            self.clones.begin()

    def failed(self, step: Step, error: Exception) -> None:
        """Let what has failed rest before it is tried again, if it is a burden."""
        if step in COPIES:
            self.copies.fail(error)
        if step is Step.CLONE_WORKING:
            self.clones.fail(error)

    def succeeded(self, step: Step) -> None:
        """Forget the failures before."""
        if step in COPIED:
            self.copies.succeed()
        if step is Step.CLONE_WORKING:
            self.clones.succeed()
