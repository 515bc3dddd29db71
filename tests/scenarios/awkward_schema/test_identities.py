"""Tables whose key is none to PostgreSQL: prod goes on changing their rows while they are fed."""

from __future__ import annotations

import pytest

from tests.scenarios.preflight.test_preflight import checked
from tests.support.scenario import Scenario

DEFERRABLE = "CREATE TABLE keyed (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, word text)"
UNIQUE = "CREATE TABLE keyed (id int NOT NULL, word text); CREATE UNIQUE INDEX named ON keyed (id);"
BY_INDEX = f"{UNIQUE} ALTER TABLE keyed REPLICA IDENTITY USING INDEX named;"
UNUSABLE = {
    "deferrable_primary_key": DEFERRABLE,
    "index_dropped": f"{BY_INDEX} DROP INDEX named",
    "index_invalid": f"{BY_INDEX} UPDATE pg_index SET indisvalid = false "
    "WHERE indexrelid = 'named'::regclass",
    "nothing": "CREATE TABLE keyed (id int PRIMARY KEY, word text); "
    "ALTER TABLE keyed REPLICA IDENTITY NOTHING",
}
CHANGES = ("UPDATE keyed SET word = 'two' WHERE id = 1", "DELETE FROM keyed WHERE id = 2")


@pytest.mark.parametrize("made", UNUSABLE.values(), ids=list(UNUSABLE))
def test_prod_changes_and_removes_rows_of_a_table_with_an_unusable_key(
    scenario: Scenario, made: str
) -> None:
    scenario.source.sql(made, database="airbyte")
    scenario.source.sql(
        "INSERT INTO keyed VALUES (1, 'one'), (2, 'x'), (3, 'x')", database="airbyte"
    )
    assert "public.keyed" in checked(scenario)["source.identities"].found
    assert scenario.cli("prepare").returncode == 0
    scenario.source.sql(
        "UPDATE keyed SET word = 'y'; DELETE FROM keyed WHERE id = 3", database="airbyte"
    )
    scenario.converge()
    for change in CHANGES:
        scenario.source.sql(change, database="airbyte")
    scenario.assert_equal()


def test_a_generated_key_does_not_hinder_where_an_index_names_the_rows(
    scenario: Scenario,
) -> None:
    """The way out that the preflight gives for such a key."""
    made = BY_INDEX.replace("word text", "word text, b int GENERATED ALWAYS AS (id) STORED")
    made += "ALTER TABLE keyed ADD PRIMARY KEY (b); INSERT INTO keyed VALUES (1, 'one'), (2, 'x')"
    scenario.source.sql(made, database="airbyte")
    scenario.converge()
    for change in CHANGES:
        scenario.source.sql(change, database="airbyte")
    scenario.assert_equal()


def test_an_index_that_names_the_rows_is_kept(scenario: Scenario) -> None:
    scenario.source.sql(BY_INDEX, database="airbyte")
    scenario.converge()
    query = "SELECT relreplident::text FROM pg_class WHERE oid = 'keyed'::regclass"
    assert scenario.source.sql(query, database="airbyte") == [("i",)]
