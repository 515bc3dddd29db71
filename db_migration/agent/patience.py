"""What one look alone does not prove: that a worker is missing, or there; that a fault is over."""

from __future__ import annotations

import re
from dataclasses import dataclass

LOOKS_UNTIL_STALLED = 10
LOOKS_UNTIL_BELIEVED = 3
"""How often a worker has to be missing, or there, until that is said to be wrong, or well."""
FAILURES_UNTIL_STUCK = 20
MOST_FAILURES = 160
"""How often a worker may fail at one change: the server starts it every 5 s
(`wal_retrieve_retry_interval`), so 100 s, and after each new copy twice as long, up to 13 min.
"""


@dataclass
class Worker:
    """For how many looks in a row a subscription has been without its worker, or with it."""

    without: int = 0
    there: int = LOOKS_UNTIL_BELIEVED

    @property
    def stalled(self) -> bool:
        """Whether it is to be mended: it does not come back by itself."""
        return self.without >= LOOKS_UNTIL_STALLED

    @property
    def missed(self) -> bool:
        """Whether people are to hear that it is missing."""
        return self.without >= LOOKS_UNTIL_BELIEVED

    @property
    def doubtful(self) -> bool:
        """Whether it may be gone again at the next look: one that fails is there for a moment."""
        return self.there < LOOKS_UNTIL_BELIEVED

    def look(self, *, missing: bool) -> None:
        """Count a look; one that was told of a stalled worker begins anew, for it is mended now."""
        self.without = self.without + 1 if missing and not self.stalled else 0
        self.there = 0 if missing else self.there + 1


@dataclass
class Applying:
    """Where in the source's log a worker fails, and how often it has failed there."""

    at: str | None = None
    errors: int = 0
    """What the server had counted when the worker came to there."""
    counted: int = 0
    """What it had counted at the last look."""
    allowed: int = FAILURES_UNTIL_STUCK

    def stuck(self, at: str | None, errors: int) -> bool:
        """Tell whether a worker can not get past `at`; nobody knows where it is: None.

        Each new copy that this leads to is a burden, and may not help: the next one waits longer.
        """
        self.counted = errors
        if at is None or at != self.at or errors < self.errors:
            self.at, self.errors = at, errors
        if errors - self.errors < self.allowed:
            return False
        self.allowed = min(self.allowed * 2, MOST_FAILURES)
        return True


@dataclass
class Fault:
    """What went wrong last, and how often in a row, until it has not been seen for a few looks.

    It is said when it comes for the first, the 10th, the 100th, the 1000th time.
    """

    kind: str | None = None
    times: int = 0
    well: int = 0

    def told(self, text: str) -> str | None:
        """Count it, and return what is to be said; with other numbers in it, it is the same."""
        kind = re.sub(r"\d+", "", text)
        self.times = self.times + 1 if kind == self.kind else 1
        self.kind, self.well = kind, 0
        if not _said(self.times):
            return None
        return text if self.times == 1 else f"{text} ({self.times} times by now)"

    @property
    def quiet(self) -> bool:
        """Whether nothing would be said of it if it came once more."""
        return self.times > 0 and not _said(self.times + 1)

    def unseen(self) -> None:
        """Count a look without it."""
        self.well += 1
        if self.well >= LOOKS_UNTIL_BELIEVED:
            self.kind, self.times = None, 0


def _said(times: int) -> bool:
    return str(times).rstrip("0") == "1"
