"""Prod comes first: its disk is bounded without us, and no statement of its own ever fails."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest

from db_migration.preflight import preflight
from db_migration.preflight.checklist import Result
from tests.support import timeouts
from tests.support.beside import beside
from tests.support.fix_postgres import wait_for
from tests.support.scenario import SLOT, Scenario

MEBIBYTE = 1024**2
SEGMENT = 16 * MEBIBYTE
BOUND = 48 * MEBIBYTE
OWN = 64 * MEBIBYTE
"""`max_wal_size`: what the server keeps for itself in any case."""
SEGMENTS = 25
SLOWEST_SECONDS = 1.0
"""We give up a lock after 0.3 s at most; nothing of prod's may wait much longer for us."""


def wal_on_disk(scenario: Scenario) -> int:
    (size,) = scenario.source.sql("SELECT sum(size)::bigint FROM pg_ls_waldir()")[0]
    return int(size)


def write_wal(scenario: Scenario) -> None:
    with scenario.source.connect("airbyte") as prod:
        for _ in range(SEGMENTS):
            prod.execute("SELECT pg_logical_emit_message(false, 'load', 'x'), pg_switch_wal()")
        prod.execute("CHECKPOINT")


@pytest.fixture
def frugal(scenario: Scenario) -> Iterator[Scenario]:
    """A source that keeps little WAL for itself."""
    sizes = {"max_wal_size": f"{OWN // MEBIBYTE}MB", "min_wal_size": "32MB"}
    for name, size in sizes.items():
        scenario.source.sql(f"ALTER SYSTEM SET {name} = '{size}'")
    scenario.source.sql("SELECT pg_reload_conf()")
    yield scenario
    for name in sizes:
        scenario.source.sql(f"ALTER SYSTEM RESET {name}")
    scenario.source.sql("SELECT pg_reload_conf()")


def test_a_slot_whose_agent_is_gone_does_not_fill_prods_disk(frugal: Scenario) -> None:
    """Both hosts of ours are dead: only prod's own server can give the slot up."""
    scenario = frugal
    scenario.settings["feeds.0.max_retained_wal_bytes"] = BOUND
    agent = scenario.converge()
    assert scenario.source.sql("SHOW max_slot_wal_keep_size") == [("48MB",)]
    scenario.target.kill()
    write_wal(scenario)
    assert wal_on_disk(scenario) <= BOUND + OWN + 2 * SEGMENT < SEGMENTS * SEGMENT
    status = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s"
    assert scenario.source.sql(status, SLOT) == [("lost",)]
    query = "INSERT INTO jobs (scope, status) VALUES ('after', 'pending')"
    scenario.source.sql(query, database="airbyte")

    scenario.target.start()
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.source.sql(status, SLOT) == [("reserved",)]
    seeds = [e for e in scenario.journal().history(99) if (e["step"], e["phase"]) == SEEDED]
    assert len(seeds) == 2
    assert seeds[0]["evidence"] is None
    begun = [e for e in scenario.journal().history(99) if e["step"] == "drop_subscription"]
    assert begun[-1]["evidence"]["source"]["slot"]["lost"] is True


def test_a_slot_of_somebody_else_is_not_ended_by_our_bound(frugal: Scenario) -> None:
    """`max_slot_wal_keep_size` holds for every slot of the server, not for ours alone."""
    scenario = frugal
    scenario.settings["feeds.0.max_retained_wal_bytes"] = OWN
    scenario.source.sql("SELECT pg_create_physical_replication_slot('their_standby', true)")
    write_wal(scenario)
    checks = {check.id: check for check in preflight.preflight(scenario.context())}
    assert checks["source.other_slots"].result is Result.FAIL
    assert "`their_standby` keeps" in checks["source.other_slots"].found
    refused = scenario.cli("prepare")
    assert refused.returncode == 3
    assert "slot `their_standby` keeps" in refused.stderr
    write_wal(scenario)
    status = "SELECT wal_status IN ('reserved', 'extended') FROM pg_replication_slots"
    assert scenario.source.sql(status) == [(True,)]

    scenario.source.sql("SELECT pg_drop_replication_slot('their_standby')")
    assert scenario.cli("prepare").returncode == 0
    assert scenario.source.sql("SHOW max_slot_wal_keep_size") == [("64MB",)]


SEEDED = ("seed", "done")


@dataclass
class Load:
    """What prod's own statements met."""

    done: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0


STATEMENTS = (
    "INSERT INTO jobs (scope, status) VALUES (%(writer)s, 'pending')",
    "UPDATE jobs SET status = 'running' WHERE scope = %(writer)s AND status = 'pending'",
    "INSERT INTO stream_reset (stream_name) VALUES (%(writer)s)",
    "UPDATE stream_reset SET created_at = now() WHERE stream_name = %(writer)s",
    "DELETE FROM stream_reset WHERE stream_name = %(writer)s",
    "INSERT INTO actor_definition_workspace_grant VALUES (%(id)s, NULL)",
    "DELETE FROM actor_definition_workspace_grant WHERE definition_id = %(id)s",
)
"""Each writer changes rows of its own: two that met on a row could deadlock without any of us."""


def write(scenario: Scenario, ended: threading.Event, found: Load) -> None:
    own = uuid.uuid4()
    values = {"writer": f"load-{own}", "id": own}
    with scenario.source.connect("airbyte") as prod:
        prod.execute("SET lock_timeout = '5s'")
        while not ended.is_set():
            for statement in STATEMENTS:
                before = time.monotonic()
                try:
                    prod.execute(statement, values)
                except psycopg.Error as error:
                    found.failed.append(f"{statement}: {error}")
                found.slowest = max(found.slowest, time.monotonic() - before)
                found.done += 1


@contextmanager
def load(scenario: Scenario) -> Iterator[Load]:
    ended, found = threading.Event(), Load()
    threads = [threading.Thread(target=write, args=(scenario, ended, found)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_no_statement_fails_while_a_feed_comes_and_goes(scenario: Scenario) -> None:
    """Role, identities, publication, slot, copy, subscription, release, and all of it again."""
    with load(scenario) as found:
        agent = scenario.converge()
        assert scenario.cli("release").returncode == 0
        assert scenario.cli("prepare").returncode == 0
        scenario.converge(agent)
        enough = found.done + 200
        wait_for(lambda: found.done > enough, timeouts.FOLLOW)
    assert found.failed == []
    assert found.slowest < SLOWEST_SECONDS * timeouts.FACTOR
    scenario.assert_equal()


def test_a_long_transaction_of_prods_is_waited_for_and_never_hindered(scenario: Scenario) -> None:
    """A table without a key needs an exclusive lock for a moment: we step back, prod does not."""
    agent = scenario.agent()
    with scenario.source.connect("airbyte") as prod, prod.transaction():
        prod.execute("DELETE FROM stream_reset")
        with watched(scenario) as seen:
            wait_for(lambda: _blocked(scenario, agent.once), timeouts.AGENT_STEP)
    assert seen.waiting == 0
    scenario.converge(agent)
    scenario.assert_equal()


def test_release_waits_for_a_reader_without_hindering_who_comes_after(scenario: Scenario) -> None:
    assert scenario.cli("prepare").returncode == 0
    done: list[int] = []
    releasing = threading.Thread(target=lambda: done.append(scenario.cli("release").returncode))
    published = "SELECT FROM pg_publication"
    with scenario.source.connect("airbyte") as prod, prod.transaction():
        prod.execute("SELECT FROM stream_reset")
        with watched(scenario) as seen:
            releasing.start()
            # The identities are next; in so many looks at least one request would be seen.
            wait_for(lambda: not prod.execute(published).fetchall(), timeouts.AGENT_STEP)
            enough = seen.looks + 500
            wait_for(lambda: seen.looks > enough, timeouts.AGENT_STEP)
        assert done == []
    releasing.join()
    assert done == [0]
    assert seen.waiting == 0
    identity = "SELECT relreplident = 'd' FROM pg_class WHERE relname = 'stream_reset'"
    assert scenario.source.sql(identity, database="airbyte") == [(True,)]


@dataclass
class Seen:
    """How often the source was looked at, and a request for a table was waiting there."""

    looks: int = 0
    waiting: int = 0


@contextmanager
def watched(scenario: Scenario) -> Iterator[Seen]:
    """Look all the time for who waits for a table: prod's statements would queue behind him."""
    found = Seen()

    def look(ended: threading.Event) -> None:
        with scenario.source.connect() as connection:
            while not ended.is_set():
                found.waiting += len(connection.execute(WAITING).fetchall())
                found.looks += 1

    with beside(look):
        yield found


WAITING = "SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"


def _blocked(scenario: Scenario, turn: object) -> bool:
    assert callable(turn)
    turn()
    error = scenario.state()["error"]
    return error is not None and "long transaction" in error["found"]
