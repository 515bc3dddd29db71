"""A benchmark that can not be made as asked is refused before it replaces what there is."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as benchmark
from benchmarks.report import Results

WRONG = {
    "no size": (("--sizes", "big"), "gigabytes over 0"),
    "size of nothing": (("--sizes", "0.1,0"), "gigabytes over 0"),
    "size below nothing": (("--sizes", "-1"), "gigabytes over 0"),
    "endless size": (("--sizes", "0.1,inf"), "gigabytes over 0"),
    "size that is no number": (("--sizes", "nan"), "gigabytes over 0"),
    "shape that there is not": (("--shapes", "many,round"), "`many`, `one`, got `round`"),
    "no shape": (("--shapes", ""), "`many`, `one`"),
    "method that there is not": (("--only", "theirs"), "`ours`, `ours, verified`, `pgcopydb`"),
    "one method of two": (("--only", "ours", "--only", "our"), "got `our`"),
    "time below nothing": (("--seconds", "-1"), "0 or more"),
    "endless time": (("--seconds", "inf"), "0 or more"),
    "time that is no number": (("--seconds", "nan"), "0 or more"),
    "no runs": (("--runs", "0"), "or equal to 1"),
}


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note what would be measured, and measure nothing."""
    found: list[object] = []
    monkeypatch.setattr(benchmark, "machine", dict)
    monkeypatch.setattr(benchmark, "versions", dict)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(benchmark, "follow", lambda *_: found.append("follow"))
    monkeypatch.setattr(
        benchmark, "measure", lambda _, size, shape, wanted, __: found.append((size, shape, wanted))
    )
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with the results of an earlier run."""
    (tmp_path / "results.json").write_text(
        json.dumps(Results({"processor": "old"}, 1, {}).to_dict())
    )
    (tmp_path / "report.md").write_text("earlier")
    return tmp_path


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def ask(out: Path, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(benchmark.app, ["--out", str(out), *options])
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG)
def test_wrong_argument_changes_nothing(
    out: Path, measured: list[object], options: tuple[str, ...], said: str
) -> None:
    before = content(out)
    code, told = ask(out, *options)
    assert code == 2
    assert said in told
    assert content(out) == before
    assert measured == []


@pytest.mark.parametrize("text", [None, "{", "[]", '{"strange": 1}'])
def test_nothing_that_could_be_kept(out: Path, measured: list[object], text: str | None) -> None:
    (out / "results.json").unlink()
    if text is not None:
        (out / "results.json").write_text(text)
    before = content(out)
    code, told = ask(out, "--keep")
    assert (code, measured) == (2, [])
    assert "--keep needs the results of an earlier run" in told
    assert content(out) == before


@pytest.mark.parametrize(
    ("missing", "options", "named"),
    [
        ("pgcopydb", (), "`pgcopydb` must be installed"),
        ("psql", ("--only", "ours"), "`psql` must be installed"),
        ("pgcopydb", ("--only", "ours"), None),
        ("pgcopydb", ("--sizes", ""), None),
    ],
)
def test_a_peer_is_not_left_out_in_silence(
    out: Path,
    measured: list[object],
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    options: tuple[str, ...],
    named: str | None,
) -> None:
    """The aims are ratios to it: a report without it says nothing of them."""
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else name)
    code, told = ask(out, *options)
    assert (code, bool(measured)) == ((2, False) if named else (0, True))
    assert (named or "") in told
    assert ("that need nothing of it: --only" in told) == (missing == "pgcopydb" and bool(named))


def test_folder_that_is_a_file(out: Path, measured: list[object]) -> None:
    code, told = ask(out / "report.md")
    assert (code, measured) == (2, [])
    assert "must be a folder" in told


def test_what_is_right_is_measured(out: Path, measured: list[object]) -> None:
    options = ("--sizes", "0.5", "--shapes", "one", "--only", "pgcopydb", "--only", "ours")
    code, told = ask(out / "new" / "folder", *options, "--seconds", "0")
    assert code == 0, told
    assert measured == [(0.5, "one", ["ours", "pgcopydb"])]
    assert "report.md" in content(out / "new" / "folder")
