"""A throw-away Pulumi project, run by the real pinned engine against a file backend."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.fix_engine import Engine

PASSPHRASE = "passphrase-of-a-test"
PULUMI_SECONDS = 120


@dataclass(frozen=True)
class Project:
    """One project with one stack; every command must succeed unless said otherwise."""

    folder: Path
    environment: dict[str, str]

    def program(self, text: str) -> None:
        """Replace the program."""
        (self.folder / "__main__.py").write_text(text)

    def pulumi(self, *args: str, code: int = 0) -> str:
        """Run one command; returns both outputs."""
        ran = subprocess.run(
            ["pulumi", *args, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PULUMI_SECONDS,
            check=False,
        )
        assert ran.returncode == code, ran.stdout
        return ran.stdout

    def up(self, *args: str, code: int = 0) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", *args, code=code)

    def state(self) -> dict[str, Any]:
        """Map every resource's name to its state, secrets still sealed."""
        exported = json.loads(self.pulumi("stack", "export"))
        return {r["urn"].rsplit("::", 1)[-1]: r for r in exported["deployment"]["resources"]}


@pytest.fixture
def project(pulumi_engine: Engine, tmp_path: Path) -> Iterator[Project]:
    folder, backend = tmp_path / "project", tmp_path / "backend"
    folder.mkdir()
    backend.mkdir()
    (folder / "Pulumi.yaml").write_text("name: toy\nruntime: python\n")
    made = Project(folder, pulumi_engine.environment(backend, PASSPHRASE))
    made.program("")
    made.pulumi("stack", "init", "dev")
    yield made
    made.pulumi("destroy", "--yes", "--skip-preview")
