"""The script that proves the tests, proved on a tree of two files."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.faults.machinery import (
    Fault,
    ProofError,
    applied,
    check_green,
    copy_of,
    prove,
)
from tests.faults.prove import main, try_all

GOOD = Fault(
    name="wrong sum",
    harm="Sums are wrong.",
    file="sums.py",
    old="a + b",
    new="a - b",
    selection=("test_sums.py",),
)


def silent(_: str) -> None:
    pass


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "sums.py").write_text("def add(a, b):\n    return a + b\n\n\nUNTESTED = 1\n")
    (folder / "test_sums.py").write_text(
        "import sums\n\n\ndef test_add():\n    assert sums.add(1, 2) == 3\n"
    )
    (folder / ".gitignore").write_text("ignored\n")
    (folder / "ignored").write_text("x")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


@pytest.fixture
def copy(tree: Path) -> Path:
    with copy_of(tree) as copy:
        kept = tree.parent / "copy" / "tree"
        kept.parent.mkdir()
        copy.rename(kept)
    return kept


def test_a_seen_fault(copy: Path) -> None:
    assert check_green(GOOD, copy, silent).tests == 1
    run = prove(GOOD, copy, silent)
    assert run.failed == ("test_add",)
    assert run.reason.startswith("assert -1 == 3")
    assert "a + b" in (copy / "sums.py").read_text()


def test_the_copy_has_uncommitted_files_and_no_ignored_ones(copy: Path) -> None:
    assert sorted(p.name for p in copy.iterdir()) == [".gitignore", "sums.py", "test_sums.py"]


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (replace(GOOD, file="gone.py"), "bring the fault up to date"),
        (replace(GOOD, old="a * b"), "occurs 0 times"),
        (replace(GOOD, old="a"), "occurs"),
        (replace(GOOD, new="a + b"), "bring the fault up to date"),
        (replace(GOOD, new="a +"), "is no Python"),
        (replace(GOOD, old="UNTESTED = 1", new="UNTESTED = 2"), "do not see it"),
        (replace(GOOD, old="def add(a, b)", new="def plus(a, b)", selection=("nil",)), "not see"),
        (replace(GOOD, old="def add(a, b)", new="import nil\n\n\ndef add(a, b)"), "1 errors"),
    ],
)
def test_what_proves_nothing_is_refused(fault: Fault, text: str, copy: Path) -> None:
    before = (copy / "sums.py").read_text()
    with pytest.raises(ProofError, match=text):
        prove(fault, copy, silent)
    assert (copy / "sums.py").read_text() == before


def test_a_selection_that_is_red_anyway_is_refused(copy: Path) -> None:
    with applied(GOOD, copy), pytest.raises(ProofError, match="not green without the fault"):
        check_green(GOOD, copy, silent)


def test_one_unseen_fault_spoils_the_whole(tree: Path) -> None:
    unseen = replace(GOOD, name="unseen", old="UNTESTED = 1", new="UNTESTED = 2")
    before = (tree / "sums.py").read_text()
    seen, errors = try_all(tree, [GOOD, unseen], Console(quiet=True))
    assert list(seen) == ["wrong sum"]
    assert [str(e).split(":")[0] for e in errors] == ["unseen"]
    assert (tree / "sums.py").read_text() == before


def test_faults_still_apply(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.faults.prove import FAULTS, ROOT
    from tests.faults.six import FAULTS as SIX

    assert len(SIX) == 6
    assert len({f.name for f in FAULTS}) == len(FAULTS) >= 35
    assert main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(FAULTS)
    for fault in FAULTS:
        text = (ROOT / fault.file).read_text()
        assert text.count(fault.old) == 1, fault.name
