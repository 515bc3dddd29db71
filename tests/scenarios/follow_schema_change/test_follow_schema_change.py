"""Airbyte is upgraded on prod: the copy stays readable as it was, and is made anew by itself."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import psycopg
import pytest

from db_migration import effects
from db_migration.effects import Effect
from tests.support import timeouts
from tests.support.beside import beside
from tests.support.fix_postgres import wait_for
from tests.support.scenario import PASSWORDS, Scenario

R = TypeVar("R")
QUIET_SECONDS = 1.5
LONGEST_POLL = 60
UPGRADE = (
    "ALTER TABLE jobs ADD COLUMN priority int NOT NULL DEFAULT 3",
    "CREATE TABLE permission (id uuid PRIMARY KEY, kind text)",
    "INSERT INTO permission VALUES ('00000000-0000-0000-0000-000000000001', 'instance_admin')",
    "ALTER TABLE permission ADD COLUMN workspace_id uuid REFERENCES workspace (id)",
    "ALTER TYPE job_status ADD VALUE 'cancelled'",
    "ALTER TABLE attempts DROP COLUMN output",
    "ALTER TABLE workspace RENAME COLUMN email TO address",
    "ALTER TABLE jobs ALTER COLUMN scope TYPE varchar(256)",
    "CREATE INDEX jobs_status ON jobs (status, created_at)",
    "ALTER TABLE connection ADD CONSTRAINT named CHECK (name <> '')",
    "DROP TABLE actor_definition_workspace_grant",
    "ALTER TABLE stream_reset RENAME TO stream_resets",
    "INSERT INTO jobs (scope, status) VALUES ('after', 'cancelled')",
)


def ddl(scenario: Scenario, statement: str) -> None:
    scenario.source.sql(statement, database="airbyte")


def settle(scenario: Scenario) -> None:
    """Wait for an equal copy whose source is not known to have changed."""
    scenario.assert_equal()

    def settled() -> bool:
        state = scenario.state()
        return state["state"] == "following" and state["schema"]["change"] is None

    wait_for(settled, timeouts.FOLLOW)


RECONNECT = ("dropped or renamed", "terminating", "server closed the connection")
"""What a reader meets at a swap: its session is ended, maybe before it hears why."""


@contextmanager
def reader(scenario: Scenario) -> Iterator[list[str]]:
    """Read the copy all the time, as its owner may; yields what went wrong."""
    wrong: list[str] = []
    dsn = psycopg.conninfo.make_conninfo(
        scenario.target.dsn("airbyte_mirror"),
        user="airbyte_migration",
        password=PASSWORDS["migration"],
    )

    def read(ended: threading.Event) -> None:
        while not ended.wait(0.02):
            try:
                with psycopg.connect(dsn) as mirror:
                    query = "SELECT count(*) FROM public.workspace, public.jobs WHERE jobs.id = 1"
                    found = mirror.execute(query).fetchone()
                    wrong.extend([] if found == (5,) else [f"found {found}"])
            except psycopg.OperationalError as error:
                if not any(said in str(error) for said in RECONNECT):
                    wrong.append(str(error))
            except psycopg.Error as error:
                wrong.append(str(error))

    with beside(read):
        yield wrong


def test_an_upgrade_is_one_new_copy(scenario: Scenario) -> None:
    """Dozens of migrations one after the other, each committed by itself."""
    scenario.settings["schema_quiet_seconds"] = QUIET_SECONDS
    stop = scenario.run_in_background(scenario.converge())
    with reader(scenario) as wrong:
        for statement in UPGRADE:
            ddl(scenario, statement)
            threading.Event().wait(QUIET_SECONDS / 5)
        wait_for(
            lambda: "quiet" in (scenario.state()["schema"]["waits_for"] or ""), timeouts.FOLLOW
        )
        state = scenario.state()
        assert "the mirror stays as it was" in state["next"]
        assert state["schema"]["change"]
        assert scenario.source.sql("SELECT FROM pg_replication_slots") == []
        settle(scenario)
    assert wrong == []
    stop()
    assert scenario.copies() == 2
    assert scenario.cli("verify").returncode == 0


def test_is_noticed_at_once_however_seldom_the_agent_looks(scenario: Scenario) -> None:
    scenario.converge()
    scenario.settings["poll_seconds"] = LONGEST_POLL
    agent = scenario.agent()
    stop = scenario.run_in_background(agent)
    heartbeat = agent.memory.heartbeat
    assert heartbeat is not None
    wait_for(lambda: heartbeat.beats > 1, timeouts.FOLLOW)
    ddl(scenario, "ALTER TABLE workspace ADD COLUMN late int")
    changed = time.monotonic()
    gone = "SELECT FROM pg_subscription"
    wait_for(lambda: not scenario.target.sql(gone), timeouts.FOLLOW)
    assert time.monotonic() - changed < 3 * timeouts.FACTOR
    stop()
    del scenario.settings["poll_seconds"]
    scenario.converge()
    scenario.assert_equal()


DURING_A_COPY = (
    (Effect.RESTORE_SCHEMA, "ALTER TABLE jobs ADD COLUMN during int DEFAULT 1"),
    (Effect.BUILD_INDEX, "ALTER TABLE jobs ALTER COLUMN scope TYPE varchar(999)"),
    (Effect.RESTORE_SCHEMA, "DROP TABLE stream_reset"),
    (Effect.MARK_SEEDED, "CREATE TABLE during (id int); INSERT INTO during VALUES (1)"),
    (Effect.SWAP_MIRROR, "ALTER TYPE status_type ADD VALUE 'during'"),
    (Effect.ENABLE_SUBSCRIPTION, "ALTER TABLE jobs DROP COLUMN config"),
)


def test_during_a_copy(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """One change in the midst of each copy, before the effect named with it."""
    agent, perform, lock = scenario.agent(), effects.perform, threading.Lock()
    changes = deque(DURING_A_COPY)

    def meddle(name: Effect, function: Callable[[], R]) -> R:
        with lock:
            if changes and name is changes[0][0]:
                ddl(scenario, changes.popleft()[1])
        return perform(name, function)

    monkeypatch.setattr(effects, "perform", meddle)
    while changes:
        ddl(scenario, f"ALTER TABLE connection ADD COLUMN again_{len(changes)} int")
        scenario.converge(agent)
    settle(scenario)
    assert scenario.cli("verify").returncode == 0


def each_is_a_new_copy(scenario: Scenario, statements: Sequence[str]) -> None:
    """Have prod carry out one after the other: one copy each, the last equal."""
    agent = scenario.converge()
    for number, statement in enumerate(statements, 2):
        ddl(scenario, statement)
        scenario.converge(agent)
        assert scenario.copies() == number, statement
    settle(scenario)
    done = scenario.cli("verify")
    assert done.returncode == 0, done.stdout


BESIDE_TABLES = (
    "CREATE SEQUENCE numbers; CREATE TABLE numbered (id bigint PRIMARY KEY DEFAULT "
    "nextval('numbers')); INSERT INTO numbered DEFAULT VALUES",
    "CREATE OR REPLACE VIEW running AS SELECT id FROM jobs WHERE status = 'failed'",
    "CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n + n'",
    "CREATE SCHEMA more; CREATE TABLE more.of_it (id int PRIMARY KEY); "
    "INSERT INTO more.of_it VALUES (1)",
    "ALTER SEQUENCE counted_id_seq AS bigint; SELECT setval('counted_id_seq', 3000000000)",
    "CREATE EXTENSION citext; CREATE TABLE words (word citext PRIMARY KEY); "
    "INSERT INTO words VALUES ('Ab')",
)


def test_what_is_no_table_is_made_anew_too(scenario: Scenario) -> None:
    ddl(
        scenario,
        "CREATE VIEW running AS SELECT id FROM jobs WHERE status = 'running'; "
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'; "
        "CREATE TABLE counted (id serial PRIMARY KEY)",
    )
    each_is_a_new_copy(scenario, BESIDE_TABLES)


BESIDE_COLUMNS = (
    "ALTER DOMAIN short DROP CONSTRAINT short_check; INSERT INTO shortened VALUES ('too long')",
    "CREATE POLICY all_of_it ON workspace USING (true)",
    "GRANT SELECT ON workspace TO PUBLIC; ALTER TABLE workspace SET (fillfactor = 70)",
    "CREATE STATISTICS of_jobs ON scope, status FROM jobs",
)


def test_what_is_no_column_is_made_anew_too(scenario: Scenario) -> None:
    """Without it the rows of the first one would be refused by the mirror for ever."""
    ddl(
        scenario,
        "CREATE DOMAIN short AS text CHECK (length(VALUE) < 5); "
        "CREATE TABLE shortened (value short PRIMARY KEY)",
    )
    each_is_a_new_copy(scenario, BESIDE_COLUMNS)


def test_what_no_dump_carries_is_one_new_copy_and_not_one_after_the_other(
    scenario: Scenario,
) -> None:
    agent = scenario.converge()
    ddl(scenario, "ALTER TABLE attempts DISABLE TRIGGER ALL")
    scenario.converge(agent)
    settle(scenario)
    scenario.converge()  # another agent, which has to read all of it again
    assert scenario.copies() == 2
    done = scenario.cli("verify")
    assert done.returncode == 3
    assert "attempts_job_id_fkey fires never" in done.stdout


def test_what_a_session_keeps_for_itself_is_no_change(scenario: Scenario) -> None:
    agent = scenario.converge()
    with psycopg.connect(scenario.source.dsn("airbyte"), autocommit=True) as reporting:
        reporting.execute(
            "CREATE TEMP VIEW seen AS SELECT 1 AS one; CREATE TEMP SEQUENCE counted; "
            "CREATE TYPE pg_temp.mood AS ENUM ('good'); "
            "CREATE FUNCTION pg_temp.one() RETURNS int LANGUAGE sql AS 'SELECT 1'"
        )
        scenario.converge(agent)
        assert scenario.cli("verify").returncode == 0
    assert scenario.copies() == 1
