"""The journal does not grow without end, and what is asked of it is answered at any age."""

from __future__ import annotations

from typing import Any

import pytest

from db_migration.agent.plan import Step
from tests.support.scenario import FEED, Scenario

CONTROL = "airbyte_migration"
EVENT = "INSERT INTO migration.event (at, feed, step, phase, detail) VALUES (now() - %s::interval, "
EVENT += "%s, %s, %s, 'old')"
VERIFICATION = "INSERT INTO migration.verification (at, feed, result) "
VERIFICATION += "VALUES (now() - %s::interval, %s, '{}')"
KINDS = "SELECT DISTINCT feed, step, phase FROM migration.event ORDER BY 1, 2, 3"


@pytest.fixture
def followed(scenario: Scenario) -> Scenario:
    scenario.converge()
    return scenario


def of_control(scenario: Scenario, query: str, *args: object) -> list[tuple[Any, ...]]:
    return scenario.target.sql(query, *args, database=CONTROL)


def old(scenario: Scenario, table: str) -> list[tuple[Any, ...]]:
    """Return what is left of the lines that are older than this test."""
    query = f"SELECT feed FROM migration.{table} WHERE at < now() - interval '1 day' ORDER BY id"
    return of_control(scenario, query)


def test_a_waiting_agent_lets_go_of_what_is_old(followed: Scenario) -> None:
    for feed, age in ((FEED, "401 days"), (FEED, "399 days"), ("cut-over", "4000 days")):
        of_control(followed, EVENT, age, feed, "verify", "result")
    for feed, age in ((FEED, "91 days"), (FEED, "89 days"), ("rehearsal", "4000 days")):
        of_control(followed, VERIFICATION, age, feed)
    # The agent's own are the newest.
    for table in ("event", "verification"):
        of_control(
            followed, f"UPDATE migration.{table} SET id = DEFAULT WHERE at > now() - interval '1 h'"
        )
    assert followed.agent().once() is Step.WAIT
    assert old(followed, "event") == [(FEED,), ("cut-over",)]
    assert old(followed, "verification") == [(FEED,), ("rehearsal",)]


def test_the_last_of_every_kind_stays(followed: Scenario) -> None:
    """Else a mirror would have no origin, and a verification of an earlier copy count for it."""
    kinds = of_control(followed, KINDS)
    for table in ("event", "verification"):
        of_control(followed, f"UPDATE migration.{table} SET at = at - interval '4000 days'")
    of_control(followed, VERIFICATION, "4001 days", FEED)
    of_control(followed, "UPDATE migration.verification SET id = DEFAULT WHERE result <> '{}'")
    followed.journal().tidy()
    assert of_control(followed, KINDS) == kinds
    assert len(of_control(followed, "SELECT FROM migration.event")) == len(kinds)
    with followed.target.connect(CONTROL) as connection:
        last = followed.journal().last_verification(connection)
    assert last is not None
    assert last[0]["equal"]


def test_a_journal_that_is_away_is_no_error(followed: Scenario) -> None:
    journal = followed.journal()
    of_control(followed, "DROP SCHEMA migration CASCADE")
    journal.tidy()


def test_a_clock_that_was_set_back_leads_to_one_verification(followed: Scenario) -> None:
    """Not to none until it has caught up, and not to one after the other until then."""
    for table in ("event", "verification"):
        of_control(followed, f"UPDATE migration.{table} SET at = at + interval '1 hour'")
    agent = followed.agent()
    assert [agent.once() for _ in range(3)] == [Step.VERIFY, Step.WAIT, Step.WAIT]
