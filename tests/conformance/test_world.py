"""The outside world: what the verdict sees, and that the ledger is on disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.world.ledger import Ledger
from lab.world.sources import Sources

SOURCE = "00000000-0000-0000-0000-000000000001"


def batch(
    *records: int, instance: str = "one", job: int = 1, began: float | None = None
) -> dict[str, object]:
    run = {"connection": "c", "instance": instance, "job": job, "attempt": 0, "began": began}
    return run | {"records": list(records)}


def commit(last: int, instance: str = "one", job: int = 1) -> dict[str, object]:
    return {"connection": "c", "instance": instance, "job": job, "attempt": 0, "last": last}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger")
    yield opened
    opened.close()


def test_clean(ledger: Ledger) -> None:
    """A ledger in which each record is once is clean."""
    ledger.append("d", "10.0.0.1", batch(1, 2))
    ledger.append("d", "10.0.0.1", batch(3))
    verdict = ledger.verdict()
    assert verdict["clean"]
    assert verdict["records"] == 3


def test_lost_and_doubled_by_whom(ledger: Ledger) -> None:
    """A gap is a loss; a record twice, its cursor committed, names both writers."""
    ledger.append("d", "10.0.0.1", batch(1, 2, 4))
    ledger.commit("d", "10.0.0.1", commit(4))
    ledger.append("d", "10.0.0.2", batch(4, instance="two"))
    judged = ledger.verdict()["connections"]["c"]
    assert judged["lost_records"] == [3]
    assert judged["doubled_records"] == [4]
    assert judged["doubled_by"] == {"one@10.0.0.1 then two@10.0.0.2": 1}


def test_a_sync_that_died_with_its_host_is_repeated_and_not_doubled(ledger: Ledger) -> None:
    """At least once: its cursor was not committed, so the next run writes its records again."""
    ledger.append("d", "10.0.0.1", batch(1, 2))
    ledger.append("d", "10.0.0.2", batch(1, 2, 3, instance="two", job=2))
    ledger.commit("d", "10.0.0.2", commit(3, "two", 2))
    verdict = ledger.verdict()
    assert verdict["clean"]
    assert verdict["one_writer"]
    assert verdict["repeated"] == 2


def test_two_runs_that_both_commit_the_same_records_double_them(ledger: Ledger) -> None:
    """Nobody had committed when the second wrote, but both cursors stand."""
    ledger.append("d", "10.0.0.1", batch(1))
    ledger.append("d", "10.0.0.2", batch(1, instance="two"))
    ledger.commit("d", "10.0.0.1", commit(1))
    ledger.commit("d", "10.0.0.2", commit(1, "two"))
    assert ledger.verdict()["doubled"] == 1


def test_a_change_of_the_writer_shows_as_two_periods(ledger: Ledger) -> None:
    """One writer at every moment: the first one's batches all come before the second one's."""
    ledger.append("d", "10.0.0.1", batch(1))
    ledger.append("d", "10.0.0.1", batch(2, job=2))
    ledger.append("d", "10.0.0.2", batch(3, instance="two", job=3))
    verdict = ledger.verdict()
    assert verdict["one_writer"]
    periods = [(one["writer"], one["batches"]) for one in verdict["writing"]["periods"]]
    assert periods == [("one@10.0.0.1", 2), ("two@10.0.0.2", 1)]


def test_a_connector_that_outlived_its_airbyte_overlaps_with_the_next(ledger: Ledger) -> None:
    """It began before the other's first batch, and ended after it."""
    ledger.append("d", "10.0.0.1", batch(1, began=1.0))
    ledger.append("d", "10.0.0.2", batch(2, instance="two", job=2))
    ledger.append("d", "10.0.0.1", batch(3, began=1.0))
    verdict = ledger.verdict()
    assert not verdict["one_writer"]
    found = [one["writers"] for one in verdict["writing"]["overlaps"]]
    assert found == [["one@10.0.0.1", "two@10.0.0.2"]]


def test_a_writer_that_comes_back_is_named_unless_its_return_was_planned(ledger: Ledger) -> None:
    """Two live Airbytes on one store take turns and never overlap; a failback looks the same."""
    ledger.append("d", "10.0.0.1", batch(1))
    ledger.append("d", "10.0.0.2", batch(2, instance="two", job=2))
    planned = ledger.entries[-1]["at"]
    ledger.append("d", "10.0.0.1", batch(3, job=3))
    assert ledger.verdict()["writing"]["returns"] == ["one@10.0.0.1"]
    assert ledger.verdict(since=planned)["one_writer"]


def test_survives_a_crash(tmp_path: Path) -> None:
    """A line cut short was never acknowledged, and is forgotten."""
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    ledger.append("d", "p", batch(1))
    ledger.close()
    with path.open("ab") as file:
        file.write(b'{"connection": "c", "rec')
    again = Ledger(path)
    again.append("d", "p", batch(2))
    assert again.verdict()["clean"]
    again.close()
    assert len(path.read_bytes().splitlines()) == 2


def test_sources_only_grow() -> None:
    """Record n is the same whenever it is read; no record goes away."""
    sources = Sources(rate=0)
    first = sources.records(SOURCE, 1, 10)
    sources.grow(SOURCE, 100)
    assert sources.records(SOURCE, 1, 10)["records"] == first["records"]
    assert sources.count(SOURCE) == 100
    with pytest.raises(ValueError, match="UUID"):
        sources.records("not a uuid", 1, 10)


def test_a_slow_source_gives_a_few_records_at_once() -> None:
    """A sync then lasts long enough to outlive its platform."""
    sources = Sources(rate=0)
    sources.pace(SOURCE, 2, 0.0)
    answer = sources.records(SOURCE, 1, 10)
    assert [record["n"] for record in answer["records"]] == [1, 2]
    assert answer["count"] == 25
