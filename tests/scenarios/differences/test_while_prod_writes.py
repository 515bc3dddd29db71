"""Both strengths while prod writes: nothing that only moves is a difference, and prod is not hurt.

`NOTICEABLE` is what a loaded machine may add to the pause that prod's writers are promised.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from db_migration.errors import BlockedError
from db_migration.verification import pause as verify_pause
from db_migration.verification import sums as verify_sums
from db_migration.verification import verify
from db_migration.verification.rows import Shape, Sides
from tests.scenarios.differences.load import writing
from tests.support import exact, timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario

NOTICEABLE = 0.5 * timeouts.FACTOR
LIMIT = verify_pause.PAUSE_MS / 1000 + NOTICEABLE


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_pause, "BETWEEN_SECONDS", 0.02)


def deadlocks(scenario: Scenario) -> int:
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'airbyte'"
    return int(scenario.source.sql(query)[0][0])


@contextmanager
def open_transaction(scenario: Scenario, statement: str) -> Iterator[psycopg.Connection[object]]:
    with psycopg.connect(scenario.source.dsn("airbyte")) as prod:
        prod.execute(statement.encode())
        yield prod
        prod.commit()


def test_rows_that_change_all_the_time_are_no_difference(followed: Scenario) -> None:
    """The sides are never read at the same moment; what is late must not look like what is lost."""
    with writing(followed) as load:
        for _ in range(3):
            assert verify.verify(followed.context()).differences == []
    assert load.failures == []


def test_exact_at_one_lsn_while_prod_writes(followed: Scenario) -> None:
    """Every difference in time between the two snapshots would show as a difference of rows."""
    before, rounds, pauses = deadlocks(followed), 8, []
    with writing(followed) as load:
        for _ in range(rounds):
            found = exact.verified(followed)
            assert found.differences == []
            assert found.pause is not None
            pauses.append(found.pause)
    assert load.failures == []
    assert load.slowest_seconds < LIMIT
    assert deadlocks(followed) == before
    for pause in pauses:
        assert 0 < pause.held_ms <= pause.worst_wait_ms
    assert max(pause.worst_wait_ms for pause in pauses) < verify_pause.PAUSE_MS


def test_exact_finds_what_differs_while_prod_writes(followed: Scenario) -> None:
    query = "UPDATE jobs SET config = '{}' WHERE id = 400"
    followed.target.sql(query, database="airbyte_mirror")
    with writing(followed):
        found = exact.verified(followed)
    undo = """UPDATE jobs SET config = '{"n": 400}' WHERE id = 400"""
    followed.target.sql(undo, database="airbyte_mirror")
    assert found.differences == ["table public.jobs: row {400} differs in config"]
    assert found.counts == {"public.jobs": 1}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE jobs SET scope = 'open' WHERE id = 60",
        "INSERT INTO keyless VALUES ('open')",
        "LOCK TABLE attempts IN SHARE UPDATE EXCLUSIVE MODE",
        "ALTER TABLE granted ALTER value SET STATISTICS 100",
    ],
)
def test_long_transaction_makes_exact_give_up(followed: Scenario, statement: str) -> None:
    """And nobody has queued behind the locks that it asked for."""
    with open_transaction(followed, statement) as prod:
        with writing(followed) as load, pytest.raises(BlockedError) as refused:
            verify.verify_exactly(followed.context())
        assert "is held by a transaction of `docker`" in refused.value.found
        assert load.failures == []
        assert load.slowest_seconds < LIMIT
        prod.execute("SELECT 1")
    assert exact.verified(followed).differences == []


def test_long_reader_is_in_nobodys_way(followed: Scenario) -> None:
    with open_transaction(followed, "SELECT count(*) FROM jobs"):
        assert exact.verified(followed).differences == []


def test_server_lets_go_when_the_script_stands_still(
    followed: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, go_on = threading.Event(), threading.Event()

    def stand_still(*_: object) -> str:
        locked.set()
        assert go_on.wait(timeouts.AGENT_STEP)
        return "0/0"

    monkeypatch.setattr(verify_pause, "WAITS_MS", (0,))
    monkeypatch.setattr(verify_pause, "_snapshots", stand_still)
    refused: list[BlockedError] = []

    def work() -> None:
        with pytest.raises(BlockedError) as error:
            verify.verify_exactly(followed.context())
        refused.append(error.value)

    frozen = threading.Thread(target=work)
    frozen.start()
    try:
        assert locked.wait(timeouts.AGENT_STEP)
        begun = time.monotonic()
        followed.source.sql("UPDATE jobs SET scope = 'free' WHERE id = 8", database="airbyte")
        waited = time.monotonic() - begun
    finally:
        go_on.set()
        frozen.join()
    assert waited < LIMIT
    assert "the server let go" in refused[0].found


def test_gives_up_when_the_server_was_too_slow_to_let_go(
    followed: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its limits end nothing while its process gets no time: what counts is when it answered."""
    locker = "SELECT DISTINCT pid FROM pg_locks WHERE mode = 'ShareLock' AND granted"
    late = (
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND clock_timestamp() - query_start > %s::interval"
    )
    update = "UPDATE jobs SET scope = 'late' WHERE id = 9"

    with ThreadPoolExecutor(1) as pool:

        def freeze(*_: object) -> str:
            [(pid,)] = followed.source.sql(locker, database="airbyte")
            os.kill(pid, signal.SIGSTOP)
            try:
                pool.submit(followed.source.sql, update, database="airbyte")
                limit = f"{2 * verify_pause.PAUSE_MS} ms"
                wait_for(lambda: followed.source.sql(late, limit), timeouts.ARRIVES)
            finally:
                os.kill(pid, signal.SIGCONT)
            return "0/0"

        monkeypatch.setattr(verify_pause, "_snapshots", freeze)
        with pytest.raises(BlockedError, match=r"writers may have waited for \d{3,} ms"):
            verify.verify_exactly(followed.context())


def test_gives_up_after_a_pause_that_was_too_long(
    followed: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_pause, "PAUSE_MS", 0)
    with pytest.raises(BlockedError, match=r"writers may have waited for \d+ ms"):
        verify.verify_exactly(followed.context())


def continuously(scenario: Scenario) -> verify.Result:
    return verify.verify(scenario.context())


def before_hashing(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Act between the snapshots, if there are any, and the first row that is read."""
    hashing = verify_sums.of_both

    def altered(sides: Sides, shapes: list[Shape]) -> object:
        act()
        return hashing(sides, shapes)

    monkeypatch.setattr(verify_sums, "of_both", altered)


def is_awaited(scenario: Scenario, table: str) -> bool:
    query = "SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    return bool(scenario.source.sql(query, table, database="airbyte"))


@pytest.mark.parametrize("check", [continuously, exact.verified])
def test_statements_of_prod_that_alter_several_tables_meet_no_circle_of_locks(
    followed: Scenario,
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[Scenario], verify.Result],
) -> None:
    """Who reads waits for a table, and holds none of those that prod wants meanwhile."""
    before = deadlocks(followed)
    with (
        psycopg.connect(followed.source.dsn("airbyte")) as prod,
        ThreadPoolExecutor(1) as pool,
    ):
        prod.execute("SET deadlock_timeout = '10ms'")  # so that it is prod whom a circle would hit
        prod.commit()
        alter = "ALTER TABLE {} ADD COLUMN later int"
        before_hashing(monkeypatch, lambda: prod.execute(alter.format("granted").encode()))
        found = pool.submit(check, followed)
        wait_for(lambda: is_awaited(followed, "granted"), timeouts.ARRIVES)
        for table in ("jobs", "attempts", "actor", "connection"):
            prod.execute(alter.format(table).encode())
        prod.rollback()
        assert found.result().differences == []
    assert deadlocks(followed) == before


def test_table_that_is_altered_after_the_snapshot_is_named(
    followed: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(old: str, new: str) -> None:
        query = f"ALTER TABLE granted RENAME {old} TO {new}"
        followed.source.sql(query, database="airbyte")

    before_hashing(monkeypatch, lambda: rename("value", "altered"))
    try:
        found = exact.verified(followed)
    finally:
        rename("altered", "value")
    assert found.differences == ["table public.granted: its rows can not be read on both sides"]


def test_table_that_is_emptied_after_the_snapshot_is_not_called_equal(
    followed: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot shows it empty, and so does a mirror that has followed meanwhile."""

    def rows_of_mirror(query: str) -> list[tuple[object, ...]]:
        return followed.target.sql(query, database="airbyte_mirror")

    def empty_both() -> None:
        followed.source.sql("TRUNCATE granted", database="airbyte")
        wait_for(lambda: not rows_of_mirror("SELECT FROM granted"), timeouts.ARRIVES)

    for _ in range(exact.PATIENCE):
        followed.source.sql("INSERT INTO granted VALUES (1, 'prod')", database="airbyte")
        wait_for(lambda: rows_of_mirror("SELECT FROM granted"), timeouts.ARRIVES)
        rows_of_mirror("UPDATE granted SET value = 'mirror'")
        with monkeypatch.context() as patched:
            before_hashing(patched, empty_both)
            with pytest.raises(BlockedError) as refused:
                verify.verify_exactly(followed.context())
        followed.source.sql("TRUNCATE granted", database="airbyte")
        if not exact.GAVE_UP.search(refused.value.found):
            break
    assert refused.value.found == (
        "prod has emptied or rewritten public.granted during the verification"
    )
