"""The report says truly what was measured, and whether an aim was met."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks import plots, report
from benchmarks.following import Written, judge
from benchmarks.report import OURS, PGCOPYDB, RESTORE, VERIFIED, Results


def results() -> Results:
    return Results(
        machine={"processor": "2 cores"},
        runs=3,
        versions={"psql": "15"},
        bytes={"0.1 many": 10**8, "0.5 many": 5 * 10**8, "0.5 one": 5 * 10**8},
        copies={
            "0.1 many": {OURS: [1.0], PGCOPYDB: [2.0]},
            "0.5 many": {
                OURS: [4.0, 5.0, 9.0], VERIFIED: [7.0], PGCOPYDB: [10.0], RESTORE: [6.0]
            },
            "0.5 one": {OURS: [6.0], PGCOPYDB: []},
        },
        cpu={"0.5 many": {OURS: [[2.0, 5.0, 0.5], [2.0, 6.0, 1.0], [1.0, 1.0, 0.1]]}},
        verify={"0.5 many": [2.5]},
        memory_kib={"0.1 many": 50_000, "0.5 many": 60_000},
        lags=[{"asked": 300, "rate": 299, "p50": 1.5, "p99": 12.0, "most": 20, "missing": 0}],
        slowdown={"attached": [1.1, 2.2, 0.9], "detached": [1.0, 1.0, 1.0]},
        slowdown_apart={"attached": [1.02], "detached": [1.0]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("what", "value", "verdict"),
    [
        ("seed of pgcopydb", 0.5, "met"),
        ("seed of pg_dump -Z0 -j2, pg_restore -j2", 5 / 6, "**not met**"),
        ("verified copy of pgcopydb's unverified one", 0.7, "met"),
        ("verify alone of the seed", 0.5, "**not met**"),
        ("seconds a byte, largest of smallest size", 1.0, "met"),
        ("seconds a byte, one table of 90 % of many", 1.2, "**not met**"),
        ("lag p50 at 300 writes/s, ms", 1.5, "met"),
        ("lag p99 at 300 writes/s, ms", 12.0, "**not met**"),
        ("memory of our process, MB", 61.44, "met"),
        ("median write with the feed, of without", 1.1, "**not met**"),
        ("the same, each server with a core and a disk", 1.02, "met"),
    ],
)
def test_aims(what: str, value: float, verdict: str) -> None:
    found = next(aim for aim in report.aims(results()) if aim.what == what)
    assert found.value == pytest.approx(value)
    assert found.verdict == verdict


def test_what_was_not_measured_is_not_met() -> None:
    empty = Results(machine={}, runs=1, versions={})
    assert {aim.verdict for aim in report.aims(empty)} == {"not measured"}


def test_names_machine_ratios_and_plots() -> None:
    text = report.markdown(results())
    assert "| processor | 2 cores |" in text
    assert "| ours | 5.00 | 4.00 to 9.00 | 100% | 0.50 | 7.5 (2.0 + 5.0 + 0.5) |" in text
    assert "3 pairs: 1.10 ms with the feed, 1.00 ms without; by pair 0.90 to 2.20" in text
    assert "1 pairs: 1.02 ms with the feed" in text
    for name in report.drawings(results()):
        if name != "growth.svg":
            assert f"({name})" in text


def test_a_pipe_in_a_name_does_not_end_its_cell() -> None:
    found = results()
    found.copies["0.5 one"]["pg_dump | psql"] = [7.0]
    assert "| pg_dump \\| psql | 7.00 |" in report.markdown(found)


def test_plots_are_well_formed() -> None:
    odd = {"a < b & c": 1.0, "nothing": 0.0}
    for drawing in (
        plots.bars("bars", odd, "s"),
        plots.bars("none", {}, "s"),
        plots.lines("lines", {"x": [(1, 2), (0, 0)]}, "GB", "s"),
        plots.lines("none", {}, "GB", "s"),
    ):
        ET.fromstring(drawing)  # noqa: S314


def test_lag_is_between_commit_and_arrival() -> None:
    written = Written(acknowledged=[1, 2, 3], seconds=1.5)
    found = judge(50, written, {1: 10.0, 2: 10.0, 3: 10.0}, {1: 10.001, 2: 10.004})
    assert found.rate == 2.0
    assert found.p50 == pytest.approx(1.0)
    assert found.most == pytest.approx(4.0)
    assert found.missing == 1, "a row that did not arrive must not improve the percentiles unseen"
