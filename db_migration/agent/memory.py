"""What one agent learns over time. Losing it costs time, never safety: no step relies on it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import inf

from db_migration.following.heartbeat import Heartbeat
from db_migration.following.schema_watch import SchemaMemory

FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 300.0


@dataclass
class Memory:
    """The source's schema as last read, the measured lag, and copies that failed."""

    schema: SchemaMemory = field(default_factory=SchemaMemory)
    heartbeat: Heartbeat | None = None
    failed_copies: int = 0
    failure: Exception | None = None
    """Why the last copy failed: to be told until the next one is begun."""
    _rest_until: float = -inf
    _counted: bool = False
    """Whether the copy that was begun last has failed already."""

    def follow(self, *, on: bool) -> None:
        """Have the lag measured, or not, where somebody measures it."""
        if self.heartbeat is not None:
            self.heartbeat.follow(on=on)

    def copy_begins(self) -> None:
        """Expect how it ends."""
        self._counted = False

    def copy_failed(self, error: Exception) -> None:
        """Let the next attempt wait, twice as long each time: a copy fills the target's disk and
        burdens prod before it fails. What ends it, and what is found of it later, is one failure.
        """
        if self._counted:
            return
        self._counted = True
        rest = min(FIRST_REST_SECONDS * 2**self.failed_copies, LONGEST_REST_SECONDS)
        self.failed_copies += 1
        self.failure = error
        self._rest_until = time.monotonic() + rest

    def copy_succeeded(self) -> None:
        """Begin to count anew."""
        self.failed_copies, self.failure, self._rest_until = 0, None, -inf

    def rest_seconds(self) -> float:
        """Say how long the next attempt still has to wait."""
        return max(0.0, self._rest_until - time.monotonic())
