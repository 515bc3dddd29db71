"""How far a long piece of work is, and how long it will go on. Pure: the clock is the caller's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MIB = 1024 * 1024


@dataclass(frozen=True)
class Progress:
    """One moment of a seed."""

    tables: int
    """Tables in all."""
    copied: int
    """Tables whose rows have all arrived."""
    rows: int
    bytes: int
    """What has passed, in the format of the wire."""
    share: float
    """Of all the work, indexes and checks included, from 0 to 1."""
    elapsed: float
    doing: tuple[str, ...] = ()
    """What the workers are at."""

    @property
    def rate(self) -> float:
        """Bytes a second since the beginning."""
        return self.bytes / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at the speed so far; None while there is none."""
        if self.share <= 0 or self.elapsed <= 0:
            return None
        return self.elapsed * (1 - min(self.share, 1.0)) / self.share

    def to_dict(self) -> dict[str, Any]:
        """Return it for the state, the log and `--json`."""
        return {
            "tables": self.tables,
            "copied": self.copied,
            "rows": self.rows,
            "bytes": self.bytes,
            "bytes_per_second": round(self.rate),
            "share": round(self.share, 3),
            "elapsed_seconds": round(self.elapsed, 1),
            "left_seconds": round(self.left, 1) if self.left is not None else None,
            "doing": list(self.doing),
            "text": str(self),
        }

    def __str__(self) -> str:
        """Return one line for people."""
        left = f", about {self.left:.0f} s left" if self.left is not None else ""
        return (
            f"{self.share:.0%}: {self.copied} of {self.tables} tables, {self.rows} rows, "
            f"{self.bytes / MIB:.0f} MiB at {self.rate / MIB:.1f} MiB/s{left}"
        )
