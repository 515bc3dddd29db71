"""`release` never leaves a server that does not start, and takes nothing that others still use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from db_migration.errors import ExitCode
from tests.scenarios.release.test_release import footprint
from tests.support.fix_postgres import PgServer, drop_everything
from tests.support.scenario import ROOT, Scenario

SLOTS = "SELECT slot_name::text FROM pg_replication_slots ORDER BY 1"
INTERMEDIARY = "airbyte_migration_intermediary"


@pytest.fixture
def replica(scenario: Scenario) -> Scenario:
    """A prod whose `wal_level` has to be set."""
    scenario.set_wal_level("replica")
    return scenario


def starts_again(scenario: Scenario) -> None:
    """Restart prod's server as a reboot of its host does."""
    scenario.source.restart()
    assert scenario.source.sql("SELECT 1") == [(1,)]


def test_prod_starts_after_release_and_prepare(replica: Scenario) -> None:
    agent = replica.converge()
    assert replica.cli("release").returncode == 0
    assert replica.cli("prepare").returncode == 0
    replica.converge(agent)
    starts_again(replica)
    replica.converge(agent)
    replica.assert_equal()
    assert replica.cli("release").returncode == 0
    starts_again(replica)
    assert replica.source.sql("SHOW wal_level") == [("replica",)]


def test_prod_starts_with_a_slot_of_somebody_else(replica: Scenario) -> None:
    replica.converge()
    replica.source.sql(
        "SELECT pg_create_logical_replication_slot('analytics', 'pgoutput')", database="airbyte"
    )
    planned = replica.cli("release", "--dry-run").stdout
    assert "leave it: without it the server does not start while slot `analytics` is" in planned
    assert replica.cli("release").returncode == 0
    assert replica.source.sql(SLOTS) == [("analytics",)]
    starts_again(replica)
    replica.source.sql("SELECT pg_drop_replication_slot('analytics')", database="airbyte")


def test_what_alter_system_said_before_is_said_again(scenario: Scenario) -> None:
    source = scenario.source
    with written(source, "wal_level = minimal\nmax_wal_senders = 0\n"):
        source.sql("ALTER SYSTEM SET wal_level = 'replica'")
        source.sql("ALTER SYSTEM SET max_wal_senders = 10")
        source.sql("ALTER SYSTEM SET max_slot_wal_keep_size = -1")
        source.restart()
        before = footprint(scenario)["settings"]
        scenario.converge()
        assert footprint(scenario)["settings"] != before
        planned = scenario.cli("release", "--dry-run").stdout
        assert "set `replica` by ALTER SYSTEM again; `replica` counts again" in planned
        assert "set `-1` by ALTER SYSTEM again, at once" in planned
        assert scenario.cli("release").returncode == 0
        assert footprint(scenario)["settings"] == before
        starts_again(scenario)


@contextmanager
def written(server: PgServer, lines: str) -> Iterator[None]:
    """Have these lines in `postgresql.conf`, and nothing by ALTER SYSTEM."""
    conf = server.data / "postgresql.conf"
    was = conf.read_text()
    server.sql("ALTER SYSTEM RESET ALL")
    conf.write_text(was + lines)
    try:
        yield
    finally:
        conf.write_text(was)
        (server.data / "postgresql.auto.conf").write_text("")
        server.restart()


@pytest.fixture
def other(replica: Scenario, pg17_too: PgServer, tmp_path: Path) -> Iterator[Scenario]:
    """A second feed from the same prod, with an agent and a target of its own."""
    drop_everything(pg17_too)
    (tmp_path / "other").mkdir()
    changed = {"feeds.0.target.name": "intermediary", "feeds.0.working_database": None}
    made = Scenario(replica.source, pg17_too, tmp_path / "other", settings=changed)
    made.set_up_target()
    made.write_config()
    yield made
    with suppress(psycopg.Error):
        made.cli("release")
    drop_everything(pg17_too)


def test_another_feed_of_ours_goes_on(replica: Scenario, other: Scenario) -> None:
    before = footprint(replica)
    replica.converge()
    agent = other.converge()
    planned = replica.cli("release", "--dry-run").stdout
    assert f"leave them for `{INTERMEDIARY}`: the last feed's release takes them" in planned
    assert replica.cli("release").returncode == 0
    assert replica.source.sql(SLOTS) == [(INTERMEDIARY,)]
    assert replica.source.sql("SHOW max_slot_wal_keep_size") != [("-1",)]
    starts_again(replica)
    other.converge(agent)
    other.assert_equal()
    assert other.cli("release").returncode == 0
    assert footprint(replica) == before


def test_target_that_was_away_does_not_change_prod_again(replica: Scenario) -> None:
    agent = replica.converge()
    before = footprint(replica)
    replica.target.kill()
    done = replica.cli("release")
    assert done.returncode == 0, done.stderr
    assert "release again when it is back" in done.stdout
    released = footprint(replica)
    assert released != before
    replica.target.start()
    assert agent.once() is None
    assert "gone from the source" in replica.state()["error"]["found"]
    assert footprint(replica) == released
    assert replica.cli("release").returncode == 0
    assert agent.once() == "wait"
    assert replica.state()["state"] == "released"
    assert replica.cli("prepare").returncode == 0
    replica.converge(agent)
    replica.assert_equal()


def test_what_has_lost_its_note_is_said_and_left(replica: Scenario) -> None:
    replica.converge()
    replica.source.sql("COMMENT ON ROLE airbyte_migration IS 'ticket 17'")
    planned = replica.cli("release", "--dry-run").stdout
    assert "role `airbyte_migration`, whose note of what was there before is gone" in planned
    done = replica.cli("release")
    assert done.returncode == ExitCode.CHECK_FAILED
    for part in ("REPLICA IDENTITY FULL on public.stream_reset", "`wal_level = logical` by ALTER"):
        assert part in done.stderr
    assert footprint(replica)["slots"] == []
    assert footprint(replica)["publications"] == []


def test_dead_source_does_not_keep_the_others(scenario: Scenario) -> None:
    scenario.converge()
    config = json.loads(scenario.write_config().read_text())
    dead = json.loads(json.dumps(config["feeds"][0]))
    dead["name"] = "dead"
    dead["source"] |= {"name": "deadprod", "port": 1}
    dead["target"] |= {"name": "other", "database": "other_mirror"}
    dead["working_database"] = None
    config["feeds"].insert(0, dead)
    path = scenario.folder / "two.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "db_migration", "--config", str(path), "release", "--json"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert "deadprod" in done.stderr
    first, second = json.loads(done.stdout)["feeds"]
    assert "does not let us in" in first["error"]["found"]
    assert "replication slot" in second["traces"][0]["what"]
    assert scenario.source.sql(SLOTS) == []
