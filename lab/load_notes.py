"""The files of a load: what was acknowledged, and what was tried in vain."""

from __future__ import annotations

import json
import os
import threading
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ACKNOWLEDGED = "acknowledged.jsonl"
FAILED = "failed.jsonl"
SUMMARY = "summary.json"
"""Written when the load has ended."""


class Notes:
    """The two files; a line is on disk when `add` returns."""

    def __init__(self, folder: Path) -> None:
        """Append to what is there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._acknowledged = (folder / ACKNOWLEDGED).open("ab")
        self._failed = (folder / FAILED).open("ab")
        self._lock = threading.Lock()
        self.latencies: list[float] = []
        self.failed = 0
        self.given_up = 0

    def add(self, line: dict[str, Any]) -> None:
        """Note an acknowledged write."""
        with self._lock:
            self._write(self._acknowledged, line)
            self.latencies.append(float(line["latency_ms"]))

    def add_failure(self, line: dict[str, Any]) -> None:
        """Note an attempt that was not acknowledged; it may or may not be in the database."""
        with self._lock:
            self._write(self._failed, line)
            self.failed += 1

    def give_up(self) -> None:
        """Count a write that will not be tried again."""
        with self._lock:
            self.given_up += 1

    def close(self) -> None:
        """Close both."""
        self._acknowledged.close()
        self._failed.close()

    @staticmethod
    def _write(file: IO[bytes], line: dict[str, Any]) -> None:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, Any]]:
    """Read one of the files; a last line that a crash cut short was never acknowledged."""
    if not path.exists():
        return []
    whole = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [json.loads(line) for line in whole]


def percentile(ordered: list[float], part: float) -> float | None:
    """Return the value below which `part` of them lie; None without any."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1)
