"""Previews of a toy deployment by the real engine: the true diff, and nothing real touched."""

import json
import re
import subprocess

import pytest

from tests.integration.stagectl.toybox import PASSWORD, Toy
from tests.support.fix_engine import ROOT

RUNBOOK = ROOT / "docs/runbooks/pull-requests.md"


def everything(toy: Toy) -> dict[str, bytes]:
    """The backend's files, the project's and the deployed things."""
    found = [*toy.backend.rglob("*"), *toy.folder.glob("*"), toy.root / "prod"]
    return {str(p): p.read_bytes() for p in found if p.is_file()}


def runbook(toy: Toy) -> dict[str, str]:
    """Run the runbook's commands; give what each printed."""
    said = {}
    for command in re.findall(r"^stagectl (.*)$", RUNBOOK.read_text(), re.MULTILINE):
        done = subprocess.run(
            ["stagectl", *command.split()],
            cwd=toy.folder,
            env=toy.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        said[command] = done.stdout
    return said


def test_preview_shows_the_true_diff_and_touches_nothing(toy: Toy) -> None:
    before = everything(toy)

    said = runbook(toy)
    assert "v1: 1 to update in place, " in said["preview v1"]
    assert said["preview v1 --markdown"].startswith("### v1: 1 to update in place, ")
    promoted = json.loads(said["preview v1 --json"])
    assert (promoted["ground"], promoted["holder"], promoted["exit_code"]) == ("promoted", "v0", 0)
    changes = {(c["op"], c["name"]): c["reasons"] for c in promoted["preview"]["changes"]}
    assert changes[("update", "prod-guard")] == ["environment"]
    assert ("create", "replica") in changes
    assert promoted["counts"]["unchanged"] >= 5

    held = toy.stagectl("preview", "v0")
    assert (held["ground"], held["preview"]["changes"]) == ("held", [])
    assert everything(toy) == before
    assert toy.changed_files() == ""
    assert toy.backups() == []

    toy.configure("v1", "config:\n", "config:\n  toy:replacing: true\n")
    replaced = toy.stagectl("preview", "v1", exit_code=8)
    assert ("replace", "prod-airbyte", ["triggers[0]"]) in [
        (c["op"], c["name"], c["reasons"]) for c in replaced["preview"]["changes"]
    ]
    assert replaced["counts"]["replace"] == replaced["preview"]["violations"] == 1

    toy.configure("v1", "toy:stage: v1", "toy:stge: v1")
    wrong = toy.stagectl("preview", "v1", exit_code=7)["error"]
    assert "toy:stage" in wrong["details"]


@pytest.mark.long
def test_preview_says_when_the_deployment_is_elsewhere(toy: Toy) -> None:
    toy.stagectl("promote", "v0", "v1", "--yes")
    passed = toy.stagectl("preview", "v0")
    assert (passed["ground"], passed["counts"]["unchanged"]) == ("passed", 0)
    assert toy.stagectl("preview", "v1")["ground"] == "held"

    empty = toy.root / "empty"
    empty.mkdir()
    nowhere = Toy(toy.folder, {**toy.environment, "PULUMI_BACKEND_URL": f"file://{empty}"})
    assert nowhere.stagectl("preview", "v1")["ground"] == "empty"

    wrong = Toy(toy.folder, {**toy.environment, "PULUMI_CONFIG_PASSPHRASE": "wrong"})
    assert "passphrase" in wrong.stagectl("preview", "v1", exit_code=3)["error"]["found"]

    toy.stagectl("undo", "--yes")
    toy.killed_at("move-state", "promote", "v0", "v1", "--yes")
    unfinished = toy.stagectl("preview", "v1", exit_code=3)["error"]
    assert "the promotion v0 -> v1 is unfinished" in unfinished["found"]
