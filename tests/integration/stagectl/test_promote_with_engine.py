"""Promotions of a toy deployment by the real engine."""

import json
import os
import socket
from pathlib import Path

import pytest

from stages.stagectl.plan import Step, UndoStep
from stages.stagectl.state import Json, blocked_providers, key_of
from tests.integration.stagectl.toybox import PASSWORD, Toy

UNCHANGED = ("--expect-no-changes",)
DEAD_PID = 2**22 - 1


def links(toy: Toy, stack: str) -> list[Json]:
    found = []
    for resource in toy.state(stack).resources[1:]:
        found.append(
            {
                "key": key_of(resource["urn"]),
                "id": resource.get("id"),
                "provider": key_of(resource.get("provider", "::")),
                "dependencies": [key_of(u) for u in resource.get("dependencies") or []],
                "protect": resource.get("protect"),
            }
        )
    return found


def changes(answer: Json) -> list[str]:
    return sorted(f"{c['op']} {c['name']}" for c in answer["preview"]["changes"])


def test_promote_then_up_only_adds(toy: Toy) -> None:
    before = links(toy, "v0")
    assert blocked_providers(toy.state("v0")), "the toy must have what `state move` refuses"

    rehearsed = toy.stagectl("promote", "v0", "v1", "--dry-run")
    assert rehearsed["result"] == "rehearsed"
    assert links(toy, "v0") == before
    assert "v1" not in toy.pulumi("stack", "ls")
    assert toy.backups() == []

    done = toy.stagectl("promote", "v0", "v1", "--yes")
    assert done["result"] == "promoted"
    assert {c["op"] for c in done["preview"]["changes"]} == {"create", "update"}
    assert changes(done) == changes(rehearsed)
    assert links(toy, "v1") == before
    assert toy.state("v0").resources == []
    assert toy.changed_files() == ""

    assert toy.backups()
    assert {p.stat().st_mode & 0o777 for p in toy.backups()} == {0o600}
    for path in [*toy.backups(), *toy.backend.rglob("*.json")]:
        assert PASSWORD not in path.read_text(), path

    assert toy.stagectl("promote", "v0", "v1", "--yes")["result"] == "already"
    made = (toy.root / "prod").stat().st_mtime_ns
    toy.up("v1")
    toy.up("v1", *UNCHANGED)
    assert (toy.root / "prod").stat().st_mtime_ns == made
    assert (toy.root / "replica").exists()

    refused = toy.stagectl("undo", "--yes", exit_code=3)
    assert "was changed after its promotion" in refused["error"]["found"]
    status = toy.stagectl("status")
    assert (status["holders"], status["promotion"]["state"]) == (["v1"], "finished")


@pytest.mark.long
def test_the_deployment_goes_on_to_v2_and_right_back(toy: Toy) -> None:
    preview = toy.stagectl("preview", "v2")
    assert (preview["ground"], preview["holder"], preview["exit_code"]) == ("promoted", "v0", 0)
    toy.stagectl("promote", "v0", "v1", "--yes")
    toy.up("v1")
    before, made = links(toy, "v1"), (toy.root / "prod").stat().st_mtime_ns

    done = toy.stagectl("promote", "v1", "v2", "--yes")
    assert {c["op"] for c in done["preview"]["changes"]} == {"create", "update"}
    assert "create intermediary" in changes(done)
    assert links(toy, "v2") == before
    assert toy.stagectl("undo", "--yes")["result"] == "undone"
    toy.up("v1", *UNCHANGED)

    toy.stagectl("promote", "v1", "v2", "--yes")
    toy.up("v2")
    toy.up("v2", *UNCHANGED)
    assert (toy.root / "prod").stat().st_mtime_ns == made
    status = toy.stagectl("status")
    assert (status["holders"], status["next"]) == (["v2"], "pulumi up --stack v2")
    refused = toy.stagectl("undo", "--yes", exit_code=3)["error"]
    assert "v2 was changed after its promotion" in refused["found"]
    again = toy.stagectl("promote", "v2", "v1", "--yes", exit_code=3)["error"]
    assert "promotion v2 -> v1" in again["found"]
    assert toy.changed_files() == ""


def test_promotion_killed_after_each_step_goes_on_and_can_be_undone(toy: Toy) -> None:
    before, source = links(toy, "v0"), toy.state("v0")
    taken = [s for s in Step if s not in (Step.CLEAR_DEST, Step.MOVE_MARKERS, Step.FINISH)]
    for step in taken:
        toy.killed_at(step, "promote", "v0", "v1", "--yes")
        held = toy.state("v0").keys | (
            toy.state("v1").keys if step is not Step.CREATE_DEST else set()
        )
        assert held == source.keys
        assert toy.changed_files() == ""
        if step is Step.MOVE:
            # What a kill between the engine's two writes leaves: both stacks hold everything.
            toy.write("v0", lambda document: document.update(source.document))
    assert toy.stagectl("status")["promotion"]["state"] == "open"
    assert toy.stagectl("promote", "v0", "v1", "--yes")["result"] == "promoted"
    assert links(toy, "v1") == before

    for undone in (UndoStep.RESTORE_SOURCE, UndoStep.EMPTY_DEST, UndoStep.REMOVE_DEST):
        toy.killed_at(undone, "undo", "--yes")
    assert toy.stagectl("undo", "--yes")["result"] == "undone"
    assert toy.state("v0").digest == source.digest
    assert "v1" not in toy.pulumi("stack", "ls")
    assert toy.changed_files() == ""
    toy.up("v0", *UNCHANGED)


@pytest.mark.long
def test_pulumi_that_outlives_a_killed_stagectl_is_waited_for(toy: Toy) -> None:
    before = links(toy, "v0")
    wrapper = toy.root / "deadly" / "pulumi"
    wrapper.parent.mkdir()
    real = next(
        Path(p) / "pulumi"
        for p in toy.environment["PATH"].split(os.pathsep)
        if (Path(p) / "pulumi").exists()
    )
    flag = toy.root / "killed"
    wrapper.write_text(
        "#!/bin/bash\n"
        f'if [[ "$1 $2" = "state move" && ! -e {flag} ]]; then\n'
        f"  touch {flag}; kill -9 $PPID; sleep 2\n"
        "fi\n"
        f'exec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}{os.pathsep}{toy.environment['PATH']}"
    deadly = Toy(toy.folder, {**toy.environment, "PATH": path})
    deadly.killed_at("no such step", "promote", "v0", "v1", "--yes")
    assert deadly.stagectl("promote", "v0", "v1", "--yes")["result"] == "promoted"
    assert links(toy, "v1") == before


@pytest.mark.long
def test_a_dead_lock_is_removed_and_a_live_one_respected(toy: Toy) -> None:
    lock = toy.backend / ".pulumi/locks/organization/toy/v0/00000000-test.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    content = {"pid": os.getpid(), "username": "somebody", "hostname": socket.gethostname()}
    content["timestamp"] = "2026-01-01T00:00:00Z"
    lock.write_text(json.dumps(content))
    busy = toy.stagectl("promote", "v0", "v1", "--yes", exit_code=5)
    assert f"locked by process {os.getpid()}" in busy["error"]["found"]
    lock.write_text(json.dumps({**content, "pid": DEAD_PID}))
    assert toy.stagectl("promote", "v0", "v1", "--yes")["result"] == "promoted"


@pytest.mark.long
def test_a_preview_that_would_replace_puts_everything_back(toy: Toy) -> None:
    source = toy.state("v0")
    toy.configure("v1", "config:\n", "config:\n  toy:replacing: true\n")

    rehearsed = toy.stagectl("promote", "v0", "v1", "--dry-run", exit_code=3)
    assert "would replace prod-airbyte" in rehearsed["error"]["found"]
    assert rehearsed["preview"]["violations"] > 0
    assert toy.state("v0") == source

    done = toy.stagectl("promote", "v0", "v1", "--yes", exit_code=4)
    assert "Everything was put back" in done["error"]["way_out"]
    assert toy.state("v0").digest == source.digest
    toy.up("v0", *UNCHANGED)

    toy.configure("v1", "toy:replacing: true", "toy:replacing: false")
    assert toy.stagectl("promote", "v0", "v1", "--yes")["result"] == "promoted"


def test_refusals_change_nothing(toy: Toy) -> None:
    source = toy.state("v0")

    def refused(*argv: str, exit_code: int = 3, says: str) -> None:
        error = toy.stagectl(*argv, exit_code=exit_code)["error"]
        assert says in error["found"]
        assert error["needed"]
        assert error["way_out"]
        assert toy.state("v0") == source

    refused("promote", "v0", "v2", "--yes", says="promotion v0 -> v2")
    refused("promote", "v1", "v0", "--yes", says="promotion v1 -> v0")
    refused("promote", "v1", "v2", "--yes", says="v0 holds the deployment")
    refused("promote", "v0", "v1", exit_code=2, says="nobody to ask")
    refused("undo", "--yes", says="no promotion to take back")

    wrong = Toy(toy.folder, {**toy.environment, "PULUMI_CONFIG_PASSPHRASE": "wrong"})
    error = wrong.stagectl("promote", "v0", "v1", "--yes", exit_code=3)["error"]
    assert "passphrase" in error["found"]
    assert toy.changed_files() == ""
    assert toy.state("v0") == source

    toy.pulumi("stack", "init", "v1", "--no-select")
    toy.up("v1")
    refused("promote", "v0", "v1", "--yes", says="v1 holds 8 resources")
    assert (
        "finish it there"
        in toy.stagectl("promote", "v0", "v1", "--yes", exit_code=3)["error"]["way_out"]
    )

    pending = {"resource": {**source.held[0], "urn": source.held[0]["urn"]}, "type": "creating"}
    checkpoint = toy.backend / ".pulumi/stacks/toy/v0.json"
    document = json.loads(checkpoint.read_text())
    document["checkpoint"]["latest"]["pending_operations"] = [pending]
    checkpoint.write_text(json.dumps(document))
    error = toy.stagectl("promote", "v0", "v1", "--yes", exit_code=3)["error"]
    assert "left open: creating prod" in error["found"]
