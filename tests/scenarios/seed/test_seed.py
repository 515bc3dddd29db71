"""A seed that loses connections, splits tables, proves what it loaded and says how far it is."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from db_migration import pinned
from db_migration.agent.agent import Agent
from db_migration.agent.plan import Step
from db_migration.catalog import Table
from db_migration.errors import Stopping
from db_migration.seeding import crew as seed_crew
from db_migration.seeding import pipe, seed
from db_migration.seeding import plan as seed_plan
from db_migration.seeding.crew import Tally, Worker
from db_migration.seeding.plan import Job, Kind, Part
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.scenario import SLOT, Scenario
from tests.support.timeouts import CONVERGE

COPYING = "application_name = 'airbyte-migration' AND query LIKE 'COPY%'"
EXPORTING = "backend_type = 'walsender'"


def end_sessions(server: PgServer, which: str) -> None:
    query = f"SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE {which}"
    gone = [pid for pid, _ in server.sql(query)]
    assert gone, f"no session {which}"
    wait_for(lambda: not server.sql("SELECT FROM pg_stat_activity WHERE pid = ANY(%s)", gone), 20)


def once_in_a_table(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> list[Job]:
    """Act when the first block of the biggest table has been read; return what was at work."""
    seen: list[Job] = []
    add = Tally.add

    def watched(tally: Tally, job: Job, rows: int, size: int) -> None:
        add(tally, job, rows, size)
        if size > 0 and not seen and job.tables == ("public.jobs",):
            seen.append(job)
            act()

    monkeypatch.setattr(Tally, "add", watched)
    return seen


@pytest.mark.parametrize("lost", ["source", "target", "snapshot's first holder"])
def test_a_lost_connection_costs_one_job(
    filled: Scenario, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The rows come again in the same snapshot: what prod has written meanwhile is not in it."""
    monkeypatch.setattr(seed_crew, "PAUSE_SECONDS", 0.0)

    def lose() -> None:
        filled.source.sql("DELETE FROM jobs WHERE id > 600", database="airbyte")
        if lost == "snapshot's first holder":
            end_sessions(filled.source, EXPORTING)
        end_sessions(filled.target if lost == "target" else filled.source, COPYING)

    there = filled.content(filled.source, "airbyte")
    at = once_in_a_table(monkeypatch, lose)
    loaded = seed.seed(filled.context(), verify=True)
    assert at, "nothing was lost"
    assert loaded.differences == []
    assert filled.content(filled.target, "airbyte_mirror_seed") == there
    assert loaded.rows == sum(len(rows) for rows in there.values())
    monkeypatch.undo()
    filled.converge()
    filled.assert_equal()


@pytest.mark.parametrize(("lost", "times"), [("after the commit", 1), ("before the commit", 2)])
def test_a_job_whose_commit_was_not_heard_of_is_not_done_twice(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, lost: str, times: int
) -> None:
    monkeypatch.setattr(seed_crew, "PAUSE_SECONDS", 0.0)
    context = scenario.context()
    seed.create_database(context)
    done: list[str] = []

    def carry_out(worker: Worker, job: Job) -> None:
        with worker.transaction() as target:
            done.append(job.name)
            if lost == "before the commit" and len(done) == 1:
                end_sessions(scenario.target, "datname = 'airbyte_mirror_seed'")
                target.execute("SELECT 1")
        if len(done) == 1:
            raise psycopg.OperationalError(lost)

    worker = Worker(context, [])
    worker.run(Job(Kind.KEY, "key"), carry_out, threading.Event())
    worker.close()
    assert done == ["key"] * times


def test_a_table_arrives_in_parts(prepared: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_plan, "SMALLEST_PART_BYTES", 8192)
    parts = seed_plan.split([], 2)
    split = seed_plan.split

    def noted(tables: Sequence[Table], workers: int) -> dict[str, list[Part]]:
        parts.update(split(tables, workers))
        return parts

    monkeypatch.setattr(seed_plan, "split", noted)
    loaded = seed.seed(prepared.context(), verify=True)
    assert max(len(found) for found in parts.values()) > 1
    assert loaded.differences == []
    there = prepared.content(prepared.source, "airbyte")
    assert prepared.content(prepared.target, "airbyte_mirror_seed") == there


def test_stops_in_the_middle_of_a_table(filled: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    context = filled.context()
    assert once_in_a_table(monkeypatch, context.stop.set) == []
    with pytest.raises(Stopping):
        seed.seed(context)
    context.stop.clear()
    monkeypatch.undo()
    filled.converge()
    filled.assert_equal()


def test_says_what_a_slot_waits_for(prepared: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(seed, "LONG_SECONDS", 0.1)
    monkeypatch.setitem(pinned.PINNED, "lock_timeout", "50ms")  # a slot waits longer than that
    told: list[Any] = []
    with prepared.source.connect("airbyte") as prod:
        prod.execute("BEGIN; INSERT INTO stream_reset (stream_name) VALUES ('open')")

        def tell(_: str, what: Any) -> None:  # noqa: ANN401
            told.append(what)
            if prod.info.transaction_status.name == "INTRANS":
                prod.execute("COMMIT")

        seed.seed(replace(prepared.context(), tell=tell), verify=True)
    assert "waits for prod's open transactions" in told[0]["text"]


def test_slot_that_waits_too_long_is_given_up(
    prepared: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prod keeps its log for a slot in the making, too: from the moment on that it is asked for."""
    monkeypatch.setattr(pipe, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(seed, "LONG_SECONDS", 0.1)
    most = 32 * 1024**2
    prepared.settings["feeds.0.max_retained_wal_bytes"] = most
    agent = prepared.agent()
    tell = agent.context.tell

    def busy(key: str, what: object) -> None:
        if key == "progress" and not prepared.state().get("slot"):
            prepared.source.write_wal(most)
        tell(key, what)

    agent.context = replace(agent.context, tell=busy)
    with prepared.source.connect("airbyte") as prod, prod.transaction():
        prod.execute("INSERT INTO stream_reset (stream_name) VALUES ('open')")
        assert agent.once() is None
        assert "max_retained_wal_bytes" in prepared.state()["error"]["way_out"]
        assert agent.once() is Step.DROP_SLOT
        assert prepared.source.sql("SELECT FROM pg_replication_slots") == []
        assert agent.memory.copies.failed == 1
    prepared.converge(agent)
    prepared.assert_equal()


def test_slot_of_a_database_that_was_replaced_is_named(prepared: Scenario) -> None:
    """As when prod was restored beside its database and has got its name; no other slot is ours."""
    made = "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')"
    prepared.source.sql("CREATE DATABASE before")
    prepared.source.sql(made, SLOT, database="before")
    agent = prepared.agent()
    assert agent.once() is None
    error = prepared.state()["error"]
    assert "`before`, not of `airbyte`" in error["found"]
    assert prepared.source.sql("SELECT database FROM pg_replication_slots") == [("before",)]
    prepared.source.sql(re.findall(r"SELECT [^)]+\)", error["way_out"])[0])
    wait_for(lambda: agent.memory.copies.seconds() == 0, CONVERGE)
    prepared.converge(agent)
    prepared.assert_equal()


def test_says_how_far_it_is(filled: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_crew, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(seed_crew, "LOOK_SECONDS", 0.01)
    told: list[Any] = []
    context = replace(filled.context(), tell=lambda key, what: told.append((key, what)))
    began = time.monotonic()
    loaded = seed.seed(context)
    assert {key for key, _ in told} == {"progress", "slot"}
    seen = [what for key, what in told if key == "progress"]
    last = seen[-1]
    assert last["tables"] == len(filled.content(filled.source, "airbyte"))
    assert 0 < last["rows"] <= loaded.rows
    assert 0 < last["elapsed_seconds"] <= time.monotonic() - began
    shares = [what["share"] for what in seen]
    assert shares == sorted(shares)


def test_the_agent_shows_it(filled: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_crew, "TELL_SECONDS", 0.0)
    agent = Agent(filled.context())
    shown: list[Any] = []
    tell = agent.context.tell

    def kept(key: str, what: object) -> None:
        tell(key, what)
        shown.append(filled.state())

    agent.context = replace(agent.context, tell=kept)
    assert agent.attempt() == "seed"
    assert shown
    assert shown[-1]["progress"]["tables"] > 0
    assert shown[-1]["state"] == "seeding"
