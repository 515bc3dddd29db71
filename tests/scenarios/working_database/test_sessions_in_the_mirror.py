"""Sessions in the mirror while it is replaced or cloned: ended if they may be, else named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from db_migration import effects
from db_migration.agent.plan import Step
from db_migration.config_access import Login
from db_migration.effects import Effect
from db_migration.errors import BlockedError
from db_migration.following import follow, working
from db_migration.postgres import Endpoint
from tests.scenarios.working_database.test_working_database import OID, as_airbyte, make_due
from tests.support import timeouts
from tests.support.beside import Reader
from tests.support.fix_postgres import wait_for
from tests.support.scenario import FEED, Scenario

MIRROR = "SELECT oid FROM pg_database WHERE datname = 'airbyte_mirror'"
ENABLED = "SELECT subenabled FROM pg_subscription"
STEPS = "SELECT step, phase FROM migration.event WHERE feed = %s ORDER BY id"


def pooled(scenario: Scenario) -> Endpoint:
    """Let somebody read the mirror as a role that the feed's role is a member of."""
    scenario.target.sql("GRANT CONNECT ON DATABASE airbyte_mirror TO airbyte")
    login = Login(user="airbyte", password_file=scenario.folder / "airbyte")
    return replace(scenario.context().mirror, login=login)


def steps(scenario: Scenario) -> list[tuple[str, str]]:
    return scenario.target.sql(STEPS, FEED, database="airbyte_migration")


def test_reader_that_comes_back_at_once_does_not_keep_the_mirror_from_being_cloned(
    scenario: Scenario,
) -> None:
    agent = scenario.converge()
    first = scenario.target.sql(OID)
    make_due(scenario)
    with Reader(pooled(scenario), "SELECT 1") as reader:
        wait_for(lambda: agent.once() is Step.CLONE_WORKING, timeouts.CONVERGE)
        assert len(reader.broken) == 1
        seen = len(reader.seen)
        wait_for(lambda: len(reader.seen) > seen, timeouts.FOLLOW)
    scenario.converge(agent)
    assert scenario.target.sql(OID) != first


def test_reader_that_comes_back_at_once_does_not_keep_a_new_copy_from_its_place(
    scenario: Scenario,
) -> None:
    agent = scenario.converge()
    first = scenario.target.sql(MIRROR)
    with Reader(pooled(scenario), "SELECT 1") as reader:
        scenario.source.sql("ALTER TABLE jobs ADD COLUMN new int", database="airbyte")
        wait_for(lambda: agent.once() is Step.SWAP_MIRROR, timeouts.CONVERGE)
        wait_for(lambda: reader.broken, timeouts.FOLLOW)
    assert scenario.target.sql(MIRROR) != first
    assert ("swap_mirror", "failed") not in steps(scenario)


def test_feed_is_not_paused_while_somebody_is_in_the_mirror_who_may_not_be_ended(
    scenario: Scenario,
) -> None:
    agent = scenario.converge()
    first = scenario.target.sql(OID)
    with scenario.target.connect("airbyte_mirror", application_name="a dashboard"):
        make_due(scenario)
        done = len(steps(scenario))
        scenario.converge(agent)
        assert steps(scenario)[done:] == []
        state = scenario.state()
        assert f"a dashboard as {scenario.target.user} is in the mirror" in state["next"]
        assert "end these sessions" in state["next"]
        assert state["error"] is None
    wait_for(lambda: agent.once() is Step.CLONE_WORKING, timeouts.CONVERGE)
    scenario.converge(agent)
    assert scenario.target.sql(OID) != first


def test_nobody_is_put_out_for_a_swap_that_can_not_be(scenario: Scenario) -> None:
    context = scenario.converge().context
    with (
        scenario.target.connect("airbyte_mirror"),
        Reader(context.mirror, "SELECT 1") as reader,
        pytest.raises(BlockedError, match=scenario.target.user),
    ):
        follow.swap_mirror(context)
    assert reader.broken == []


def test_feed_goes_on_after_a_clone_that_failed_and_the_next_one_waits(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = scenario.converge()
    first = scenario.target.sql(OID)
    make_due(scenario)
    perform = effects.perform
    late: list[psycopg.Connection[Any]] = []

    def meddle(name: Effect, function: Callable[[], Any]) -> Any:  # noqa: ANN401
        if name is Effect.CLONE_WORKING:
            late.append(scenario.target.connect("airbyte_mirror"))
        return perform(name, function)

    monkeypatch.setattr(effects, "perform", meddle)
    wait_for(lambda: agent.once() is None, timeouts.CONVERGE)
    late[0].close()
    assert scenario.target.sql(ENABLED) == [(True,)]
    assert agent.memory.clones.seconds() > 0
    assert agent.once() == "wait"
    state = scenario.state()
    assert state["state"] == "following"
    assert "after a pause" in state["next"]
    assert f"`airbyte_mirror` is in use by whom we may not end: {scenario.target.user}" in str(
        state["error"]
    )
    monkeypatch.undo()
    wait_for(lambda: agent.once() is Step.CLONE_WORKING, timeouts.CONVERGE)
    scenario.converge(agent)
    assert scenario.target.sql(OID) != first
    assert scenario.state()["error"] is None


def test_first_error_is_told_when_the_feed_can_not_go_on_either(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = scenario.converge()
    make_due(scenario)
    perform = effects.perform
    wrong = {
        Effect.CLONE_WORKING: BlockedError(found="first", needed="", way_out=""),
        Effect.ENABLE_SUBSCRIPTION: psycopg.OperationalError("second"),
    }

    def fail(name: Effect, function: Callable[[], Any]) -> Any:  # noqa: ANN401
        if name in wrong:
            raise wrong[name]
        return perform(name, function)

    monkeypatch.setattr(effects, "perform", fail)
    with pytest.raises(BlockedError, match="first"):
        wait_for(lambda: agent.attempt() is None, timeouts.CONVERGE)
    monkeypatch.undo()
    assert agent.once() is Step.ENABLE


def test_swap_never_ends_an_airbyte(scenario: Scenario) -> None:
    scenario.converge()
    scenario.target.sql("CREATE DATABASE airbyte_next OWNER airbyte_migration")
    first = scenario.target.sql(OID)
    with as_airbyte(scenario) as airbyte:
        with pytest.raises(BlockedError, match="reader_host_control"):
            working.swap_in(scenario.context())
        assert airbyte.execute("SELECT 1").fetchone() == (1,)
    assert scenario.target.sql(OID) == first
