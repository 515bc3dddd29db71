"""The epoch: highest of all that answer, advanced by one of two, taken over by who comes late."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

from db_migration.agent import observe
from db_migration.agent.agent import Agent
from db_migration.agent.plan import Step
from db_migration.context import Context
from db_migration.errors import BlockedError, UnreachableError
from db_migration.sides import epoch
from db_migration.sides.epoch import Epoch
from tests.support.deployment import INTERMEDIARY, KEEPER, NEW, OLD, REPLICA, Deployment
from tests.support.timeouts import AGENT_STEP, FACTOR

FIRST = Epoch(1, INTERMEDIARY, NEW, "cut-over")
SECOND = Epoch(2, KEEPER, REPLICA, "failover")


def records(deployment: Deployment, name: str) -> list[Any]:
    query = "SELECT epoch FROM migration.epoch ORDER BY 1"
    return [n for (n,) in deployment.servers[name].sql(query, database="airbyte_migration")]


def test_no_record_is_what_the_configuration_says(deployment: Deployment) -> None:
    assert epoch.current(deployment.config()) == Epoch(0, "prod", OLD, "initial")


def test_server_that_was_away_copies_what_it_missed(deployment: Deployment) -> None:
    config = deployment.config()
    epoch.advance(config, FIRST, [INTERMEDIARY, KEEPER])
    deployment.intermediary.kill()
    epoch.advance(config, SECOND, [KEEPER, INTERMEDIARY])
    assert epoch.current(config) == SECOND
    deployment.intermediary.start()
    assert records(deployment, INTERMEDIARY) == [1]
    epoch.copy_from_peers(deployment.config(INTERMEDIARY))
    assert records(deployment, INTERMEDIARY) == records(deployment, KEEPER) == [1, 2]


def test_new_active_server_must_take_it(deployment: Deployment) -> None:
    deployment.intermediary.kill()
    with pytest.raises(UnreachableError):
        epoch.advance(deployment.config(), FIRST, [INTERMEDIARY, KEEPER])
    assert epoch.current(deployment.config()).epoch == 0


def test_one_of_two_that_advance_at_once_is_refused(deployment: Deployment) -> None:
    config = deployment.config()
    said: list[str] = []

    def advance(new: Epoch, on: list[str]) -> None:
        try:
            epoch.advance(config, new, on)
            said.append("done")
        except BlockedError as error:
            said.append(error.found)

    mine = Epoch(1, KEEPER, REPLICA, "failover")
    threads = [
        threading.Thread(target=advance, args=arguments)
        for arguments in ((FIRST, [INTERMEDIARY, KEEPER]), (mine, [KEEPER, INTERMEDIARY]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(AGENT_STEP)
    assert said.count("done") == 1
    refusal = next(text for text in said if text != "done")
    assert "is the highest" in refusal or "holds the epoch" in refusal
    assert records(deployment, KEEPER) == records(deployment, INTERMEDIARY) == [1]


def test_step_that_was_decided_before_a_new_epoch_is_not_done(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = deployment.config()
    feed = next(feed for feed in config.feeds if feed.source.name == "prod")
    agent = Agent(Context(config, feed, instance_host=deployment.host))
    look = agent._look

    def overtaken() -> observe.Sight:
        sight = look()
        epoch.advance(config, FIRST, [INTERMEDIARY, KEEPER])
        return sight

    monkeypatch.setattr(agent, "_look", overtaken)
    assert agent.once() is not Step.WAIT
    assert not [step for _, step, *_ in agent.journal.events()]


def test_who_is_alive_and_busy_is_not_passed_over(deployment: Deployment) -> None:
    """It may be the only one that knows the newest epoch."""
    config = deployment.config()
    epoch.advance(config, FIRST, [INTERMEDIARY])
    deployment.intermediary.sql("ALTER ROLE airbyte_migration NOLOGIN")
    login = "ALTER ROLE airbyte_migration LOGIN"
    threading.Timer(1.5, deployment.intermediary.sql, [login]).start()
    with pytest.raises(BlockedError, match="epoch 1 is the highest"):
        epoch.advance(config, FIRST, [KEEPER])


def test_frozen_server_costs_three_seconds(deployment: Deployment) -> None:
    epoch.advance(deployment.config(), FIRST, [INTERMEDIARY, KEEPER])
    pid = deployment.intermediary.pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        before = time.monotonic()
        assert epoch.current(deployment.config()) == FIRST
        assert time.monotonic() - before < 3 + FACTOR
    finally:
        os.kill(pid, signal.SIGCONT)
