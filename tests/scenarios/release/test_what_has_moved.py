"""What others did after `prepare`: a renamed table is found, and what is not undone is said."""

from __future__ import annotations

import json

import pytest

from tests.scenarios.release.test_release import STATE, footprint
from tests.scenarios.release.test_role_of_theirs import ROLE, do, listed
from tests.support.scenario import Scenario

OTHER = "actor_definition_workspace_grant"
OLD_NOTE = {
    "airbyte_migration": {
        "made_at": "2026-01-01T00:00:00+00:00",
        "existed": False,
        "identity_was": {
            "public.stream_reset": ["public", "stream_reset", "d"],
            f"public.{OTHER}": ["public", OTHER, "d"],
        },
    }
}


def identities(scenario: Scenario) -> dict[str, str]:
    return dict(scenario.source.sql(STATE["identities"], database="airbyte"))


def test_a_renamed_table_gets_its_identity_back(scenario: Scenario) -> None:
    do(scenario, "prepare")
    scenario.source.sql(
        f"""
        ALTER TABLE stream_reset RENAME TO stream_resets;
        CREATE TABLE stream_reset (id int);
        ALTER TABLE stream_reset REPLICA IDENTITY FULL;
        DROP TABLE {OTHER};
        """,
        database="airbyte",
    )
    said = listed(scenario)
    name = "`public.stream_resets` (`public.stream_reset` when it was noted)"
    assert f"REPLICA IDENTITY FULL on {name}: set it back to DEFAULT" in said
    assert f"REPLICA IDENTITY FULL on `public.{OTHER}`: not put back: the table is gone" in said
    do(scenario, "release")
    found = identities(scenario)
    assert (found["stream_resets"], found["stream_reset"]) == ("d", "f")


def test_a_note_of_an_older_version_counts(scenario: Scenario) -> None:
    do(scenario, "prepare")
    note = json.dumps(OLD_NOTE)
    scenario.source.sql(
        f"COMMENT ON ROLE {ROLE} IS '{note}'; ALTER TABLE stream_reset RENAME TO stream_resets",
        database="airbyte",
    )
    released = scenario.cli("release")
    assert released.returncode == 0, released.stderr
    assert "on `public.stream_reset`: not put back: no table is called so" in released.stdout
    found = identities(scenario)
    assert (found["stream_resets"], found[OTHER]) == ("f", "d")


@pytest.fixture
def elsewhere(scenario: Scenario) -> Scenario:
    """A prepared source in whose other database somebody used the feed's role."""
    do(scenario, "prepare")
    scenario.source.sql("CREATE DATABASE other")
    grant = f"CREATE TABLE t (id int); GRANT SELECT ON t TO {ROLE}"
    scenario.source.sql(grant, database="other")
    return scenario


def test_who_else_needs_the_role_is_said(elsewhere: Scenario) -> None:
    scenario = elsewhere
    scenario.source.sql(
        f"CREATE TABLE kept (id int); ALTER TABLE kept OWNER TO {ROLE}", database="airbyte"
    )
    refused = scenario.cli("release")
    assert refused.returncode == 3
    assert "owns table public.kept" in refused.stderr
    assert scenario.source.sql("SELECT * FROM kept", database="airbyte") == []
    scenario.source.sql("ALTER TABLE kept OWNER TO CURRENT_USER", database="airbyte")

    refused = scenario.cli("release")
    assert refused.returncode == 3
    assert "in database other" in refused.stderr
    assert f"DROP OWNED BY {ROLE}" in refused.stderr
    scenario.source.sql(f"DROP OWNED BY {ROLE}", database="other")
    do(scenario, "release")
    assert footprint(scenario)["roles"] == [("docker",)]
