"""A publication of our name that leaves something out is never fed from: nobody would be told."""

from __future__ import annotations

import pytest

from db_migration.config import PUBLICATION
from db_migration.following import publication
from db_migration.preflight.checklist import Result
from tests.scenarios.preflight.test_preflight import checked
from tests.support.scenario import Scenario

MAKE = f"CREATE PUBLICATION {PUBLICATION}"
DROP = f"DROP PUBLICATION {PUBLICATION}"
LESS = {
    # how it is made, and what is said of it
    "inserts_only": ("FOR TABLE kept WITH (publish = 'insert')", "not publish update, delete, tr"),
    "no_truncate": ("FOR TABLE kept WITH (publish = 'insert, update, delete')", "publish truncate"),
    "via_root": ("FOR TABLE kept WITH (publish_via_partition_root)", "publish_via_partition_root"),
    "every_table": ("FOR ALL TABLES", "FOR ALL TABLES"),
    "schema": ("FOR TABLES IN SCHEMA public", "FOR TABLES IN SCHEMA"),
    "rows": ("FOR TABLE kept WHERE (id > 1)", "row filter or column list for public.kept"),
    "columns": ("FOR TABLE kept (id)", "row filter or column list for public.kept"),
}
WHOLE = {"single_tables": "FOR TABLE kept", "no_table_yet": "", "not_there": None}


@pytest.fixture
def kept(scenario: Scenario) -> Scenario:
    """A table on the newest server that may publish."""
    scenario.target.sql("CREATE TABLE kept (id int PRIMARY KEY)", database="airbyte_migration")
    return scenario


def faults(scenario: Scenario, made: str) -> list[str] | None:
    with (
        scenario.target.connect("airbyte_migration") as connection,
        connection.transaction(force_rollback=True),
    ):
        connection.execute(made.encode())
        return publication.faults(connection)


@pytest.mark.parametrize(("made", "said"), LESS.values(), ids=list(LESS))
def test_what_it_leaves_out_is_said(kept: Scenario, made: str, said: str) -> None:
    found = faults(kept, f"{MAKE} {made}")
    assert found is not None
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize("made", WHOLE.values(), ids=list(WHOLE))
def test_one_like_ours_is_ours(kept: Scenario, made: str | None) -> None:
    found = faults(kept, "SELECT 1" if made is None else f"{MAKE} {made}")
    assert found == (None if made is None else [])


def test_it_is_refused_before_a_slot_is_made(scenario: Scenario) -> None:
    scenario.source.sql(f"{MAKE} FOR TABLE jobs WITH (publish = 'insert')", database="airbyte")
    check = checked(scenario)["source.names"]
    assert check.result is Result.FAIL
    assert "does not publish update" in check.found
    refused = scenario.cli("prepare")
    assert refused.returncode == 3
    assert "does not publish update" in refused.stderr
    agent = scenario.agent()
    assert [agent.once() for _ in range(3)] == [None] * 3
    assert "does not publish update" in scenario.state()["error"]["found"]
    assert scenario.source.sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]

    scenario.source.sql(DROP, database="airbyte")
    scenario.converge(agent)
    scenario.source.sql("UPDATE jobs SET status = 'failed'", database="airbyte")
    scenario.assert_equal()


def test_one_that_was_there_before_us_is_named(scenario: Scenario) -> None:
    """It publishes all that we need, and `release` would take it from who made it."""
    scenario.source.sql(MAKE, database="airbyte")
    check = checked(scenario)["source.names"]
    assert check.result is Result.WARNING
    assert "was there before: `release` drops it" in check.found
    assert scenario.cli("prepare").returncode == 0
    assert checked(scenario)["source.names"].result is Result.PASS


def test_prod_changes_its_tables_though_it_publishes_them_all(scenario: Scenario) -> None:
    """Who made it has stopped prod's DELETE; we mend that, and feed from another one."""
    scenario.source.sql(f"{MAKE} FOR ALL TABLES", database="airbyte")
    agent = scenario.agent()
    assert agent.once() is None
    assert "is FOR ALL TABLES" in scenario.state()["error"]["found"]
    scenario.source.sql("DELETE FROM stream_reset", database="airbyte")


def test_a_feed_whose_publication_was_narrowed_says_so(scenario: Scenario) -> None:
    agent = scenario.converge()
    alter = f"ALTER PUBLICATION {PUBLICATION} SET (publish = 'insert')"
    scenario.source.sql(alter, database="airbyte")
    assert agent.once() is None
    assert "does not publish update" in scenario.state()["error"]["found"]


ROWS = """
INSERT INTO stream_reset VALUES ('meanwhile');
DELETE FROM attempts;
"""
AND_BACK = {
    "tables taken out": (
        f"ALTER PUBLICATION {PUBLICATION} DROP TABLE stream_reset, attempts",
        f"ALTER PUBLICATION {PUBLICATION} ADD TABLE ONLY stream_reset, ONLY attempts",
    ),
    "narrowed": (
        f"ALTER PUBLICATION {PUBLICATION} SET (publish = 'update')",
        f"ALTER PUBLICATION {PUBLICATION} SET (publish = 'insert, update, delete, truncate')",
    ),
}


@pytest.mark.parametrize("case", AND_BACK)
def test_what_it_left_out_between_two_looks_is_copied(scenario: Scenario, case: str) -> None:
    agent = scenario.converge()
    for statements in (AND_BACK[case][0], ROWS, AND_BACK[case][1]):
        scenario.source.sql(statements, database="airbyte")
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.copies() == 2
