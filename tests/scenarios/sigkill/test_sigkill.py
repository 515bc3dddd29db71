"""A real agent is killed with SIGKILL before and after every one of its side effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from db_migration.agent.copies import NOTED_EVERY_BYTES
from db_migration.effects import Effect
from tests.support.fix_postgres import wait_for
from tests.support.killed_agent import lives
from tests.support.scenario import SLOT, Scenario
from tests.support.timeouts import FOLLOW

LATE = {
    Effect.CREATE_LATE_TABLES,
    Effect.PUBLISH_LATE_TABLES,
    Effect.REFRESH_SUBSCRIPTION,
    Effect.ADD_LATE_KEYS,
    Effect.MARK_TABLES,
}
NOTES = (Effect.MARK_LOGS, Effect.NOTE_LOGS)
AGAIN = (Effect.DROP_SUBSCRIPTION, Effect.DROP_SLOT)
BROKEN = Effect.RECONNECT
STRAY = {Effect.DROP_SEED: "airbyte_mirror_seed", Effect.DROP_NEXT_WORKING: "airbyte_next"}
RELEASE = (
    Effect.DROP_PUBLICATION,
    Effect.RESET_WAL_LEVEL,
    Effect.RESET_WAL_BOUND,
    Effect.DROP_ROLE,
)
OF_A_FEED = ("journal.", "source.", "target.", "reader.")
"""The others change who is active: the scenarios of the cut-over and the failover walk them."""
NOT_FIRST = {*LATE, *NOTES, *AGAIN, *STRAY, *RELEASE, BROKEN}
FIRST_RUN = [e for e in Effect if e.startswith(OF_A_FEED) and e not in NOT_FIRST]

Kill = Callable[..., int]


@pytest.fixture
def agents(scenario: Scenario) -> Iterator[Kill]:
    """Return what runs one agent, killed at an effect or to its end; the result is the signal."""
    scenario.set_wal_level("replica")
    (scenario.folder / "reader").touch()
    arguments = str(scenario.write_config()), scenario.source.dump()
    log = scenario.folder / "agents.log"
    with lives("tests.support.killed_agent", *arguments, log_file=log) as life:
        number = 0

        def run(effect: Effect | None = None, when: str = "", action: str = "run") -> int:
            nonlocal number
            number += 1
            write(scenario, number)
            return life(action, effect, when)

        yield run


def write(scenario: Scenario, number: int) -> None:
    """Let prod write between two lives of the agent, if it is up."""
    if scenario.source.pid() is not None:
        with scenario.source.connect("airbyte") as prod:
            prod.execute("INSERT INTO jobs (scope, status) VALUES (%s, 'pending')", (str(number),))
            prod.execute("DELETE FROM stream_reset WHERE stream_name = 'none'")


def twice(agents: Kill, effect: Effect, provoke: Callable[[], object] = lambda: None) -> None:
    for when in ("before", "after"):
        provoke()
        agents(effect, when)


def test_first_run(scenario: Scenario, agents: Kill) -> None:
    for effect in FIRST_RUN:
        twice(agents, effect)
    agents()
    scenario.assert_equal()
    assert scenario.cli("verify").returncode == 0
    assert (scenario.folder / "reader").exists()
    leftovers = scenario.target.sql(
        "SELECT datname FROM pg_database WHERE datname ~ '(_next|_old|_seed)$'"
    )
    assert leftovers == []


def test_later_runs(scenario: Scenario, agents: Kill) -> None:
    agents()
    tables = iter(range(1000))

    def late_table() -> None:
        table = f"late_{next(tables)}"
        scenario.source.sql(
            f"CREATE TABLE {table} (id int PRIMARY KEY, job bigint REFERENCES jobs); "
            f"INSERT INTO {table} VALUES (1)",
            database="airbyte",
        )

    for effect in sorted(LATE):
        twice(agents, effect, late_table)
    agents()
    scenario.assert_equal()
    for effect in NOTES:
        twice(agents, effect, partial(scenario.source.write_wal, 2 * NOTED_EVERY_BYTES))
    agents()
    assert scenario.copies() == 1

    def new_column() -> None:
        scenario.source.sql(
            f"ALTER TABLE jobs ADD COLUMN c{next(tables)} int DEFAULT 7", database="airbyte"
        )

    for effect in AGAIN:
        for when in ("before", "after"):
            new_column()
            agents(effect, when)
            agents()
    twice(agents, BROKEN, partial(lose_the_source, scenario))
    for effect, database in STRAY.items():
        twice(agents, effect, partial(make_stray, scenario, database))
    agents()
    scenario.assert_equal()
    assert scenario.cli("verify").returncode == 0


def lose_the_source(scenario: Scenario) -> None:
    """Point the subscription at nothing, as after a change of address."""
    conninfo = "host=127.0.0.1 port=1 dbname=airbyte user=airbyte_migration password=old"
    change = f"ALTER SUBSCRIPTION {SLOT} CONNECTION '{conninfo}'"
    scenario.target.sql(change, database="airbyte_mirror")
    # The old worker goes on for a moment, and an agent that sees it finds nothing to mend.
    active = "SELECT FROM pg_replication_slots WHERE slot_name = %s AND active"
    wait_for(lambda: not scenario.source.sql(active, SLOT), FOLLOW)


def make_stray(scenario: Scenario, database: str) -> None:
    if not scenario.target.sql("SELECT FROM pg_database WHERE datname = %s", database):
        scenario.target.sql(f"CREATE DATABASE {database} OWNER airbyte_migration")


def test_release(scenario: Scenario, agents: Kill) -> None:
    agents()
    for effect in (*AGAIN, *RELEASE):
        for when in ("before", "after"):
            agents(effect, when, action="release")
    agents(action="release")
    assert scenario.source.sql("SELECT FROM pg_replication_slots") == []
    assert scenario.source.sql("SELECT FROM pg_publication", database="airbyte") == []
    assert scenario.source.sql("SELECT FROM pg_roles WHERE rolname = 'airbyte_migration'") == []
    setting = "SELECT count(*) FROM pg_file_settings WHERE name = 'wal_level'"
    assert scenario.source.sql(setting) == [(0,)]
    agents()
    assert scenario.state()["state"] == "released"
