"""The outside world: what the verdict sees, and that the ledger is on disk."""

from pathlib import Path

import pytest

from lab.world.ledger import Ledger
from lab.world.sources import Sources

SOURCE = "00000000-0000-0000-0000-000000000001"


def batch(*records: int, instance: str = "one") -> dict[str, object]:
    return {"connection": "c", "instance": instance, "records": list(records)}


def test_clean(tmp_path: Path) -> None:
    """A ledger in which each record is once is clean."""
    ledger = Ledger(tmp_path / "ledger")
    ledger.append("d", "10.0.0.1", batch(1, 2))
    ledger.append("d", "10.0.0.1", batch(3))
    verdict = ledger.verdict()
    ledger.close()
    assert verdict["clean"]
    assert verdict["records"] == 3


def test_lost_and_doubled_by_whom(tmp_path: Path) -> None:
    """A gap is a loss; a record twice names both writers."""
    ledger = Ledger(tmp_path / "ledger")
    ledger.append("d", "10.0.0.1", batch(1, 2, 4))
    ledger.append("d", "10.0.0.2", batch(4, instance="two"))
    judged = ledger.verdict()["connections"]["c"]
    ledger.close()
    assert judged["lost_records"] == [3]
    assert judged["doubled_records"] == [4]
    assert judged["doubled_by"] == {"one@10.0.0.1 then two@10.0.0.2": 1}


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
