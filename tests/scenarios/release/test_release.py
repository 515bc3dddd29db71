"""`release` leaves the source's server as it was, and says beforehand what it will do."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.support.scenario import Scenario

STATE = {
    "roles": "SELECT rolname::text FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1",
    "identities": "SELECT relname::text, relreplident::text FROM pg_class WHERE relkind = 'r' "
    "AND relnamespace = 'public'::regnamespace ORDER BY 1",
    "grants": "SELECT relname::text, a.grantee::regrole::text, a.privilege_type FROM pg_class, "
    "aclexplode(relacl) a WHERE a.grantee <> relowner ORDER BY 1, 2, 3",
    "default grants": "SELECT defaclrole::regrole::text, defaclacl::text FROM pg_default_acl",
    "schema grants": "SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public'",
    "publications": "SELECT pubname::text FROM pg_publication",
    "slots": "SELECT slot_name::text FROM pg_replication_slots",
    "settings": "SELECT name, setting FROM pg_file_settings WHERE sourcefile ~ 'auto' ORDER BY 1",
}


def footprint(scenario: Scenario) -> dict[str, Any]:
    return {name: scenario.source.sql(query, database="airbyte") for name, query in STATE.items()}


def test_source_is_as_before(scenario: Scenario) -> None:
    scenario.set_wal_level("replica")
    scenario.source.sql("GRANT SELECT ON jobs TO PUBLIC", database="airbyte")
    scenario.source.sql("REVOKE SELECT ON jobs FROM PUBLIC", database="airbyte")
    scenario.source.sql("ALTER TABLE stream_reset REPLICA IDENTITY NOTHING", database="airbyte")
    scenario.source.sql("GRANT ALL ON SCHEMA public TO PUBLIC", database="airbyte")
    before = footprint(scenario)
    scenario.converge()

    planned = scenario.cli("release", "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    traces = json.loads(planned.stdout)["feeds"][0]["traces"]
    listed = "\n".join(f"{trace['what']}: {trace['undo']}" for trace in traces)
    keyless = "public.actor_definition_workspace_grant"
    for part in (
        "replication slot `airbyte_migration_core_worker_01`",
        "publication `airbyte_migration` of 6 tables",
        "REPLICA IDENTITY FULL on `public.stream_reset`: set it back to NOTHING",
        f"REPLICA IDENTITY FULL on `{keyless}`: set it back to DEFAULT",
        "`wal_level = logical` by ALTER SYSTEM: reset it; `replica` counts again",
        "`max_slot_wal_keep_size` by ALTER SYSTEM: reset it, at once",
        "role `airbyte_migration`",
    ):
        assert part in listed
    assert footprint(scenario) != before

    done = scenario.cli("release")
    assert done.returncode == 0, done.stderr
    assert "still there: `wal_level` is `logical` until the next restart" in done.stdout
    assert footprint(scenario) == before
    assert (
        json.loads(scenario.cli("release", "--dry-run", "--json").stdout)["feeds"][0]["traces"]
        == []
    )


def test_what_the_owner_had_set_is_not_called_left_over(scenario: Scenario) -> None:
    scenario.converge()
    done = scenario.cli("release")
    assert done.returncode == 0, done.stderr
    assert "still there" not in done.stdout
    assert scenario.source.sql("SHOW wal_level") == [("logical",)]


def test_agent_stays_away_until_prepare(scenario: Scenario) -> None:
    agent = scenario.converge()
    assert scenario.cli("release").returncode == 0
    assert agent.once() == "wait"
    assert scenario.state()["state"] == "released"
    assert footprint(scenario)["roles"] == [("docker",)]
    assert scenario.cli("prepare").returncode == 0
    scenario.converge(agent)
    scenario.assert_equal()


def test_audit_trail_says_who_released_what(scenario: Scenario) -> None:
    scenario.converge()
    done = scenario.cli("release", DB_MIGRATION_OPERATOR="bob")
    assert done.returncode == 0, done.stderr
    told = json.loads(scenario.cli("history", "--json").stdout)["feeds"][0]["events"]
    end, start = [event for event in told if event["step"] == "release"]
    assert (start["phase"], end["phase"]) == ("started", "done")
    assert start["who"].startswith("bob: release on ")
    assert "replication slot `airbyte_migration_core_worker_01`" in start["evidence"]


def test_works_with_the_target_gone(scenario: Scenario) -> None:
    scenario.converge()
    scenario.target.kill()
    found = scenario.cli("release")
    assert found.returncode == 0, found.stderr
    assert footprint(scenario)["slots"] == []
    assert footprint(scenario)["roles"] == [("docker",)]


def test_role_that_was_there_before_is_kept(scenario: Scenario) -> None:
    scenario.source.sql("CREATE ROLE airbyte_migration NOLOGIN")
    scenario.converge()
    assert scenario.cli("release").returncode == 0
    assert footprint(scenario)["roles"] == [("airbyte_migration",), ("docker",)]
    assert footprint(scenario)["default grants"] == []


def test_an_owner_without_superuser_takes_away_the_role_that_he_made(scenario: Scenario) -> None:
    """Neither is he a member of the role, whose session is open; snapshot mode needs no more."""
    scenario.owned_by("app", "CREATEROLE")
    scenario.settings["feeds.0.mode"] = "snapshot"
    before = footprint(scenario)
    assert scenario.cli("prepare").returncode == 0
    assert footprint(scenario) != before
    with scenario.context().reader.connect() as session:
        assert scenario.cli("release").returncode == 0
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert footprint(scenario) == before
