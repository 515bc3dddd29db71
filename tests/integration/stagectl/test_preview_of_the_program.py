"""The program itself, previewed by the real engine as for a pull request: no host is asked."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from lab.spec import PASSPHRASE
from stages.stagectl.plan import STAGES
from stages.stagectl.state import Json
from tests.support.fix_engine import ROOT, Engine
from tests.unit.stages.stack_files import lay_lab_files

COMMENT_CHARACTERS = 65_536
SHARE = 64_000 // len(STAGES)
"""What the workflow gives each stage when all of them have changed."""


@pytest.fixture
def environment(pulumi_engine: Engine, tmp_path: Path) -> dict[str, str]:
    """A machine that has the checkout and the files that the stack files name, and no host."""
    home, backend = tmp_path / "home", tmp_path / "backend"
    backend.mkdir()
    lay_lab_files(home)
    made = pulumi_engine.environment(backend, PASSPHRASE)
    made |= {"HOME": str(home), "STAGECTL_BACKUPS": str(tmp_path / "backups")}
    return {**made, "PATH": f"{ROOT / '.venv/bin'}{os.pathsep}{made['PATH']}"}


def stagectl(environment: dict[str, str], *argv: str) -> str:
    done = subprocess.run(
        ["stagectl", *argv], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names(report: Json) -> set[str]:
    return {change["name"] for change in report["preview"]["changes"]}


def test_every_stage_in_an_empty_world_and_all_in_one_comment(environment: dict[str, str]) -> None:
    made = {}
    for stage in STAGES:
        report: Json = json.loads(stagectl(environment, "preview", stage, "--json"))
        assert report["ground"] == "empty"
        assert set(report["counts"]) == {"create", "unchanged"}
        made[stage] = names(report) - {f"airbyte-migration-{stage}"}
    assert made["v0"] < made["v1"] < made["v2"]
    assert {"guard-intermediary", "cut-over", "airbyte-prod-abctl"} <= made["v2"] - made["v1"]

    argv = ("--markdown", "--limit", str(SHARE))
    comment = "".join(stagectl(environment, "preview", stage, *argv) for stage in STAGES)
    assert len(comment) < COMMENT_CHARACTERS
    assert "more changes" not in comment, "every change of every stage has its line"
