"""Sources: record n of a source exists once its counter has reached n, and never changes."""

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import UUID

MOST = 1000
MOST_PACE_SECONDS = 10.0
RECORDS_PER_SECOND = 1.0
FIRST_RECORDS = 25


class Sources:
    """Counters that grow by the clock; a source is born when it is first asked."""

    def __init__(self, rate: float = RECORDS_PER_SECOND) -> None:
        """`rate` records a second for each source."""
        self._rate = rate
        self._born: dict[str, float] = {}
        self._least: dict[str, int] = {}
        self._pace: dict[str, tuple[int, float]] = {}
        self._never = threading.Event()
        self._lock = threading.Lock()

    def count(self, source: str) -> int:
        """Return the number of the newest record."""
        with self._lock:
            born = self._born.setdefault(source, time.time())
            grown = int((time.time() - born) * self._rate) + FIRST_RECORDS
            # A clock that goes back must not take records away.
            self._least[source] = max(self._least.get(source, 0), grown)
            return self._least[source]

    def records(self, source: str, first: int, limit: int) -> dict[str, Any]:
        """Return records from `first` on; a slow source takes its time, and gives a few at once."""
        UUID(source)
        at_once, seconds = self._pace.get(source, (MOST, 0.0))
        self._never.wait(seconds)
        count = self.count(source)
        last = min(count, first + min(limit, at_once) - 1)
        records = [{"n": n, "text": f"{source}/{n}"} for n in range(max(first, 1), last + 1)]
        return {"source": source, "count": count, "records": records}

    def grow(self, source: str, to: int) -> int:
        """Let a source have at least `to` records, now."""
        self.count(source)
        with self._lock:
            self._least[source] = max(self._least[source], to)
            return self._least[source]

    def pace(self, source: str, records: int, seconds: float) -> None:
        """Make a source slow: at most `records` an answer, each after `seconds`."""
        self._pace[source] = (max(1, min(records, MOST)), max(0.0, min(seconds, MOST_PACE_SECONDS)))

    def births(self) -> dict[str, float]:
        """Return what must outlive a restart."""
        with self._lock:
            return dict(self._born)

    def restore(self, born: dict[str, float], least: dict[str, int]) -> None:
        """Take back births, and how far the ledger has seen each source."""
        with self._lock:
            self._born.update(born)
            self._least.update(least)
