"""Both servers die by kill -9, and come back, while the agent goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import timeouts
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.scenario import FEED, Scenario


def state_is(scenario: Scenario, wanted: str) -> bool:
    return bool(scenario.state()["state"] == wanted)


def names_source(scenario: Scenario) -> bool:
    """The target's worker may be seen to have ended before the source is asked."""
    error = scenario.state()["error"]
    return state_is(scenario, "broken") and "source `prod`" in (error or {}).get("found", "")


def recovered(scenario: Scenario) -> bool:
    """The state of before the outage may say `following` too; the error goes with the next look."""
    return state_is(scenario, "following") and scenario.state()["error"] is None


def write(server: PgServer, scope: str) -> None:
    query = "INSERT INTO jobs (scope, status) VALUES (%s, 'pending')"
    with server.connect("airbyte") as prod:
        prod.execute(query, (scope,))


@pytest.mark.parametrize("side", ["source", "target"])
def test_feed_goes_on_after_a_server_died(scenario: Scenario, side: str) -> None:
    stop = scenario.run_in_background(scenario.converge())
    server: PgServer = getattr(scenario, side)
    write(scenario.source, "before")
    scenario.assert_equal()
    before = scenario.target.sql("SELECT oid FROM pg_database WHERE datname = 'airbyte_mirror'")
    server.kill()
    if side == "source":
        wait_for(lambda: names_source(scenario), timeouts.FOLLOW)
        assert scenario.state()["error"]["way_out"]
    else:
        write(scenario.source, "while the target is dead")
    server.start()
    write(scenario.source, "after")
    scenario.assert_equal()
    wait_for(lambda: recovered(scenario), timeouts.FOLLOW)
    stop()
    after = scenario.target.sql("SELECT oid FROM pg_database WHERE datname = 'airbyte_mirror'")
    assert after == before, "an outage is no reason for a new copy"
    assert scenario.cli("verify").returncode == 0


@pytest.fixture
def lazy(scenario: Scenario) -> Iterator[PgServer]:
    """A target that flushes nothing of what nobody waits for; all of it is lost when it dies."""
    for wanted in ("SET wal_writer_delay = '10s'", "SET wal_writer_flush_after = '1GB'"):
        scenario.target.sql(f"ALTER SYSTEM {wanted}")
    scenario.target.sql("SELECT pg_reload_conf()")
    yield scenario.target
    scenario.target.start()
    for name in ("wal_writer_delay", "wal_writer_flush_after"):
        scenario.target.sql(f"ALTER SYSTEM RESET {name}")
    scenario.target.sql("SELECT pg_reload_conf()")


def test_what_a_worker_has_applied_outlives_it_and_the_server(
    scenario: Scenario, lazy: PgServer
) -> None:
    """The next worker tells the source that all it was sent is kept, whoever applied it."""
    agent = scenario.converge()
    for number in range(5):
        write(scenario.source, f"before {number}")
    scenario.assert_equal()
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_subscription WHERE pid IS NOT NULL"
    written = scenario.source.sql("SELECT pg_current_wal_lsn()")[0]
    lazy.sql(end)
    confirmed = "SELECT FROM pg_replication_slots WHERE confirmed_flush_lsn >= %s AND active"
    wait_for(lambda: scenario.source.sql(confirmed, *written), timeouts.FOLLOW)
    lazy.kill()
    lazy.start()
    scenario.converge(agent)
    write(scenario.source, "after")
    scenario.assert_equal()


@pytest.mark.parametrize("side", ["source", "target"])
def test_server_that_is_a_standby_is_called_so(scenario: Scenario, side: str) -> None:
    agent = scenario.converge()
    server: PgServer = getattr(scenario, side)
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()
    agent.once()
    said = agent.board.entries()[FEED].state
    server.stop()
    (server.data / "standby.signal").unlink()
    server.start()
    assert said["state"] == "broken"
    assert f"the {side} is in recovery" in said["error"]["found"]
    scenario.converge(agent)
    assert scenario.copies() == 1


def test_source_is_restarted_once_for_wal_level(scenario: Scenario) -> None:
    scenario.set_wal_level("replica")
    started = scenario.source.sql("SELECT pg_postmaster_start_time()")
    agent = scenario.converge()
    again = scenario.source.sql("SELECT pg_postmaster_start_time()")
    assert again != started
    assert scenario.source.sql("SHOW wal_level") == [("logical",)]
    scenario.converge(agent)
    assert scenario.source.sql("SELECT pg_postmaster_start_time()") == again


def test_source_is_not_restarted_without_permission(scenario: Scenario) -> None:
    scenario.settings["feeds.0.allow_source_restart"] = False
    scenario.settings["feeds.0.mode"] = "logical"
    scenario.set_wal_level("replica")
    started = scenario.source.sql("SELECT pg_postmaster_start_time()")
    agent = scenario.agent()
    wait_for(lambda: agent.once() is None, timeouts.AGENT_STEP)
    assert scenario.source.sql("SELECT pg_postmaster_start_time()") == started
    state = scenario.state()
    assert state["state"] == "broken"
    assert "wal_level = replica" in state["error"]["found"]
    assert "allow_source_restart" in state["error"]["way_out"]
    checked = scenario.cli("preflight", "--json")
    assert checked.returncode == 3
    assert "source.wal_level" in checked.stdout
