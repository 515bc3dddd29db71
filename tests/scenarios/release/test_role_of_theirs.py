"""A role of the feed's name that was there before keeps what was its own, and nothing of ours."""

from __future__ import annotations

import json

from tests.scenarios.release.test_release import footprint
from tests.support.scenario import PASSWORDS, Scenario

ROLE = "airbyte_migration"
READY = f"""
CREATE ROLE {ROLE} LOGIN REPLICATION PASSWORD '{PASSWORDS["migration"]}';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE};
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {ROLE};
"""


def listed(scenario: Scenario) -> str:
    planned = scenario.cli("release", "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    traces = json.loads(planned.stdout)["feeds"][0]["traces"]
    return "\n".join(f"{trace['what']}: {trace['undo']}" for trace in traces)


def do(scenario: Scenario, verb: str) -> None:
    done = scenario.cli(verb)
    assert done.returncode == 0, done.stderr


def options(scenario: Scenario) -> list[tuple[object, ...]]:
    query = (
        "SELECT rolcanlogin, rolreplication, shobj_description(oid, 'pg_authid') "
        f"FROM pg_roles WHERE rolname = '{ROLE}'"
    )
    return scenario.source.sql(query)


def test_it_keeps_what_it_owns_and_what_it_might(scenario: Scenario) -> None:
    scenario.source.sql(
        f"""
        CREATE ROLE {ROLE} NOLOGIN;
        COMMENT ON ROLE {ROLE} IS 'makes reports';
        CREATE SCHEMA reports AUTHORIZATION {ROLE};
        CREATE TABLE reports.kept AS SELECT 1;
        ALTER TABLE reports.kept OWNER TO {ROLE};
        GRANT SELECT, INSERT ON jobs TO {ROLE};
        """,
        database="airbyte",
    )
    before, was = footprint(scenario), options(scenario)
    do(scenario, "prepare")
    assert options(scenario) != was
    scenario.source.sql("CREATE TABLE later (id int PRIMARY KEY)", database="airbyte")
    said = listed(scenario)
    for part in (
        f"LOGIN of role `{ROLE}`: set NOLOGIN again",
        f"REPLICATION of role `{ROLE}`: set NOREPLICATION again",
        f"our password of role `{ROLE}`: leave it",
        "more objects than before: revoke that",
        "keep the role: it was there before",
    ):
        assert part in said

    do(scenario, "release")
    query = f"SELECT has_table_privilege('{ROLE}', 'later', 'SELECT')"
    assert scenario.source.sql(query, database="airbyte") == [(False,)]
    scenario.source.sql("DROP TABLE later", database="airbyte")
    assert footprint(scenario) == before
    assert options(scenario) == was
    assert scenario.source.sql("SELECT * FROM reports.kept", database="airbyte") == [(1,)]
    assert listed(scenario) == ""


def test_what_is_changed_beside_a_ready_role_is_undone(scenario: Scenario) -> None:
    scenario.source.sql(READY, database="airbyte")
    before, was = footprint(scenario), options(scenario)
    do(scenario, "prepare")
    said = listed(scenario)
    assert "REPLICA IDENTITY FULL on `public.stream_reset`: set it back to DEFAULT" in said
    assert "`max_slot_wal_keep_size` by ALTER SYSTEM: reset it, at once" in said
    assert "keep the role: it was there before" in said
    assert footprint(scenario) != before

    do(scenario, "release")
    assert footprint(scenario) == before
    assert options(scenario) == was


def test_nothing_is_changed_that_its_owner_may_not_note(scenario: Scenario) -> None:
    """Neither may this owner read `pg_file_settings`."""
    scenario.source.sql(READY, database="airbyte")
    scenario.owned_by("app")
    before = footprint(scenario)
    refused = scenario.cli("prepare")
    assert refused.returncode == 3
    assert "can not be noted" in refused.stderr
    assert "ALTER ROLE app CREATEROLE" in refused.stderr
    assert footprint(scenario) == before

    scenario.source.sql("ALTER ROLE app CREATEROLE")
    do(scenario, "prepare")
    assert footprint(scenario) != before
    do(scenario, "release")
    assert footprint(scenario) == before
