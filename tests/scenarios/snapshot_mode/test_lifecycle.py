"""How a feed comes into snapshot mode, what it says there, and how it leaves it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from db_migration import effects
from db_migration.agent.plan import Step
from db_migration.effects import Effect
from tests.scenarios.snapshot_mode.conftest import Snapshots, fresh
from tests.support.fix_postgres import PgServer
from tests.unit.db_migration.snapshot_model import World
from tests.unit.db_migration.snapshot_model import effects as model_effects

R = TypeVar("R")
WORKING = {"name": "airbyte", "owner_role": "airbyte"}


def test_auto_picks_it_says_why_and_leaves_nothing_behind(
    pg13: PgServer, pg17: PgServer, tmp_path: Path
) -> None:
    snapshots = fresh(pg13, pg17, tmp_path)
    scenario = snapshots.scenario
    scenario.settings |= {
        "feeds.0.snapshot_interval_seconds": 300, "feeds.0.working_database": WORKING,
    }  # fmt: skip
    agent = scenario.converge()
    waited = scenario.cli("status", "--json", "--wait", "following,verified,working")
    (feed,) = json.loads(waited.stdout)["feeds"]
    assert feed["mode"] == "snapshot"
    assert "may not be restarted" in feed["mode_why"]
    taken = feed["snapshot"]
    assert 299 < taken["age_seconds"] + taken["next_in_seconds"] < 310
    assert taken["runs"][0]["held_seconds"] == taken["longest_held_seconds"] > 0
    assert feed["verified"]["equal"]
    assert "next copy at" in feed["next"]
    assert feed["working_database"]["source_lsn"] == taken["source_lsn"]
    active = "SELECT count(*) FROM public.connection WHERE status = 'active'"
    assert scenario.target.sql(active, database="airbyte") == [(0,)]
    assert agent.attempt() is Step.WAIT
    dry = json.loads(scenario.cli("release", "--dry-run", "--json").stdout)
    (trace,) = dry["feeds"][0]["traces"]
    assert trace["what"] == "role `airbyte_migration` with SELECT on every table"
    assert scenario.cli("release").returncode == 0
    role = "SELECT FROM pg_roles WHERE rolname = 'airbyte_migration'"
    assert snapshots.prod(role) == []
    assert agent.attempt() is Step.WAIT
    assert snapshots.prod(role) == []
    snapshots.assert_equal()


def test_prod_that_may_be_restarted_after_all_is_followed(
    pg13: PgServer, pg17: PgServer, tmp_path: Path
) -> None:
    snapshots = fresh(pg13, pg17, tmp_path)
    scenario = snapshots.scenario
    snapshots.copy()
    snapshots.prod("INSERT INTO jobs (scope, status) VALUES ('x', 'pending')")
    snapshots.copy()
    assert snapshots.databases("_old")
    scenario.settings["feeds.0.allow_source_restart"] = True
    scenario.converge()
    assert scenario.state()["mode"] == "logical"
    scenario.assert_equal()
    assert snapshots.databases("_old") == snapshots.databases("_seed") == []
    scenario.settings["feeds.0.mode"] = "snapshot"
    snapshots.agent = scenario.agent()
    snapshots.copy()
    assert snapshots.prod("SELECT FROM pg_replication_slots") == []
    snapshots.assert_equal()


def test_steps_have_the_effects_of_the_model(
    pg13: PgServer, pg17: PgServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = fresh(pg13, pg17, tmp_path)
    met: list[Effect] = []

    def perform(name: Effect, function: Callable[[], R]) -> R:
        if not name.startswith("journal.") and name not in met:
            met.append(name)
        return function()

    monkeypatch.setattr(effects, "perform", perform)
    world = World()
    seen: set[Effect] = set()
    taken = 0
    while taken < 4 or snapshots.databases("_seed"):
        write = "INSERT INTO jobs (scope, status) VALUES ('x', 'pending')"
        step = snapshots.agent.attempt()
        if step is Step.WAIT:
            continue
        whole = model_effects(step, world)
        assert met == list(dict.fromkeys(name for name, _ in whole)), step
        for _, apply in whole:
            apply(world)
        seen |= set(met)
        met.clear()
        taken += step is Step.SNAPSHOT
        if step is Step.SWAP_SNAPSHOT and taken < 3:
            snapshots.prod(write)
            world.rows["public.jobs"] += 1
    assert {Effect.CREATE_SEED, Effect.ADOPT_SHADOW, Effect.SWAP_MIRROR} <= seen


def test_owner_that_is_no_superuser(pg13: PgServer, pg17: PgServer, tmp_path: Path) -> None:
    """He may not read `pg_file_settings`, in which another server's `wal_level` is looked up."""
    snapshots = fresh(pg13, pg17, tmp_path)
    scenario = snapshots.scenario
    scenario.owned_by("snapshot_owner", "CREATEROLE")
    agent = scenario.agent()
    assert Snapshots(scenario, agent).copy()["tables"] > 0
    snapshots.assert_equal()


def test_an_exact_verification_does_not_pass_off_a_snapshot_as_the_source(
    snapshots: Snapshots,
) -> None:
    snapshots.copy()
    snapshots.prod("INSERT INTO jobs (scope, status) VALUES ('last', 'pending')")
    assert snapshots.scenario.cli("verify").returncode == 0
    refused = snapshots.scenario.cli("verify", "--exact", "--json")
    assert refused.returncode == 3
    error = json.loads(refused.stdout)["error"]
    assert "snapshot mode" in error["found"]
    assert "`snapshot.taken_at`" in error["way_out"]
