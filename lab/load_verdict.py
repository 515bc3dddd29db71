"""The verdict on a load, from its files: who acknowledged what, when nobody did, what is lost.

`python -m lab.load_verdict FOLDER [--rows FILE]`; FILE has one line `id n` for each row that the
load's writes left in a database: `SELECT id, config->'lab'->>'n' FROM jobs WHERE config ? 'lab'`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

from lab.load_notes import ACKNOWLEDGED, FAILED, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROWS: LiteralString = "SELECT id, (config->'lab'->>'n')::bigint AS n FROM jobs WHERE config ? 'lab'"
SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A time in which no write was accepted; seconds since 1970."""

    began: float
    ended: float
    before: str
    """The target that accepted the last write before it."""
    after: str
    """The target that accepted the first write after it."""

    @property
    def seconds(self) -> float:
        """How long."""
        return self.ended - self.began


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The load's rows in a database against the file."""

    found: int
    missing: int
    """Acknowledged and not there: lost."""
    missing_ids: list[int]
    never_acknowledged: int
    """There, and nobody was told: allowed, the answer was lost or given up."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the files say."""

    acknowledged: int
    by_target: dict[str, int]
    failed_attempts: int
    changes: list[Gap]
    """Each change of the target: from the last accepted write there to the first one here."""
    longest: Gap | None
    """The longest gap in which the target stayed the same."""
    rows: Rows | None = None

    @property
    def clean(self) -> bool:
        """Whether no acknowledged row is missing."""
        return self.rows is not None and not self.rows.missing

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        gaps = {"changes": [_gap(gap) for gap in self.changes]}
        longest = {"longest": _gap(self.longest) if self.longest else None}
        return asdict(self) | gaps | longest


def _gap(gap: Gap) -> dict[str, Any]:
    return asdict(gap) | {"seconds": round(gap.seconds, 3)}


def judge(folder: Path, rows: Callable[[], Iterable[tuple[int, int]]] | None = None) -> Verdict:
    """Judge a load by its folder; `rows` asks a database for its pairs (id, n).

    It is asked after the files were read: a load that goes on acknowledges nothing in between.
    """
    notes = sorted(read(folder / ACKNOWLEDGED), key=lambda note: float(note["at"]))
    failed = read(folder / FAILED)
    gaps = [
        Gap(
            began=float(one["at"]),
            ended=float(two["at"]),
            before=str(one["target"]),
            after=str(two["target"]),
        )
        for one, two in pairwise(notes)
    ]
    same = [gap for gap in gaps if gap.before == gap.after]
    return Verdict(
        acknowledged=len(notes),
        by_target=dict(Counter(str(note["target"]) for note in notes)),
        failed_attempts=len(failed),
        changes=[gap for gap in gaps if gap.before != gap.after],
        longest=max(same, key=lambda gap: gap.seconds, default=None),
        rows=None if rows is None else _compare(notes, failed, set(rows())),
    )


def first_accepted_after(folder: Path, moment: float, target: str | None = None) -> float | None:
    """Return when the first write after `moment` was accepted (at `target`); None if none was."""
    times = [
        float(note["at"])
        for note in read(folder / ACKNOWLEDGED)
        if float(note["at"]) >= moment and target in (None, note["target"])
    ]
    return min(times, default=None)


def _compare(
    notes: list[dict[str, Any]], failed: list[dict[str, Any]], rows: set[tuple[int, int]]
) -> Rows:
    tried = {int(note["n"]) for note in [*notes, *failed]}
    # Others write through the same route; their numbers are not this load's.
    ours = {row for row in rows if row[1] in tried}
    acknowledged = {(int(note["id"]), int(note["n"])) for note in notes}
    missing = sorted(identity for identity, _ in acknowledged - ours)
    return Rows(
        found=len(ours),
        missing=len(missing),
        missing_ids=missing[:SHOWN],
        never_acknowledged=len(ours - acknowledged),
    )


def _pairs(path: Path) -> list[tuple[int, int]]:
    words = (line.replace("|", " ").split() for line in path.read_text().splitlines())
    return [(int(pair[0]), int(pair[1])) for pair in words if pair]


def main(arguments: list[str] | None = None) -> int:
    """Print the verdict as JSON; exit 3 when an acknowledged row is missing."""
    parser = argparse.ArgumentParser(prog="python -m lab.load_verdict", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=Path, help="one line `id n` for each row of the database")
    asked = parser.parse_args(arguments)
    verdict = judge(asked.folder, (lambda: _pairs(asked.rows)) if asked.rows else None)
    sys.stdout.write(json.dumps(verdict.as_json(), indent=2) + "\n")
    return 3 if verdict.rows and verdict.rows.missing else 0


if __name__ == "__main__":
    sys.exit(main())
