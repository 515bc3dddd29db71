"""A sequence that prod uses up faster than the agent looks is behind for a moment, and no
difference: a promotion goes past every row.
"""

from __future__ import annotations

import threading

from db_migration.agent.actions import ACTIONS
from db_migration.agent.plan import Step
from db_migration.following import sequences
from db_migration.verification import verify
from tests.support.scenario import Scenario

USED_UP = "SELECT nextval('jobs_id_seq') FROM generate_series(1, 5000)"


def test_the_agents_own_verification_moves_it_first(scenario: Scenario) -> None:
    scenario.converge()
    context = scenario.context()
    scenario.source.sql(USED_UP, database="airbyte")
    ACTIONS[Step.VERIFY](context, scenario.journal())
    with context.control.connect() as connection:
        found = scenario.journal().last_verification(connection)
    assert found is not None
    assert found[0]["differences"] == []


def test_another_verification_waits_for_the_agent_to_move_it(scenario: Scenario) -> None:
    scenario.converge()
    context = scenario.context()
    scenario.source.sql(USED_UP, database="airbyte")
    agent = threading.Timer(0.5, sequences.advance, (context, context.mirror))
    agent.start()
    found = verify.verify(context).differences
    agent.join()
    assert found == []


def test_one_that_nobody_moves_is_a_difference(scenario: Scenario) -> None:
    scenario.converge()
    scenario.source.sql(USED_UP, database="airbyte")
    found = verify.verify(scenario.context()).differences
    assert [line for line in found if "sequence public.jobs_id_seq" in line] == found != []
