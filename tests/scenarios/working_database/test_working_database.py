"""The clone that the standby Airbyte runs on: harmless, its own, and never pulled from under it."""

from __future__ import annotations

import json
import time

import psycopg
import pytest

from tests.support.scenario import PASSWORDS, Scenario

OID = "SELECT oid FROM pg_database WHERE datname = 'airbyte'"
STATUSES = "SELECT status::text, count(*) FROM connection GROUP BY 1 ORDER BY 1"


def as_airbyte(scenario: Scenario, database: str = "airbyte") -> psycopg.Connection[tuple[object]]:
    server = scenario.target
    return psycopg.connect(
        host=server.host,
        port=server.port,
        dbname=database,
        user="airbyte",
        password=PASSWORDS["airbyte"],
        autocommit=True,
    )


OLD, FROM_THE_FUTURE = "2020-01-01 00:00:00+00", "2100-01-01 00:00:00+00"


def test_grows_older_while_a_long_step_tells_how_it_goes(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = scenario.converge()
    before = scenario.state()["working_database"]["age_seconds"]
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + 3600)
    agent.context.tell("progress", {"text": "half of it"})
    assert scenario.state()["working_database"]["age_seconds"] > before + 3600


def make_due(scenario: Scenario, made_at: str = OLD) -> None:
    """Make the working database older than a day, or made by a clock that was set back since."""
    comment = scenario.target.sql(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'airbyte'"
    )[0][0]
    mark = json.loads(comment)
    mark["airbyte_migration"]["made_at"] = made_at
    scenario.target.sql(f"COMMENT ON DATABASE airbyte IS '{json.dumps(mark)}'")


def test_is_a_harmless_clone_that_airbyte_owns(scenario: Scenario) -> None:
    scenario.converge()
    assert scenario.target.sql(STATUSES, database="airbyte") == [("inactive", 9)]
    assert scenario.target.sql(STATUSES, database="airbyte_mirror") == [
        ("active", 6),
        ("inactive", 3),
    ]
    with as_airbyte(scenario) as airbyte:
        airbyte.execute("INSERT INTO jobs (scope, status) VALUES ('by the standby', 'pending')")
        airbyte.execute("ALTER TABLE jobs ADD COLUMN made_by_a_migration int")
        airbyte.execute("CREATE TABLE made_by_a_migration (id int)")
        airbyte.execute("ALTER TYPE job_status ADD VALUE 'new'")
        airbyte.execute("CREATE SCHEMA made_by_a_migration")
    scenario.source.sql("UPDATE jobs SET scope = 'moved on'", database="airbyte")
    scenario.assert_equal()
    state = scenario.state()["working_database"]
    assert state["name"] == "airbyte"
    assert state["source_lsn"]
    assert scenario.cli("verify").returncode == 0


def test_mirror_is_closed_to_airbyte(scenario: Scenario) -> None:
    scenario.converge()
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        as_airbyte(scenario, "airbyte_mirror")


@pytest.mark.parametrize("made_at", [OLD, FROM_THE_FUTURE])
def test_is_renewed_when_it_is_old(scenario: Scenario, made_at: str) -> None:
    agent = scenario.converge()
    first = scenario.target.sql(OID)
    scenario.converge(agent)
    assert scenario.target.sql(OID) == first
    scenario.source.sql(
        "INSERT INTO workspace VALUES (gen_random_uuid(), 'new')", database="airbyte"
    )
    scenario.assert_equal()
    make_due(scenario, made_at)
    scenario.converge(agent)
    assert scenario.target.sql(OID) != first
    query = "SELECT count(*) FROM workspace WHERE name = 'new'"
    assert scenario.target.sql(query, database="airbyte") == [(1,)]


def test_is_not_renewed_under_a_connected_airbyte(scenario: Scenario) -> None:
    agent = scenario.converge()
    first = scenario.target.sql(OID)
    make_due(scenario)
    with as_airbyte(scenario) as airbyte:
        scenario.converge(agent)
        assert scenario.target.sql(OID) == first
        assert airbyte.execute("SELECT 1").fetchone() == (1,)
        state = scenario.state()
        assert state["state"] == "following"
        assert "1 session(s) use it" in state["next"]
    scenario.converge(agent)
    assert scenario.target.sql(OID) != first


def test_somebody_elses_database_is_left_alone(scenario: Scenario) -> None:
    scenario.target.sql("CREATE TABLE precious (id int)", database="airbyte")
    first = scenario.target.sql(OID)
    scenario.converge()
    assert scenario.target.sql(OID) == first
    assert "no mark of ours" in scenario.state()["next"]
    assert scenario.state()["working_database"] is None


def test_mirror_with_foreign_tables_is_left_alone(scenario: Scenario) -> None:
    scenario.target.sql("CREATE TABLE precious (id int)", database="airbyte_mirror")
    agent = scenario.agent()
    assert agent.once() is None
    assert scenario.target.sql("SELECT FROM precious", database="airbyte_mirror") == []
    assert "no mark of ours" in scenario.state()["error"]["found"]
    assert scenario.source.sql("SELECT FROM pg_replication_slots") == []
