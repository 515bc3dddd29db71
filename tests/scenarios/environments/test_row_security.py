"""Row security on the source: a copy of the rows that the feed's role may see looks equal to it."""

from __future__ import annotations

import pytest

from db_migration import catalog_grants
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario

GUARDED = """
CREATE TABLE guarded (id int PRIMARY KEY, tenant text);
INSERT INTO guarded SELECT n, CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 9) n;
CREATE POLICY own ON guarded USING (tenant = 'a')
"""
ON = "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY"
WAYS_OUT = {
    "logical": "ALTER ROLE airbyte_migration BYPASSRLS",
    "snapshot": "ALTER TABLE guarded DISABLE ROW LEVEL SECURITY",
}


@pytest.mark.parametrize(("mode", "way_out"), WAYS_OUT.items(), ids=list(WAYS_OUT))
def test_no_copy_is_made_of_some_of_the_rows(scenario: Scenario, mode: str, way_out: str) -> None:
    scenario.settings["feeds.0.mode"] = mode
    scenario.source.sql(f"{GUARDED}; {ON}", database="airbyte")
    agent = scenario.agent()
    wait_for(lambda: agent.once() is None, timeouts.AGENT_STEP)
    assert scenario.state()["error"]["found"] == "row security on public.guarded"
    assert scenario.content(scenario.target, "airbyte_mirror") == {}
    scenario.source.sql(way_out, database="airbyte")
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.cli("verify").returncode == 0


def test_a_mirror_that_follows_stays_whole(scenario: Scenario) -> None:
    scenario.source.sql(GUARDED, database="airbyte")
    agent = scenario.converge()
    scenario.source.sql(ON, database="airbyte")
    wait_for(lambda: agent.once() is None, timeouts.AGENT_STEP)
    assert scenario.state()["error"]["found"] == "row security on public.guarded"
    scenario.source.sql("INSERT INTO guarded VALUES (10, 'b')", database="airbyte")
    scenario.assert_equal()
    found = scenario.cli("verify")
    assert found.returncode == 3
    assert "table public.guarded: its rows can not be read on both sides" in found.stdout
    scenario.source.sql(WAYS_OUT["snapshot"], database="airbyte")
    scenario.converge(agent)
    assert scenario.copies() == 1


SEES = {
    # what is done to the feed's role or to the table, and whether that hides nothing any more
    "nothing": ("SELECT", False),
    "bypasses": ("ALTER ROLE reads BYPASSRLS", True),
    "superuser": ("ALTER ROLE reads SUPERUSER", True),
    "owner": ("ALTER TABLE guarded OWNER TO reads", True),
    "of_the_owner": (
        "CREATE ROLE holds; ALTER TABLE guarded OWNER TO holds; GRANT holds TO reads",
        True,
    ),
    "forced": (
        "ALTER ROLE reads BYPASSRLS; ALTER TABLE guarded FORCE ROW LEVEL SECURITY",
        False,
    ),
}


@pytest.mark.parametrize(("change", "whole"), SEES.values(), ids=list(SEES))
def test_who_sees_all_rows(scenario: Scenario, change: str, *, whole: bool) -> None:
    scenario.source.sql(f"{GUARDED}; {ON}; CREATE ROLE reads; {change}", database="airbyte")
    with scenario.context().owner.connect() as connection:
        found = catalog_grants.partly_read(connection, "reads")
    assert found == ([] if whole else ["public.guarded"])
