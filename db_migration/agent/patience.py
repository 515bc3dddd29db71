"""What one look alone does not prove: that a worker is missing, or there; that a fault is over."""

from __future__ import annotations

import re
from dataclasses import dataclass

LOOKS_UNTIL_STALLED = 10
LOOKS_UNTIL_BELIEVED = 3
"""How often a worker has to be missing, or there, until that is said to be wrong, or well."""


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
class Fault:
    """What was warned of last, until it has not been seen for a few looks."""

    kind: str | None = None
    well: int = 0

    def is_new(self, text: str) -> bool:
        """Tell whether this was not said yet: with other numbers in it, it is the same."""
        kind, before = re.sub(r"\d+", "", text), self.kind
        self.kind, self.well = kind, 0
        return kind != before

    def unseen(self) -> None:
        """Count a look without it."""
        self.well += 1
        if self.well >= LOOKS_UNTIL_BELIEVED:
            self.kind = None
