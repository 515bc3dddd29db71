"""Proves that a selection of tests sees a fault: green without it, red with it.

Works on a copy of the tree (uncommitted files included), never on the tree itself.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.support.timeouts import FACTOR

SELECTION_SECONDS = 600 * FACTOR
HEARTBEAT_SECONDS = 8.0
REASON_CHARACTERS = 160
TESTS_FAILED = 1
"""Pytest's exit code for failed tests; 2 to 5 are broken runs, which prove nothing."""


class ProofError(Exception):
    """A fault that proves nothing: no longer applicable, or its tests are red without it."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One deliberate fault: `old` occurs exactly once in `file` and becomes `new`."""

    name: str
    harm: str
    file: str
    old: str
    new: str
    selection: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """What one run of pytest said."""

    code: int
    tests: int
    failed: tuple[str, ...]
    reason: str
    """First line of the first failure, to judge that it is red for the right reason."""
    errors: int
    seconds: float
    output: str

    @property
    def green(self) -> bool:
        return self.code == 0 and self.tests > 0

    @property
    def red(self) -> bool:
        """Red by a test that failed: a broken import would turn anything red."""
        return self.code == TESTS_FAILED and bool(self.failed)

    @property
    def ending(self) -> str:
        return "\n".join(self.output.strip().splitlines()[-25:])


@contextmanager
def copy_of(tree: Path) -> Iterator[Path]:
    """Copy all that git would commit, and check that it is the copy which is tested."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        copy = Path(folder) / "tree"
        for name in filter(None, listed.split("\0")):
            source, target = tree / name, copy / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        yield copy


@contextmanager
def applied(fault: Fault, copy: Path) -> Iterator[None]:
    """Apply the fault; the file is whole again afterwards."""
    path = copy / fault.file
    if not path.is_file():
        message = f"{fault.name}: no {fault.file}; bring the fault up to date"
        raise ProofError(message)
    text = path.read_text(encoding="utf-8")
    if text.count(fault.old) != 1 or fault.old == fault.new:
        message = (
            f"{fault.name}: the text to replace occurs {text.count(fault.old)} times in "
            f"{fault.file}, needed once; bring the fault up to date:\n{fault.old}"
        )
        raise ProofError(message)
    try:
        path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        if path.suffix == ".py":
            _refuse_nonsense(fault, path)
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def check_green(fault: Fault, copy: Path, say: Callable[[str], None]) -> Run:
    """Run the selection without the fault; refuse if it is not green."""
    run = run_tests(copy, fault.selection, f"{fault.name}: without the fault", say)
    if not run.green:
        message = (
            f"{fault.name}: its tests are not green without the fault ({run.tests} tests, exit "
            f"code {run.code}); mend them first:\n{run.ending}"
        )
        raise ProofError(message)
    return run


def prove(fault: Fault, copy: Path, say: Callable[[str], None]) -> Run:
    """Run the selection with the fault; refuse if it is not red by a failed test."""
    with applied(fault, copy):
        run = run_tests(copy, fault.selection, f"{fault.name}: with the fault", say)
    if not run.red:
        message = (
            f"{fault.name}: the tests do not see it ({run.tests} tests, exit code {run.code}, "
            f"{run.errors} errors). {fault.harm}\n{run.ending}"
        )
        raise ProofError(message)
    return run


def run_tests(copy: Path, selection: tuple[str, ...], what: str, say: Callable[[str], None]) -> Run:
    """Run pytest in the copy with this interpreter, saying every few seconds that it lives.

    It ends at the first failure: one red test is proof enough, and others may wait for deadlines.
    """
    report = copy.parent / "report.xml"
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", "-q", "-x", f"--junitxml={report}", *selection]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)}
    began = datetime.now(UTC)
    with _alive(what, say):
        done = subprocess.run(
            argv,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SELECTION_SECONDS,
        )
    seconds = (datetime.now(UTC) - began).total_seconds()
    cases = list(ET.parse(report).getroot().iter("testcase")) if report.is_file() else []  # noqa: S314
    reasons = [f.get("message") or "" for c in cases for f in c.findall("failure")]
    return Run(
        code=done.returncode,
        tests=len(cases),
        failed=tuple(str(c.get("name")) for c in cases if c.find("failure") is not None),
        reason=" ".join("".join(reasons[:1]).split())[:REASON_CHARACTERS],
        errors=sum(c.find("error") is not None for c in cases),
        seconds=seconds,
        output=done.stdout + done.stderr,
    )


@contextmanager
def _alive(what: str, say: Callable[[str], None]) -> Iterator[None]:
    ended = threading.Event()
    began = datetime.now(UTC)

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            say(f"  … {what} ({(datetime.now(UTC) - began).total_seconds():.0f} s)")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _refuse_nonsense(fault: Fault, path: Path) -> None:
    try:
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
    except SyntaxError as error:
        message = f"{fault.name}: {fault.file} is no Python with the fault: {error}"
        raise ProofError(message) from error
