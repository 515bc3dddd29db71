"""Rows, bytes, rate and time left."""

from __future__ import annotations

import pytest

from db_migration.seeding.progress import Progress

HALF = Progress(
    tables=72, copied=30, rows=1000, bytes=50 * 1024**2, share=0.5, elapsed=5.0, doing=("copy a",)
)


def test_says_how_far_it_is() -> None:
    assert HALF.to_dict() == {
        "tables": 72,
        "copied": 30,
        "rows": 1000,
        "bytes": 50 * 1024**2,
        "bytes_per_second": 10 * 1024**2,
        "share": 0.5,
        "elapsed_seconds": 5.0,
        "left_seconds": 5.0,
        "doing": ["copy a"],
        "text": str(HALF),
    }
    assert str(HALF) == "50%: 30 of 72 tables, 1000 rows, 50 MiB at 10.0 MiB/s, about 5 s left"


@pytest.mark.parametrize(
    ("share", "elapsed", "left"), [(0.0, 3.0, None), (0.25, 10.0, 30.0), (1.0, 4.0, 0.0)]
)
def test_time_left(share: float, elapsed: float, left: float | None) -> None:
    assert Progress(1, 0, 0, 0, share, elapsed).left == left


def test_the_first_moment_has_no_rate() -> None:
    begun = Progress(1, 0, 0, 0, 0.0, 0.0)
    assert begun.rate == 0
    assert "left" not in str(begun)
