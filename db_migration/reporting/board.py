"""What the agents of this process last saw and did: metrics and probes read it, nobody decides
by it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from db_migration.snapshots import look as snapshot_look

SILENT_SECONDS = 120
"""How long an agent between two steps may be silent until it counts as dead."""


@dataclass
class Entry:
    """One feed, as its agent left it."""

    alive: Callable[[], bool] = lambda: True
    state: dict[str, Any] = field(default_factory=dict)
    saved_at: float | None = None
    """Unix time of the last state."""
    loop_seconds: float | None = None
    loops: int = 0
    errors: int = 0
    steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each step was started, done and failed."""
    busy_with: str | None = None
    seen_at: float = field(default_factory=time.monotonic)
    shown_at: float = field(default_factory=time.monotonic)

    def by_now(self) -> dict[str, Any]:
        """Return the last state as it is by now: its copies have grown older since."""
        return snapshot_look.aged(self.state, time.monotonic() - self.shown_at)


class Board:
    """Thread-safe: an agent writes its own entry, the HTTP server reads all of them."""

    def __init__(self) -> None:
        """Begin without a feed."""
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self.active: dict[str, Any] | None = None
        """The epoch, where epochs are kept."""

    def join(self, name: str, alive: Callable[[], bool] = lambda: True) -> None:
        """Enter a feed, and how to tell whether its agent's thread runs."""
        with self._lock:
            self._entry(name).alive = alive

    def _entry(self, name: str) -> Entry:
        return self._entries.setdefault(name, Entry())

    @contextmanager
    def loop(self, name: str) -> Iterator[None]:
        """Measure one turn of an agent's loop."""
        began = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                entry = self._entry(name)
                entry.seen_at = time.monotonic()
                entry.loop_seconds, entry.loops = entry.seen_at - began, entry.loops + 1

    @contextmanager
    def step(self, name: str, step: str) -> Iterator[None]:
        """Count a step by how it ends."""
        with self._lock:
            entry = self._entry(name)
            entry.steps[step, "started"] += 1
            entry.busy_with = step
        result = "failed"
        try:
            yield
            result = "done"
        finally:
            with self._lock:
                entry.steps[step, result] += 1
                entry.busy_with = None

    def show(self, name: str, state: dict[str, Any]) -> None:
        """Keep a feed's state."""
        with self._lock:
            entry = self._entry(name)
            entry.state, entry.saved_at = dict(state), time.time()
            entry.seen_at = entry.shown_at = time.monotonic()

    def state(self, name: str) -> dict[str, Any]:
        """Return a feed's state as it is by now; empty before the first."""
        with self._lock:
            return self._entry(name).by_now()

    def failed(self, name: str) -> None:
        """Count an error that a turn of the loop ended with."""
        with self._lock:
            self._entry(name).errors += 1

    def entries(self) -> dict[str, Entry]:
        """Return the feeds; what they hold is not changed in place."""
        with self._lock:
            return dict(self._entries)

    def dead(self) -> list[str]:
        """Name the feeds whose agent has ended, or is silent without being at a step."""
        now = time.monotonic()
        return [
            name
            for name, entry in self.entries().items()
            if not entry.alive()
            or (entry.busy_with is None and now - entry.seen_at > SILENT_SECONDS)
        ]

    def not_ready(self) -> dict[str, str]:
        """Say of each feed that does not follow and has something to do what it does instead.

        What a dead agent has said last is true no longer.
        """
        return {
            name: str(entry.state.get("state", "not looked at yet"))
            for name, entry in self.entries().items()
            if entry.state.get("state") not in READY
        } | dict.fromkeys(self.dead(), "its agent is dead or silent")


READY = frozenset({"following", "waiting", "released"})
