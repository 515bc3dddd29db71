"""What the stand-in does when prod changes its side: killed, fenced, doubled, taken over."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from lab.airbyte_standin import database
from lab.airbyte_standin.settings import Database
from tests.conformance.harness import Airbyte, CallFailedError, call, eventually, fetch
from tests.conformance.installation import Installation, polls

if TYPE_CHECKING:
    from collections.abc import Iterator


def visible(airbyte: Airbyte) -> list[str]:
    """Workflows that run, as Temporal's databases show them (WorkflowExecutionStatus 1)."""
    query = "SELECT workflow_id FROM executions_visibility WHERE status = 1 ORDER BY 1"
    with psycopg.connect(airbyte.postgres.dsn("temporal_visibility")) as connection:
        return [str(row[0]) for row in connection.execute(query)]


@pytest.fixture
def role(booted: Airbyte) -> Iterator[tuple[str, dict[str, str]]]:
    """A role of an instance's own that may enter the database until it is shut out."""
    name = "conformance_instance"
    booted.sql(f"DROP ROLE IF EXISTS {name}")
    booted.sql(
        f"CREATE ROLE {name} LOGIN NOINHERIT PASSWORD 'geheim' IN ROLE {booted.postgres.user}"
    )
    booted.sql(f"ALTER ROLE {name} SET role = {booted.postgres.user}")
    booted.sql(f"REVOKE CONNECT ON DATABASE {booted.database} FROM PUBLIC")
    booted.sql(f"GRANT CONNECT ON DATABASE {booted.database} TO {name}")
    yield name, {"DATABASE_USER": name, "DATABASE_PASSWORD": "geheim"}
    booted.stop()
    booted.sql(f"REVOKE ALL ON DATABASE {booted.database} FROM {name}")
    booted.sql(f"DROP ROLE {name}")


def shut_out(airbyte: Airbyte, role: str) -> None:
    """Refuse the role, and end its sessions."""
    airbyte.sql(f"REVOKE CONNECT ON DATABASE {airbyte.database} FROM {role}")
    airbyte.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])


def test_a_killed_sync_is_repeated_neither_lost_nor_doubled(booted: Airbyte) -> None:
    """5: its batches arrived, its cursor did not; whoever comes next begins at the old one."""
    lab = Installation(booted, interval=1)
    lab.pace(records=5, seconds=0.2)
    worker = booted.worker()
    eventually(lambda: lab.verdict()["records"] >= 5, "a batch")
    worker.kill()
    lab.pace(records=100, seconds=0)
    # A workflow whose worker is gone is cleaned by a new run of it at once.
    body = {"workflowId": f"connection_manager_{lab.connection()}"}
    call(f"{lab.temporal.url}/workflows/terminate", body)
    lab.update()
    booted.instance = "two"
    booted.worker()
    eventually(lambda: lab.syncs() >= 1, "the next one's sync")
    verdict = lab.verdict()
    assert verdict["repeated"] >= 5
    assert verdict["clean"]
    assert verdict["one_writer"]
    assert [one["writer"] for one in verdict["writing"]["periods"]] == [
        "one@127.0.0.1",
        "two@127.0.0.1",
    ]


def test_a_connector_goes_on_without_the_database(
    booted: Airbyte, role: tuple[str, dict[str, str]]
) -> None:
    """A2: that is why a fence of the database does not permit to touch a connection."""
    name, credentials = role
    lab = Installation(booted, interval=1000)
    lab.pace(records=1, seconds=0.1)
    booted.worker(**credentials)
    eventually(lambda: lab.verdict()["records"] >= 1, "a batch")
    shut_out(booted, name)
    there = lab.verdict()["records"]
    eventually(lambda: lab.verdict()["records"] > there + 3, "batches of a fenced Airbyte")


def test_an_airbyte_whose_role_may_not_connect_syncs_nothing(
    booted: Airbyte, role: tuple[str, dict[str, str]]
) -> None:
    """A2: a host that comes back from the dead is shut out by its database."""
    name, credentials = role
    lab = Installation(booted, interval=1)
    worker, server = booted.worker(**credentials), booted.server(**credentials)
    eventually(lambda: lab.syncs() >= 1, "a sync")
    shut_out(booted, name)
    batches = lab.verdict()["batches"]
    body = {"n": 1}
    with pytest.raises(CallFailedError, match="permission denied for database"):
        call(f"{server.url}/lab/write", body)
    assert worker.popen.poll() is None
    assert server.popen.poll() is None
    assert lab.verdict()["batches"] <= batches + 1
    booted.sql(f"GRANT CONNECT ON DATABASE {booted.database} TO {name}")
    eventually(lambda: call(f"{server.url}/lab/write", body)["id"], "it is let in again")


def test_two_airbytes_on_one_store_of_temporal_show_in_the_verdict(booted: Airbyte) -> None:
    """5: not a supported layout; they take turns, double nothing, and are two writers."""
    lab = Installation(booted, interval=1)
    booted.worker()
    booted.instance = "two"
    booted.temporal()
    booted.worker()

    def both_wrote() -> bool:
        lab.grow(lab.verdict()["records"] + 5)
        return bool(lab.verdict()["writing"]["returns"])

    eventually(both_wrote, "both wrote")
    assert not lab.verdict()["one_writer"]
    assert lab.verdict()["clean"]


def test_workflows_that_were_kept_go_on_and_start_nothing_twice(booted: Airbyte) -> None:
    """A2: the next Airbyte finds the workflows of the last one in Temporal's databases."""
    lab = Installation(booted, interval=1000)
    worker = booted.worker()
    eventually(lambda: lab.syncs() == 1, "the first sync")
    worker.kill()
    lab.temporal.kill()
    booted.instance = "two"
    lab.temporal = booted.temporal()
    server, worker = booted.server(), booted.worker()
    assert [one["phase"] for one in lab.workflows()] == ["waiting"]
    touched = {"connectionId": lab.connection()}
    call(f"{server.url}/api/v1/connections/update", touched)
    polls(worker, booted)
    assert lab.syncs() == 1
    assert lab.verdict()["clean"]


def test_what_proves_that_a_connection_is_scheduled(booted: Airbyte) -> None:
    """5: the API's status tells of the past; only Temporal's own list tells of the next run."""
    lab = Installation(booted, interval=1000)
    connection = lab.connection()
    workflow = f"connection_manager_{connection}"
    running = [workflow]
    assert visible(booted) == running
    call(f"{lab.temporal.url}/workflows/terminate", {"workflowId": workflow})
    asked = {"connectionIds": [connection]}
    [status] = json.loads(fetch(f"{lab.server.url}/api/v1/connections/status", asked))
    assert status == {"connectionId": connection, "connectionSyncStatus": "pending"}
    assert visible(booted) == []
    lab.update()
    assert visible(booted) == running
    booted.worker()
    eventually(lambda: lab.syncs() == 1, "the sync")
    [status] = json.loads(fetch(f"{lab.server.url}/api/v1/connections/status", asked))
    assert status["connectionSyncStatus"] == "synced"
    assert {"lastSuccessfulSync", "lastSyncJobId"} <= set(status)


def test_a_refused_pool_asks_seldom_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """HikariCP has one thread that opens connections, and it waits longer after each refusal."""
    asked = []

    def refuse(*_given: object) -> None:
        asked.append(1)
        raise psycopg.OperationalError

    monkeypatch.setattr(database, "connect", refuse)
    monkeypatch.setattr(database, "POOL_WAIT_SECONDS", 1.0)
    nowhere = Database(host="h", port=1, name="d", user="u", password="p")
    pool = database.Pool(nowhere, "test", size=8)

    def ask() -> None:
        with pytest.raises(database.PoolTimeoutError):
            pool.rows("SELECT 1")

    waiting = [threading.Thread(target=ask) for _ in range(8)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert 2 <= len(asked) <= 5
