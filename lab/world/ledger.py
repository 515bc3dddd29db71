"""The ledger: every batch a destination received, in order, on disk before it is acknowledged."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from . import writers
from .writers import writer_of

if TYPE_CHECKING:
    from pathlib import Path

Run = tuple[str, Any, Any]
"""Writer, job, attempt."""


class Ledger:
    """Append-only; a lost or a doubled record of a sync shows in the verdict."""

    def __init__(self, path: Path) -> None:
        """Read back what is there; a last line cut short by a crash was never acknowledged."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.entries: list[dict[str, Any]] = []
        whole = 0
        if path.exists():
            for line in path.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                self.entries.append(json.loads(line))
                whole += len(line)
            os.truncate(path, whole)
        self._file = path.open("ab")
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def append(self, destination: str, peer: str, batch: dict[str, Any]) -> int:
        """Store a batch and return how many records it had."""
        records = [int(number) for number in batch["records"]]
        self._store(destination, peer, batch, {"records": records})
        return len(records)

    def commit(self, destination: str, peer: str, run: dict[str, Any]) -> int:
        """Note that a run's cursor is committed: from now on nobody has a reason to repeat it."""
        last = int(run["last"])
        self._store(destination, peer, run, {"records": [], "committed": last})
        return last

    def _store(
        self, destination: str, peer: str, given: dict[str, Any], more: dict[str, Any]
    ) -> None:
        with self._lock:
            entry = {
                "at": time.time(),
                "began": given.get("began"),
                "destination": destination,
                "connection": str(given["connection"]),
                "instance": str(given.get("instance", "")),
                "peer": peer,
                "job": given.get("job"),
                "attempt": given.get("attempt"),
            } | more
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.entries.append(entry)

    def verdict(self, since: float = 0.0) -> dict[str, Any]:
        """Judge every connection: each record from 1 to the last one once, by one writer.

        `since` limits the judgement on writers, where one came back by plan.
        """
        with self._lock:
            entries = list(self.entries)
        grouped: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            grouped.setdefault(entry["connection"], []).append(entry)
        judged = {name: judge(found) for name, found in sorted(grouped.items())}
        batches = [entry for entry in entries if entry["records"]]
        who = writers.judge([entry for entry in batches if float(entry["at"]) >= since])
        return {
            "connections": judged,
            "batches": len(batches),
            "records": sum(one["records"] for one in judged.values()),
            "lost": sum(one["lost"] for one in judged.values()),
            "doubled": sum(one["doubled"] for one in judged.values()),
            "repeated": sum(one["repeated"] for one in judged.values()),
            "writers": sorted({writer for one in judged.values() for writer in one["writers"]}),
            "clean": all(not one["lost"] and not one["doubled"] for one in judged.values()),
            "one_writer": who["one_writer"],
            "writing": who,
        }


def judge(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Judge one connection's batches, in order.

    A record that is written again although the cursor behind it was committed is doubled. Without
    that commit it is repeated: the next run has to write it again, and the destination, which
    merges by key, ends up with one.
    """
    seen: Counter[int] = Counter()
    by_writer: Counter[str] = Counter()
    written: dict[Run, set[int]] = {}
    owner: dict[int, Run] = {}
    doubled: dict[int, str] = {}
    for entry in entries:
        run = (writer_of(entry), entry.get("job"), entry.get("attempt"))
        mine = written.setdefault(run, set())
        for number in mine if "committed" in entry else entry["records"]:
            if owner.get(number, run) != run:
                doubled.setdefault(number, f"{owner[number][0]} then {run[0]}")
        if "committed" in entry:
            owner |= {number: run for number in mine if number not in owner}
        mine.update(entry["records"])
        seen.update(entry["records"])
        by_writer[run[0]] += len(entry["records"])
    last = max(seen, default=0)
    lost = [number for number in range(1, last + 1) if not seen[number]]
    repeated = [number for number, times in seen.items() if times > 1 and number not in doubled]
    return {
        "destinations": sorted({entry["destination"] for entry in entries}),
        "records": sum(seen.values()),
        "last": last,
        "lost": len(lost),
        "lost_records": lost[:20],
        "doubled": len(doubled),
        "doubled_records": sorted(doubled)[:20],
        "doubled_by": dict(Counter(doubled.values())),
        "repeated": len(repeated),
        "writers": {name: count for name, count in by_writer.items() if count},
    }
