"""The replica on a throw-away clone: what is found, and that nothing of it stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from db_migration.effects import Effect
from db_migration.errors import BlockedError
from db_migration.rehearsal import rehearse
from db_migration.rehearsal import steps as rehearse_steps
from db_migration.rehearsal.history import history
from db_migration.rehearsal.plan import Step
from db_migration.sides.epoch import Epoch
from tests.support.crash_world import CrashWorld
from tests.support.deployment import KEEPER, REPLICA
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.killed_failover import killer_of
from tests.support.timeouts import FOLLOW

MORE = Path(__file__).with_name("more_of_airbyte.sql").read_text()
DATABASES = "SELECT datname, oid::int FROM pg_database WHERE datname LIKE 'airbyte%'"
STATUSES = "SELECT DISTINCT status::text FROM connection"
ARRIVED = "SELECT count(*) FROM secrets"
KILLED_AT = (
    Effect.CLONE_WORKING,
    Effect.REHEARSAL_STOP,
    Effect.REHEARSAL_SWAP,
    Effect.REHEARSAL_INSTALL,
    Effect.REHEARSAL_REMOVE,
    Effect.REHEARSAL_RESUME,
)


def start(world: CrashWorld) -> CrashWorld:
    world.start_v1()
    world.prod.sql(MORE, database="airbyte")
    wait_for(lambda: secrets(world.keeper) == 4, FOLLOW)
    return world


def secrets(server: PgServer) -> int:
    there = "SELECT to_regclass('public.secrets') IS NOT NULL"
    if not server.sql(there, database="airbyte_mirror")[0][0]:
        return 0
    return int(server.sql(ARRIVED, database="airbyte_mirror")[0][0])


@pytest.fixture(scope="module")
def v1(
    pg13: PgServer, pg17: PgServer, pg17_too: PgServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CrashWorld]:
    """Prod on compose, a mirror, a standby; shared, since a rehearsal leaves no trace."""
    world = CrashWorld(pg13, pg17_too, pg17, tmp_path_factory.mktemp("rehearsal"))
    try:
        yield start(world)
    finally:
        world.end()


@pytest.fixture
def before(v1: CrashWorld) -> Iterator[dict[str, int]]:
    """Databases before the test; the same ones, and the standby, must be there afterwards."""
    (v1.folder / "verbs").unlink(missing_ok=True)
    known = dict(v1.keeper.sql(DATABASES))
    yield known
    wait_for(lambda: dict(v1.keeper.sql(DATABASES)) == known, FOLLOW)
    assert v1.keeper.sql(STATUSES, database="airbyte") == [("inactive",)]
    standby = v1.instances()[REPLICA]
    assert (standby["rendering"], standby["running"]) == (f"standby-{KEEPER}", True)
    v1.until_state("following", f"prod-to-{KEEPER}")
    assert v1.conninfo(REPLICA, "airbyte_replica") is not None


def test_everything_is_checked_and_nothing_stays(v1: CrashWorld, before: dict[str, int]) -> None:
    report = v1.rehearsal().run().as_dict()
    assert report["ok"], report
    assert {check["name"]: check["found"] for check in report["checks"]} == {
        "healthy": "yes",
        "version": "0.63.15 -> 0.63.15, API 0.63.15",
        "actors": "4",
        "secrets readable": "4 of 4",
        "connections": "9",
        "connections in the API": "9",
        "connections inactive": "yes",
        "data-plane group": "yes",
        "nothing syncs": "worker, launcher and cron are at 0",
    }
    assert set(report["seconds"]) == set(Step) - {Step.RESUME}
    phases = (Step.STOP, Step.SWAP, Step.INSTALL)
    assert report["rto_seconds"] == pytest.approx(
        sum(report["seconds"][p] for p in phases), abs=0.1
    )
    assert v1.verbs() == ["replica: stop abctl", "replica: start abctl"] * 2
    assert history(v1.config())[0] == report
    assert "planted" not in json.dumps(report)
    assert before


def test_lost_secret_is_found(v1: CrashWorld, before: dict[str, int]) -> None:
    v1.prod.sql("DELETE FROM secrets WHERE coordinate = 'secret_3_v1'", database="airbyte")
    wait_for(lambda: secrets(v1.keeper) == 3, FOLLOW)
    report = v1.rehearsal().run()
    assert [check.name for check in report.checks if not check.ok] == ["secrets readable"]
    assert not report.ok
    v1.prod.sql("INSERT INTO secrets VALUES ('secret_3_v1', 'again')", database="airbyte")
    wait_for(lambda: secrets(v1.keeper) == 4, FOLLOW)
    assert before


def test_failed_install_is_reported_and_taken_back(
    v1: CrashWorld, before: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(_: rehearse_steps.Stage) -> bool:
        raise BlockedError(found="helm gave up", needed="helm", way_out="read its log")

    monkeypatch.setattr(rehearse_steps, "install", give_up)
    report = v1.rehearsal().run()
    assert "helm gave up" in report.failed
    assert history(v1.config())[0]["ok"] is False
    assert before


def test_only_one_at_a_time(
    v1: CrashWorld, before: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    install, said = rehearse_steps.install, []

    def meanwhile(stage: rehearse_steps.Stage) -> bool:
        v1.rehearsal().clear()
        with pytest.raises(BlockedError, match="another rehearsal") as refused:
            v1.rehearsal().run()
        said.append(refused)
        return install(stage)

    monkeypatch.setattr(rehearse_steps, "install", meanwhile)
    assert v1.rehearsal().run().ok
    assert said
    assert before


def test_killed_anywhere_the_next_one_removes_what_is_left(
    v1: CrashWorld, before: dict[str, int]
) -> None:
    with killer_of(v1) as killer:
        for effect in KILLED_AT:
            for when in ("before", "after"):
                killer("rehearse", effect, when)
        killer("rehearse")
    assert history(v1.config())[0]["ok"]
    assert before


def test_killed_and_cleared_by_the_agent(v1: CrashWorld, before: dict[str, int]) -> None:
    with killer_of(v1) as killer:
        killer("rehearse", Effect.REHEARSAL_INSTALL, "after")
    v1.rehearsal().clear()
    assert before


def test_failover_has_precedence(v1: CrashWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It promotes the mirror and activates the replica in the middle: nobody stops that one.

    The last one: the shared world ends with it. A world of its own would be on the same servers,
    with the shared one's agents still at work.
    """
    v1.until_written()
    v1.writing.clear()
    v1.until_equal((v1.prod, "airbyte"), (v1.keeper, "airbyte_mirror"))
    install = rehearse_steps.install

    def meanwhile(stage: rehearse_steps.Stage) -> bool:
        found = install(stage)
        v1.kill("prod")
        v1.failover("prod")
        return found

    monkeypatch.setattr(rehearse_steps, "install", meanwhile)
    report = v1.rehearsal().run()
    assert "epoch 1 was recorded meanwhile" in report.failed
    names = {name for (name, _) in v1.keeper.sql(DATABASES)}
    assert "airbyte_before_rehearsal" not in names
    v1.assert_lives(v1.keeper, Epoch(1, KEEPER, REPLICA, "failover"))
    with pytest.raises(BlockedError, match="no Airbyte stands by"):
        rehearse.of(v1.config()).run()
