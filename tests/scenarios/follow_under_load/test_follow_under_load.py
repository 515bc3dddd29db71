"""Prod is written to all the time, from before the feed is prepared: nothing fails or is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import PASSWORDS, Scenario


@dataclass
class Load:
    """What prod has acknowledged, and what it has refused."""

    acknowledged: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@contextmanager
def load(scenario: Scenario) -> Iterator[Load]:
    """Write like Airbyte: jobs with attempts, changes, and deletes in tables without a key."""
    found, stop = Load(), threading.Event()

    def work() -> None:
        with scenario.source.connect("airbyte") as prod:
            while not stop.is_set():
                try:
                    write(prod, found)
                except psycopg.Error as error:
                    found.failed.append(str(error))
                stop.wait(0.005)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def write(prod: psycopg.Connection[tuple[int]], found: Load) -> None:
    with prod.transaction():
        row = prod.execute(
            "INSERT INTO jobs (scope, status) VALUES ('load', 'running') RETURNING id"
        ).fetchone()
        assert row is not None
        prod.execute("INSERT INTO attempts (job_id) VALUES (%s)", row)
        prod.execute("INSERT INTO stream_reset (stream_name) VALUES (%s::text)", row)
    with prod.transaction():
        prod.execute("UPDATE jobs SET status = 'succeeded' WHERE id = %s", row)
        prod.execute("DELETE FROM stream_reset WHERE stream_name = %s::text", row)
        prod.execute("DELETE FROM actor_definition_workspace_grant WHERE workspace_id IS NULL")
    found.acknowledged.append(row[0])


def test_nothing_fails_and_nothing_is_lost(scenario: Scenario) -> None:
    with load(scenario) as found:
        scenario.converge()
        verified = scenario.cli("verify")
        assert verified.returncode == 0, verified.stdout
    assert found.failed == []
    assert len(found.acknowledged) > 50
    scenario.assert_equal()
    query = "SELECT id FROM jobs WHERE scope = 'load'"
    arrived = {number for (number,) in scenario.target.sql(query, database="airbyte_mirror")}
    assert arrived == set(found.acknowledged)


def test_next_number_stays_free_while_following(scenario: Scenario) -> None:
    agent = scenario.converge()
    scenario.source.sql("SELECT setval('jobs_id_seq', 700000)", database="airbyte")
    scenario.converge(agent)
    query = "SELECT nextval('jobs_id_seq')"
    assert scenario.target.sql(query, database="airbyte_mirror")[0][0] > 700000
    assert scenario.state()["sequences_ahead"] is True


def test_password_of_the_feed_is_rotated(scenario: Scenario) -> None:
    agent = scenario.converge()
    scenario.target.sql("ALTER ROLE airbyte_migration PASSWORD 'rotated'")
    PASSWORDS["migration"], old = "rotated", PASSWORDS["migration"]
    try:
        agent = scenario.agent()
        scenario.converge(agent)
        query = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
        scenario.source.sql(query)
        scenario.source.sql("UPDATE jobs SET scope = 'after the rotation'", database="airbyte")
        wait_for(lambda: agent.once() == "reconnect", timeouts.FOLLOW)
        scenario.converge(agent)
        scenario.assert_equal()
    finally:
        PASSWORDS["migration"] = old


def test_writer_on_the_mirror_is_named(scenario: Scenario) -> None:
    agent = scenario.converge()
    query = "INSERT INTO jobs (id, status) VALUES (501, 'pending')"
    scenario.target.sql(query, database="airbyte_mirror")
    scenario.source.sql(query, database="airbyte")

    def broken() -> bool:
        agent.once()
        state = scenario.state()
        return state["state"] == "broken" and "worker does not run" in state["error"]["found"]

    wait_for(broken, timeouts.FOLLOW)
    scenario.target.sql("DELETE FROM jobs WHERE id = 501", database="airbyte_mirror")
    scenario.converge(agent)
    scenario.assert_equal()


def test_wal_is_not_kept_without_limit(scenario: Scenario) -> None:
    """With the subscriber gone for good, prod's disk counts more than the copy."""
    scenario.settings["feeds.0.max_retained_wal_bytes"] = 3_000_000
    agent = scenario.converge()
    scenario.target.kill()
    with scenario.source.connect("airbyte") as prod:
        for _ in range(6):
            prod.execute(
                "INSERT INTO workspace SELECT gen_random_uuid(), repeat('x', 500) "
                "FROM generate_series(1, 1000)"
            )
    slots = "SELECT slot_name FROM pg_replication_slots"
    assert scenario.source.sql(slots) != []
    agent.once()
    assert scenario.source.sql(slots) == []
    scenario.target.start()
    scenario.converge(agent)
    scenario.assert_equal()
