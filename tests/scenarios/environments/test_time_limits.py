"""Limits that prod's server sets to everybody's statements: a new table takes longer to read."""

from __future__ import annotations

from tests.support.scenario import Scenario

LATE = "CREATE TABLE late AS SELECT n AS id, repeat('x', 100) AS t FROM generate_series(1, 9999) n"


def test_a_new_table_is_read_to_its_end(scenario: Scenario) -> None:
    agent = scenario.converge()
    for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
        scenario.source.sql(f"ALTER ROLE airbyte_migration SET {limit} = '1ms'")
    scenario.source.sql(LATE, database="airbyte")
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.copies() == 1
