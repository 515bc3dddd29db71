"""The ledger: every batch a destination received, in order, on disk before it is acknowledged."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


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
        entry = {
            "at": time.time(),
            "destination": destination,
            "connection": str(batch["connection"]),
            "instance": str(batch.get("instance", "")),
            "peer": peer,
            "job": batch.get("job"),
            "attempt": batch.get("attempt"),
            "records": records,
        }
        with self._lock:
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.entries.append(entry)
        return len(records)

    def verdict(self) -> dict[str, Any]:
        """Judge every connection: each record from 1 to the last one exactly once."""
        with self._lock:
            entries = list(self.entries)
        grouped: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            grouped.setdefault(entry["connection"], []).append(entry)
        judged = {name: judge(found) for name, found in sorted(grouped.items())}
        return {
            "connections": judged,
            "batches": len(entries),
            "records": sum(one["records"] for one in judged.values()),
            "lost": sum(one["lost"] for one in judged.values()),
            "doubled": sum(one["doubled"] for one in judged.values()),
            "writers": sorted({writer for one in judged.values() for writer in one["writers"]}),
            "clean": all(not one["lost"] and not one["doubled"] for one in judged.values()),
        }


def writer_of(entry: dict[str, Any]) -> str:
    """Name who wrote: the instance, and the address it came from."""
    return f"{entry['instance']}@{entry['peer']}"


def judge(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Judge one connection's batches, in order."""
    seen: Counter[int] = Counter()
    first_writer: dict[int, str] = {}
    doubles: Counter[str] = Counter()
    by_writer: Counter[str] = Counter()
    for entry in entries:
        writer = writer_of(entry)
        for number in entry["records"]:
            by_writer[writer] += 1
            if seen[number]:
                doubles[f"{first_writer[number]} then {writer}"] += 1
            seen[number] += 1
            first_writer.setdefault(number, writer)
    last = max(seen, default=0)
    lost = [number for number in range(1, last + 1) if not seen[number]]
    doubled = [number for number, times in seen.items() if times > 1]
    return {
        "destinations": sorted({entry["destination"] for entry in entries}),
        "records": sum(seen.values()),
        "last": last,
        "lost": len(lost),
        "lost_records": lost[:20],
        "doubled": len(doubled),
        "doubled_records": sorted(doubled)[:20],
        "doubled_by": dict(doubles),
        "writers": dict(by_writer),
    }
