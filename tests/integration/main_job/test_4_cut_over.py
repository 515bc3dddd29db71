"""The cut-over as its page says: hold, look, go; judged from outside, while the load runs."""

from __future__ import annotations

import json

from lab.demo.places import ABCTL, COMPOSE
from tests.integration.main_job.deployment import ROOT
from tests.integration.main_job.scene import DATABASE_MOVES, Scene


def test_hold_leaves_prod_where_it_is(held: Scene) -> None:
    active = held.follower.active
    assert active is None or (active.epoch, active.airbyte) == (0, COMPOSE)
    before = held.generator.acknowledged()
    held.until_acknowledged(before + 1)


def test_the_page_changes_the_stack_file_of_the_copy_only(held: Scene) -> None:
    name, key = "Pulumi.v2.yaml", "airbyte-migration:cutover: "
    assert f"{key}hold\n" in (held.deployment.folder / name).read_text()
    assert f"{key}go\n" in (ROOT / name).read_text()


def test_a_look_says_that_it_could_go(held: Scene) -> None:
    _, looked = held.follow("cut-over", "Look")
    assert "ready: every gate is open" in looked


def test_composes_api_would_cancel_what_does_not_drain(held: Scene) -> None:
    """One more gate: the script's own login lets it in."""
    look = ("cutover", "--dry-run", "--drain", "cancel", "--json")
    gates = json.loads(held.script("core-worker-01", *look).stdout)["gates"]
    assert {gate["name"]: gate["ok"] for gate in gates}["airbyte-prod lets jobs be cancelled"]


def test_go_moves_prod_within_its_time_and_loses_nothing(scene: Scene) -> None:
    scene.has_moved(ABCTL, "intermediary")
    said = json.loads(scene.script("core-worker-01", "cutover", "--json").stdout)
    assert said["database_seconds"] < DATABASE_MOVES, said["phases"]
    assert said["connections"]["scheduled"] == said["connections"]["active"] > 0
    assert scene.newly_missing("intermediary") == []


def test_a_connector_of_the_old_side_is_ended_with_it(scene: Scene) -> None:
    assert scene.deployment.lab.inspect("prod", scene.connector) is None
