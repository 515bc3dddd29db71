"""A disk that is full, a copy that does not fit or that the target refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from db_migration import effects
from db_migration.agent.plan import Step
from db_migration.effects import Effect
from db_migration.seeding import crew
from tests.scenarios.follow_outages.seen import MIRROR, says, well, write
from tests.support import timeouts
from tests.support.disk import Disk, server_on_a_small_disk
from tests.support.fix_postgres import PgServer, drop_everything, wait_for
from tests.support.scenario import Scenario


@pytest.fixture(scope="module")
def small() -> Iterator[tuple[PgServer, Disk]]:
    with server_on_a_small_disk(17, "postgres", 160, with_wal=False) as found:
        yield found


@pytest.fixture
def cramped(scenario: Scenario, small: tuple[PgServer, Disk]) -> Iterator[tuple[Scenario, Disk]]:
    """Put the target on a small disk of its own."""
    server, disk = small
    found = Scenario(scenario.source, server, scenario.folder)
    found.set_up_target()
    yield found, disk
    for stop in found.stops:
        stop()
    disk.empty()
    server.start()
    drop_everything(server)


MOST = 32 * 1024**2


def fill(scenario: Scenario, disk: Disk, but: int = 0) -> None:
    """Fill the disk when every block in memory has its place there.

    A checkpoint that finds no place for one of a new database's blocks, or for its own notes,
    ends the server (PANIC), and its recovery too.
    """
    scenario.target.sql("CHECKPOINT")
    disk.fill(but)


def test_disk_of_the_target_is_full(cramped: tuple[Scenario, Disk]) -> None:
    scenario, disk = cramped
    stop = scenario.run_in_background(scenario.converge())
    before = scenario.target.sql(MIRROR)
    fill(scenario, disk)

    def full() -> bool:
        write(scenario, rows=500)
        return says(scenario, "no room left", "free space")()

    wait_for(full, timeouts.FOLLOW)
    disk.empty()
    scenario.assert_equal()
    wait_for(lambda: well(scenario), timeouts.FOLLOW)
    stop()
    assert scenario.target.sql(MIRROR) == before, "a full disk is no reason for a new copy"


LARGE = """
INSERT INTO jobs (scope, status)
SELECT repeat('x', 1000), 'pending' FROM generate_series(1, 60000)
"""
FAILED = "SELECT apply_error_count FROM pg_stat_subscription_stats"


def test_disk_that_is_full_in_the_midst_of_a_large_transaction(
    cramped: tuple[Scenario, Disk],
) -> None:
    """Its worker is hardly ever seen away: one that has failed is busy anew at once."""
    scenario, disk = cramped
    agent = scenario.converge()
    agent.memory.applying.allowed = 4
    fill(scenario, disk, but=12 * 1024**2)
    scenario.source.sql(LARGE, database="airbyte")

    def failed() -> bool:
        assert agent.once() is not Step.DROP_SUBSCRIPTION, "a full disk is no reason"
        return scenario.target.sql(FAILED) >= [(12,)]

    wait_for(failed, timeouts.CONVERGE)
    disk.empty()
    scenario.converge(agent)
    scenario.assert_equal()


def test_copy_that_does_not_fit(cramped: tuple[Scenario, Disk]) -> None:
    """It says so, leaves no slot on prod, and begins anew by itself once there is room."""
    scenario, disk = cramped
    bulky = "SELECT n, repeat(md5(n::text), 8) AS filler FROM generate_series(1, 100000) AS n"
    scenario.source.sql(f"CREATE TABLE bulky AS {bulky}", database="airbyte")
    fill(scenario, disk, but=24 * 1024**2)
    stop = scenario.run_in_background(scenario.agent())
    wait_for(says(scenario, "target `core-worker-01`", "no room left"), timeouts.CONVERGE)
    wait_for(lambda: not scenario.source.sql(SLOTS), timeouts.CONVERGE)
    disk.empty()
    wait_for(lambda: well(scenario), timeouts.CONVERGE)
    scenario.assert_equal()
    stop()


def test_copy_that_prod_outgrows(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each copy reads all of prod: it says why it was in vain, and rests before the next one."""
    scenario.settings["feeds.0.max_retained_wal_bytes"] = MOST
    perform = effects.perform
    copies: list[Effect] = []

    def outgrown(name: Effect, function: Callable[[], Any]) -> Any:  # noqa: ANN401
        if name is Effect.MARK_SEEDED and len(copies) < 3:
            scenario.source.write_wal(MOST)
            copies.append(name)
        return perform(name, function)

    monkeypatch.setattr(effects, "perform", outgrown)
    stop = scenario.run_in_background(scenario.agent())
    wait_for(says_why(scenario, "max_retained_wal_bytes"), timeouts.CONVERGE)
    assert scenario.source.sql(SLOTS) == []
    wait_for(lambda: well(scenario), timeouts.CONVERGE)
    scenario.assert_equal()
    stop()


def test_copy_that_prod_outgrows_is_ended_while_it_is_made(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is complete nobody else looks at the slot, and that may be hours."""
    scenario.settings["feeds.0.max_retained_wal_bytes"] = MOST
    monkeypatch.setattr(crew, "TELL_SECONDS", 0.1)
    agent = scenario.agent()
    perform = effects.perform
    done: list[Effect] = []
    failed: list[int] = []

    def long(name: Effect, function: Callable[[], Any]) -> Any:  # noqa: ANN401
        if name is Effect.COPY_TABLE and name not in done:
            scenario.source.write_wal(MOST)
            wait_for(lambda: kept(scenario) > MOST, timeouts.FOLLOW)
        if name is Effect.CREATE_SLOT:
            failed.append(agent.memory.copies.failed)
        done.append(name)
        return perform(name, function)

    monkeypatch.setattr(effects, "perform", long)
    stop = scenario.run_in_background(agent)
    wait_for(lambda: well(scenario), timeouts.CONVERGE)
    scenario.assert_equal()
    stop()
    # The state shows it for a second only; the audit trail keeps it.
    trail = [(step, why) for _, step, phase, why in agent.journal.events() if phase == "failed"]
    assert [step for step, _ in trail] == ["seed"]
    assert "max_retained_wal_bytes" in trail[0][1]
    assert failed == [0, 1], "one copy was in vain, and is one failure"
    assert done.index(Effect.DROP_SLOT) < done.index(Effect.MARK_SEEDED)


def kept(scenario: Scenario) -> int:
    """Return what prod keeps for the slot, as the agent tells it."""
    slot = scenario.state().get("slot")
    return int(slot["retained_bytes"]) if slot else 0


def says_why(scenario: Scenario, words: str) -> Callable[[], bool]:
    """Return whether two copies have failed by now, and the error holds these words."""

    def said() -> bool:
        state = scenario.state()
        failed = (state.get("schema") or {}).get("failed_copies", 0)
        return failed >= 2 and words in str(state["error"])

    return said


SLOTS = "SELECT FROM pg_replication_slots"
REFUSED = """
CREATE FUNCTION on_13(int) RETURNS boolean LANGUAGE sql
    AS $$ SELECT current_setting('server_version_num')::int < 140000 $$;
CREATE TABLE refused (a int CHECK (on_13(a)));
INSERT INTO refused VALUES (1);
"""


def test_copy_that_fails_is_not_tried_without_end(scenario: Scenario) -> None:
    """The target refuses a table; each attempt would burden prod and the target's disk."""
    with scenario.source.connect("airbyte") as prod:
        prod.execute(REFUSED.encode())
    stop = scenario.run_in_background(scenario.agent())

    def rests() -> bool:
        state = scenario.state()
        failed = (state.get("schema") or {}).get("failed_copies", 0)
        return failed >= 2 and "after a pause" in state["next"]

    wait_for(rests, timeouts.CONVERGE)
    assert says(scenario, "refused_a_check", "rows that this server takes", "preflight")()
    assert scenario.source.sql(SLOTS) == []
    scenario.source.sql("DROP TABLE refused", database="airbyte")
    wait_for(lambda: well(scenario), timeouts.CONVERGE)
    scenario.assert_equal()
    stop()
