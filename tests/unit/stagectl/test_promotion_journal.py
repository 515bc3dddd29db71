"""The journal survives what a crash does to files."""

import json
import os
from pathlib import Path

import pytest

from stages.stagectl import journal
from stages.stagectl.journal import JOURNAL, Promotion
from tests.unit.stagectl.worlds import deployment, document


@pytest.fixture
def promotion(tmp_path: Path) -> Promotion:
    return Promotion.begin(tmp_path / "toy", source="v0", dest="v1", backend="file:///b")


def test_everything_is_private(promotion: Promotion) -> None:
    promotion.save_backup(deployment(), document([]), dest_created=True)
    assert promotion.folder.stat().st_mode & 0o777 == 0o700
    files = list(promotion.folder.iterdir())
    assert {f.name for f in files} == {JOURNAL, "v0.json", "v1.json"}
    assert {f.stat().st_mode & 0o777 for f in files} == {0o600}


def test_every_line_is_on_the_disk_when_write_returns(
    promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fsync(handle: int) -> None:
        synced.append(os.fstat(handle).st_size)

    monkeypatch.setattr("os.fsync", fsync)
    promotion.write("finished")
    assert (promotion.folder / JOURNAL).stat().st_size in synced


def test_a_backup_reads_back_equal(promotion: Promotion) -> None:
    assert promotion.backup_of("v0") is None
    promotion.save_backup(deployment(), document([]), dest_created=False)
    assert promotion.backup_of("v0") == deployment()
    assert promotion.backup_of("v1") == document([])


def test_a_second_backup_leaves_the_first(promotion: Promotion) -> None:
    promotion.save_backup(deployment(), document([]), dest_created=False)
    promotion.save_backup(document([]), document([]), dest_created=False)
    assert promotion.backup_of("v0") == document([])
    assert json.loads((promotion.folder / "v0.json").read_text()) == deployment().document


def test_every_cut_of_the_file_is_readable(promotion: Promotion) -> None:
    promotion.write("step", step="move-state", hosts=[])
    promotion.write("done", step="move-state")
    path = promotion.folder / JOURNAL
    whole = path.read_bytes()
    entries = promotion.entries
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        assert promotion.entries in [entries[:n] for n in range(len(entries) + 1)]
        promotion.write("after")
        assert promotion.entries[-1]["event"] == "after"


def test_states(promotion: Promotion) -> None:
    seen = []
    for event in ("step", "finished", "undo", "undone"):
        promotion.write(event, step="x")
        seen.append(promotion.state)
    assert seen == ["open", "finished", "undoing", "undone"]
    assert promotion.last_step == "x"


def test_promotions_of_other_backends_are_not_found(tmp_path: Path) -> None:
    root = tmp_path / "toy"
    assert journal.find(root, "file:///b") == []
    first = Promotion.begin(root, source="v0", dest="v1", backend="file:///b")
    Promotion.begin(root, source="v0", dest="v1", backend="file:///other")
    second = Promotion.begin(root, source="v1", dest="v2", backend="file:///b")
    (root / "20990101T000000.000000Z").mkdir()
    assert journal.find(root, "file:///b") == [first, second]
