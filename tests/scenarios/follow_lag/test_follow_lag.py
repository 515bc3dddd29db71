"""The lag that `status` shows is measured, also when nothing is to be copied, and never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest

from db_migration.following.heartbeat import SILENT_SECONDS
from db_migration.reporting.metrics import registry
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario
from tests.support.tunnel import Tunnel

GROWN = 2 * SILENT_SECONDS


@pytest.fixture
def subscribers(scenario: Scenario) -> Iterator[Tunnel]:
    """Lead the subscriber alone through a tunnel: the agent still reaches both servers."""
    found = Tunnel(scenario.source.port)
    scenario.settings["feeds.0.source.address_for_subscriber.port"] = found.port
    yield found
    found.close()


def lag(scenario: Scenario) -> dict[str, Any]:
    found: dict[str, Any] | None = scenario.state()["lag"]
    return found or {}


def test_is_measured_while_prod_is_idle(scenario: Scenario) -> None:
    prod_before = scenario.source.sql("SELECT count(*) FROM pg_class", database="airbyte")
    stop = scenario.run_in_background(scenario.converge())
    wait_for(lambda: lag(scenario), timeouts.FOLLOW)
    first = lag(scenario)
    assert first["resolution_seconds"] > 0
    assert 0 < first["seconds"] < timeouts.FOLLOW
    assert first["bytes"] >= 0
    age = datetime.now(UTC) - datetime.fromisoformat(first["measured_at"])
    assert timedelta(0) <= age < timedelta(seconds=timeouts.FOLLOW)
    wait_for(lambda: lag(scenario)["measured_at"] > first["measured_at"], timeouts.FOLLOW)
    stop()
    assert scenario.source.sql("SELECT count(*) FROM pg_class", database="airbyte") == prod_before


def test_grows_while_the_subscriber_is_behind_and_falls_afterwards(
    scenario: Scenario, subscribers: Tunnel
) -> None:
    stop = scenario.run_in_background(scenario.converge())
    wait_for(lambda: lag(scenario), timeouts.FOLLOW)
    subscribers.freeze()
    query = "INSERT INTO jobs (scope, status) SELECT repeat('x', 500), 'pending' "
    scenario.source.sql(f"{query} FROM generate_series(1, 1000)", database="airbyte")

    def far_behind() -> bool:
        found = lag(scenario)
        return bool(found and found["seconds"] > 2 and found["bytes"] > 500_000)

    wait_for(far_behind, timeouts.FOLLOW)
    subscribers.mend()
    wait_for(lambda: 0 < lag(scenario).get("seconds", 0) < 1, timeouts.FOLLOW)
    assert lag(scenario)["bytes"] < 500_000
    scenario.assert_equal()
    stop()


def test_is_what_the_slot_keeps_while_no_worker_runs(
    scenario: Scenario, subscribers: Tunnel
) -> None:
    scenario.run_in_background(scenario.converge())
    wait_for(lambda: lag(scenario), timeouts.FOLLOW)
    subscribers.cut()
    query = "INSERT INTO jobs (scope, status) SELECT repeat('x', 500), 'pending' "
    scenario.source.sql(f"{query} FROM generate_series(1, 1000)", database="airbyte")
    wait_for(lambda: (lag(scenario).get("bytes") or 0) > 500_000, timeouts.FOLLOW)


def test_grows_while_the_source_is_down_and_what_was_measured_is_kept(scenario: Scenario) -> None:
    agent = scenario.converge()
    scenario.run_in_background(agent)
    wait_for(lambda: lag(scenario), timeouts.FOLLOW)
    scenario.source.stop()
    stopped = datetime.now(UTC)
    wait_for(lambda: lag(scenario).get("seconds", 0) > GROWN, timeouts.FOLLOW)
    assert lag(scenario)["bytes"] is None
    seen = scenario.state()["lag_seen"]
    assert seen["seconds"] < GROWN
    assert seen["bytes"] >= 0
    assert datetime.fromisoformat(seen["at"]) < stopped + timedelta(seconds=SILENT_SECONDS)
    metrics = generate_latest(registry(agent.board)).decode()
    assert "db_migration_lag_seconds{" in metrics
    assert "db_migration_slot_state{" not in metrics
    scenario.source.start()
    wait_for(lambda: lag(scenario).get("bytes") is not None, timeouts.FOLLOW)


def test_is_not_claimed_without_a_subscription(scenario: Scenario) -> None:
    agent = scenario.converge()
    stop = scenario.run_in_background(agent)
    wait_for(lambda: lag(scenario), timeouts.FOLLOW)
    scenario.journal().intend("released", on=True)
    wait_for(lambda: scenario.state()["state"] == "released", timeouts.FOLLOW)
    assert lag(scenario) == {}
    sessions = "SELECT FROM pg_stat_activity WHERE query LIKE '%%AS versions%%' AND usename = %s"
    wait_for(lambda: not scenario.source.sql(sessions, "airbyte_migration"), timeouts.FOLLOW)
    stop()
