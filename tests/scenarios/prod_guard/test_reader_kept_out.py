"""A role of the feed's that can not enter: let in where that is ours to do, else said once."""

from __future__ import annotations

import re

import pytest

from tests.support.scenario import PASSWORDS, Scenario

ROLE = "airbyte_migration"
MAY_CONNECT = (
    "SELECT a.grantee::regrole::text FROM pg_database d, aclexplode(d.datacl) a "
    "WHERE datname = 'airbyte' AND privilege_type = 'CONNECT' ORDER BY 1"
)


def test_it_is_let_into_a_database_that_is_closed_to_the_public(scenario: Scenario) -> None:
    scenario.source.sql("REVOKE CONNECT ON DATABASE airbyte FROM PUBLIC")
    scenario.source.sql(f"CREATE ROLE {ROLE} NOLOGIN")
    before = scenario.source.sql(MAY_CONNECT)
    prepared = scenario.cli("prepare")
    assert prepared.returncode == 0, prepared.stderr
    assert scenario.source.sql(MAY_CONNECT) == [(ROLE,), *before]
    assert scenario.cli("release").returncode == 0
    assert scenario.source.sql(MAY_CONNECT) == before


def test_who_keeps_it_out_is_said_and_prod_is_not_changed_again(scenario: Scenario) -> None:
    scenario.source.sql(f"CREATE ROLE {ROLE} CONNECTION LIMIT 0")
    refused = scenario.cli("prepare")
    assert refused.returncode == 3
    assert "too many connections" in refused.stderr
    assert "CONNECTION LIMIT" in refused.stderr

    version = f"SELECT xmin::text FROM pg_authid WHERE rolname = '{ROLE}'"
    changed = scenario.source.sql(version)
    agent = scenario.agent()
    assert agent.once() is None
    assert "too many connections" in scenario.state()["error"]["found"]
    assert scenario.source.sql(version) == changed

    scenario.source.sql(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")
    assert scenario.cli("prepare").returncode == 0


def alter(scenario: Scenario, options: str) -> None:
    """Change the role, and have the subscription's worker enter anew."""
    scenario.source.sql(f"ALTER ROLE {ROLE} {options}")
    scenario.source.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")


def do_what_it_says(scenario: Scenario) -> None:
    """Type the role's statement that the way out names."""
    typed = re.search(rf'ALTER ROLE "{ROLE}" [^,]+', scenario.state()["error"]["way_out"])
    assert typed
    scenario.source.sql(typed[0].replace("...", PASSWORDS["migration"]))


def test_password_that_expires_later_is_said_and_prod_is_not_changed(scenario: Scenario) -> None:
    agent = scenario.converge()
    alter(scenario, "VALID UNTIL '2020-01-01'")
    version = f"SELECT xmin::text FROM pg_authid WHERE rolname = '{ROLE}'"
    changed = scenario.source.sql(version)
    for _ in range(2):
        assert agent.once() is None
        found = scenario.state()["error"]["found"]
        assert f"role `{ROLE}` on the source: its password expired at 2020-01-01" in found
    assert scenario.source.sql(version) == changed
    do_what_it_says(scenario)
    scenario.converge(agent)
    scenario.assert_equal()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("NOLOGIN", "it may not log in"),
        ("VALID UNTIL '2020-01-01'", "its password expired at 2020-01-01 00:00:00+00"),
        ("PASSWORD 'of somebody'", "its password is refused"),
    ],
)
def test_what_keeps_it_out_later_is_said_where_the_owner_may_not_mend_it(
    scenario: Scenario, options: str, words: str
) -> None:
    scenario.converge()
    scenario.owned_by("app")
    agent = scenario.converge(scenario.agent())
    alter(scenario, options)
    assert agent.once() is None
    found = scenario.state()["error"]["found"]
    assert f"role `{ROLE}` on the source" in found
    assert words in found
    do_what_it_says(scenario)
    scenario.converge(agent)
    scenario.assert_equal()


@pytest.mark.parametrize("owner", ["app", "prod-app"])
def test_an_owner_who_may_not_make_it_is_told_which_right_he_needs(
    scenario: Scenario, owner: str
) -> None:
    scenario.owned_by(owner, "CREATEROLE")
    refused = scenario.cli("prepare")
    assert refused.returncode == 3
    way_out = re.search(r"ALTER ROLE \S+ \w+", refused.stderr)
    assert way_out
    scenario.source.sql(way_out[0])
    assert scenario.cli("prepare").returncode == 0
