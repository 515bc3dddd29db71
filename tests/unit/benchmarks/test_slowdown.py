"""What pgbench has logged of each write."""

from __future__ import annotations

from pathlib import Path

from benchmarks.slowdown import milliseconds


def test_a_write_counts_from_when_it_was_sent_not_from_when_it_was_due(tmp_path: Path) -> None:
    log = tmp_path / "log.1"
    log.write_text("0 1 1200 0 1764380000 100000 200\n3 7 950 0 1764380000 203000 0\n")
    assert milliseconds(log) == [1.0, 0.95]
