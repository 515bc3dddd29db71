"""A copy of the toy project with stacks, settings and a backend of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stages.stagectl.plan import STAGES
from stages.stagectl.state import Json, State
from tests.support.fix_engine import ROOT, Engine

PASSWORD = "planted-7h1s-must-not-show"
PASSPHRASE = "toy passphrase"

# Runs stagectl, and SIGKILLs it where the journal would note that STEP is done.
KILLED = """
import os, signal, sys
from stages.stagectl.cli import main
from stages.stagectl.journal import Promotion
write, step = Promotion.write, sys.argv.pop(1)
def deadly(self, event, **facts):
    if event == "done" and facts["step"] == step:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, event, **facts)
Promotion.write = deadly
main()
"""


@dataclass(frozen=True)
class Toy:
    """The project in a folder, its backend, and the commands to run on it."""

    folder: Path
    environment: dict[str, str]

    @property
    def root(self) -> Path:
        """The folder of all that is the toy's: project, backend, backups and deployed things."""
        return self.folder.parent

    def pulumi(self, *argv: str, fails: bool = False) -> str:
        done = self._run(["pulumi", *argv, "--non-interactive"])
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout + (done.stderr if fails else "")

    def up(self, stack: str, *argv: str) -> str:
        return self.pulumi("up", "--stack", stack, "--yes", "--skip-preview", *argv)

    def state(self, stack: str) -> State:
        """What `pulumi stack export` would print, read from where the engine keeps it."""
        project = self.backend / ".pulumi" / "stacks" / "toy"
        kept = json.loads((project / f"{stack}.json").read_text())
        return State({"version": kept["version"], "deployment": kept["checkpoint"]["latest"]})

    def write(self, stack: str, change: Callable[[Json], object]) -> None:
        """Edit a stack's state by hand."""
        document = self.state(stack).document
        change(document)
        path = self.root / "edited.json"
        path.write_text(json.dumps(document))
        self.pulumi("stack", "import", "--stack", stack, "--file", str(path))

    def configure(self, stack: str, old: str, new: str) -> None:
        path = self.folder / f"Pulumi.{stack}.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    def stagectl(self, *argv: str, exit_code: int = 0) -> Json:
        """Run with --json and give the document."""
        done = self._run([sys.executable, "-m", "stages.stagectl", *argv, "--json"])
        assert done.returncode == exit_code, done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        answer: Json = json.loads(done.stdout)
        return answer

    def killed_at(self, step: str, *argv: str) -> None:
        """Run, and die right after the effect of this step."""
        done = self._run([sys.executable, "-c", KILLED, step, *argv])
        assert done.returncode == -9, done.stdout + done.stderr

    def changed_files(self) -> str:
        return self._run(["git", "status", "--porcelain"]).stdout

    def backups(self) -> list[Path]:
        folder = Path(self.environment["STAGECTL_BACKUPS"])
        return [p for p in folder.rglob("*") if p.is_file() and p.name != "lock"]

    @property
    def backend(self) -> Path:
        return Path(self.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))

    def _run(self, argv: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def make_toy(engine: Engine, root: Path) -> Toy:
    """Make the project with committed stack files; v0 is up."""
    folder, backend = root / "toy", root / "backend"
    shutil.copytree(Path(__file__).parent / "toy", folder)
    backend.mkdir()
    environment = engine.environment(backend, PASSPHRASE)
    environment |= {"STAGECTL_BACKUPS": str(root / "backups"), "PYTHONPATH": str(ROOT)}
    environment["WIDTH"] = "200"
    toy = Toy(folder, environment)
    for stack in STAGES:
        toy.pulumi("stack", "init", stack, "--no-select")
        toy.pulumi("config", "set", "--stack", stack, "folder", str(root))
        toy.pulumi("config", "set", "--stack", stack, "--secret", "password", PASSWORD)
    for stack in STAGES[1:]:
        toy.pulumi("stack", "rm", stack, "--yes", "--preserve-config")
    for argv in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "toy"]):
        identity = ["-c", "user.name=toy", "-c", "user.email=toy@example.invalid"]
        subprocess.run(["git", *identity, *argv], cwd=folder, check=True, env=dict(os.environ))
    toy.up("v0")
    assert toy.changed_files() == ""
    return toy
