"""A step that fails for ever: the state stays live, the audit trail and the log stay short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from db_migration.agent.agent import Agent
from db_migration.agent.plan import Step
from db_migration.failover.look import JOURNAL
from db_migration.journal import Journal
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import FEED, Scenario

STARTED = ("started", "the new copy is complete")
IN_USE = "is in use by whom we may not end"


@contextmanager
def in_the_way(scenario: Scenario, agent: Agent) -> Iterator[None]:
    """Keep a new copy from the mirror's place: somebody is there whom the agent may not end."""
    with scenario.target.connect("airbyte_mirror"):
        scenario.source.sql("ALTER TABLE jobs ADD COLUMN new int", database="airbyte")
        until_failed(agent, 1)
        yield


def failures(agent: Agent) -> int:
    return agent.board.entries()[FEED].steps[Step.SWAP_MIRROR, "failed"]


def until_failed(agent: Agent, times: int) -> None:
    def failed() -> bool:
        agent.once()
        return failures(agent) >= times

    wait_for(failed, timeouts.CONVERGE)


def swaps(agent: Agent) -> list[tuple[str, str]]:
    """Return what the audit trail says of the new copy's coming into the mirror's place."""
    events = agent.journal.events()
    begun = max(at for at, (_, step, *_) in enumerate(events) if step == Step.SEED)
    return [(phase, why) for _, step, phase, why in events[begun:] if step == Step.SWAP_MIRROR]


def test_step_that_fails_for_long_is_written_ever_more_rarely(scenario: Scenario) -> None:
    agent = scenario.converge()
    with capture_logs() as logged, in_the_way(scenario, agent):
        until_failed(agent, 12)
        assert IN_USE in scenario.state()["error"]["found"]
    scenario.converge(agent)
    scenario.assert_equal()
    begun, failed, begun_again, failed_again, done = swaps(agent)
    assert [begun, begun_again] == [STARTED] * 2
    assert IN_USE in failed[1]
    assert failed_again == ("failed", f"{failed[1]} (10 times by now)")
    assert done == ("done", f"after {failures(agent) + 1} tries")
    warned = [line["error"] for line in logged if line["event"] == "not now"]
    assert warned == [failed[1], failed_again[1]]
    assert len([line for line in logged if line["event"] == Step.SWAP_MIRROR]) == 1


@pytest.mark.long
def test_step_is_seen_to_begin_after_what_a_failover_has_done(scenario: Scenario) -> None:
    """It asks the trail whether a mirror was begun since it was at work."""
    agent = scenario.converge()
    with in_the_way(scenario, agent):
        until_failed(agent, 4)
        assert len(swaps(agent)) == 2
        Journal(agent.context.control, JOURNAL).event("promote", "done", "")
        until_failed(agent, 6)
        assert [phase for phase, _ in swaps(agent)] == ["started", "failed"] * 2


@pytest.mark.long
def test_agent_that_was_started_anew_writes_what_it_begins(scenario: Scenario) -> None:
    agent = scenario.converge()
    with in_the_way(scenario, agent):
        until_failed(agent, 4)
        until_failed(scenario.agent(), 4)
        assert [phase for phase, _ in swaps(agent)] == ["started", "failed"] * 2
