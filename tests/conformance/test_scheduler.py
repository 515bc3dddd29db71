"""The scheduler: its memory is Temporal's database, and nothing else brings a workflow back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lab.airbyte_standin import schedule
from tests.conformance.harness import Airbyte, call, eventually
from tests.conformance.installation import FEW_ROWS, Installation, cursor, polls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.harness import PostgresServer

NEVER = float("inf")


def test_a_sync_commits_cursor_job_and_ledger(booted: Airbyte) -> None:
    """5 and contract: no job yet means at once; the cursor goes to `state`, nothing is lost."""
    lab = Installation(booted, interval=1000)
    booted.worker()
    eventually(lambda: lab.syncs() == 1, "the first sync")
    assert cursor(booted) == 25
    call(f"{lab.world.url}/source/{lab.source()}/grow", {"to": 40})
    call(f"{lab.server.url}/api/v1/connections/sync", {"connectionId": lab.connection()})
    eventually(lambda: cursor(booted) == 40, "the manual sync")
    verdict = lab.verdict()
    assert verdict["clean"]
    assert verdict["records"] == 40
    attempts = booted.sql("SELECT status::text FROM attempts")
    assert {row["status"] for row in attempts} == {"succeeded"}


def test_an_empty_temporal_schedules_nothing_until_a_touch(booted: Airbyte) -> None:
    """5 (I#34407): a lost store is not made again at start; a no-op update is enough."""
    lab = Installation(booted, interval=1)
    assert lab.seeded["workflowsStarted"] == 1
    call(
        f"{lab.temporal.url}/workflows/terminate",
        {"workflowId": f"connection_manager_{lab.connection()}"},
    )
    worker = booted.worker()
    polls(worker, booted)
    assert lab.syncs() == 0
    lab.server.stop()
    lab.server = booted.server()
    polls(worker, booted)
    assert lab.workflows() == []
    lab.update()
    eventually(lambda: lab.syncs() >= 1, "a sync after the touch")
    events = "SELECT count(*) FROM connection_timeline_event"
    assert booted.one(events) >= 1


def test_a_new_workflow_fails_running_jobs_first(booted: Airbyte) -> None:
    """5: ensureCleanJobState fails every non-terminal job of the connection."""
    lab = Installation(booted, interval=1000)
    query = """INSERT INTO jobs (config_type, scope, config, status, created_at, updated_at)
               VALUES ('sync', %s, '{}', 'running', now(), now()) RETURNING id"""
    job = booted.one(query, [lab.connection()])
    booted.sql(
        """INSERT INTO attempts (job_id, attempt_number, status, created_at, updated_at)
           VALUES (%s, 0, 'running', now(), now())""",
        [job],
    )
    booted.worker()
    status = "SELECT status::text FROM jobs WHERE id = %s"
    eventually(lambda: booted.one(status, [job]) == "failed", "the job fails")
    failure = "SELECT failure_summary::text FROM attempts WHERE job_id = %s"
    assert "existing job state was cleaned" in booted.one(failure, [job])
    # Fresh created_at: the next run waits for the whole interval.
    assert lab.syncs("running") == 0


def test_touching_a_known_workflow_spares_its_jobs(booted: Airbyte) -> None:
    """5: only a new workflow cleans; an update of a reachable one is a signal."""
    lab = Installation(booted, interval=1000)
    worker = booted.worker()
    eventually(lambda: lab.syncs() == 1, "the first sync")
    query = """INSERT INTO jobs (config_type, scope, config, status, created_at, updated_at)
               VALUES ('sync', %s, '{}', 'pending', now(), now()) RETURNING id"""
    job = booted.one(query, [lab.connection()])
    lab.update()
    polls(worker, booted)
    assert booted.one("SELECT status::text FROM jobs WHERE id = %s", [job]) == "pending"


def test_a_cancelled_job_ends_and_its_workflow_is_there(booted: Airbyte) -> None:
    """5: cancel, too, starts a workflow where there is none."""
    lab = Installation(booted, interval=1000)
    query = """INSERT INTO jobs (config_type, scope, config, status, created_at, updated_at)
               VALUES ('sync', %s, '{}', 'running', now(), now()) RETURNING id"""
    job = booted.one(query, [lab.connection()])
    gone = {"workflowId": f"connection_manager_{lab.connection()}"}
    call(f"{lab.temporal.url}/workflows/terminate", gone)
    assert lab.workflows() == []
    ended = call(f"{lab.server.url}/api/v1/jobs/cancel", {"id": job})
    assert ended["job"]["status"] == "cancelled"
    assert len(lab.workflows()) == 1


def test_a_sync_without_its_secret_fails(booted: Airbyte) -> None:
    """4.3: configurations name secrets; a database without the payloads is worth nothing."""
    lab = Installation(booted, interval=1000, secrets=1)
    booted.sql("ALTER TABLE secrets RENAME TO forgotten")
    worker = booted.worker()
    eventually(lambda: lab.syncs("failed") == 1, "the sync fails")
    assert "secrets not found" in worker.text()
    assert lab.verdict()["records"] == 0
    booted.sql("ALTER TABLE forgotten RENAME TO secrets")
    call(f"{lab.server.url}/api/v1/connections/sync", {"connectionId": lab.connection()})
    eventually(lambda: lab.syncs() == 1, "a sync with its secret")


def test_an_inactive_connection_never_runs(booted: Airbyte) -> None:
    """5: inactive waits for ever, even when it is touched."""
    lab = Installation(booted, interval=1)
    lab.update(status="inactive")
    worker = booted.worker()
    polls(worker, booted)
    assert lab.syncs() == 0


def test_without_a_worker_workflows_only_queue(booted: Airbyte) -> None:
    """3.4: temporal and server without worker: queued, not processed."""
    lab = Installation(booted, interval=1)
    lab.update()
    assert lab.syncs() == 0
    assert [one["phase"] for one in lab.workflows()] == ["new"]


def test_a_killed_worker_loses_no_record(booted: Airbyte) -> None:
    """5: state is committed after the destination; a new worker takes up from the cursor."""
    lab = Installation(booted, interval=1)
    worker = booted.worker()
    eventually(lambda: lab.syncs() >= 1, "a sync")
    worker.kill()
    before = cursor(booted)
    call(f"{lab.world.url}/source/{lab.source()}/grow", {"to": before + 10})
    booted.worker()
    eventually(lambda: cursor(booted) >= before + 10, "the next worker goes on")
    assert lab.verdict()["lost"] == 0


def test_two_instances_on_copies_double_the_records(
    booted: Airbyte, make_airbyte: Callable[..., Airbyte], pg17: PostgresServer
) -> None:
    """5: two instances on two copies of one database both write the same destination."""
    first = Installation(booted, interval=1000)
    booted.worker()
    eventually(lambda: first.syncs() == 1, "the first instance's sync")
    other = make_airbyte(pg17)
    other.boot()
    other.instance = "two"
    other.extra["LAB_WORLD_URL"] = first.world.url
    other.temporal()
    server = other.server()
    call(f"{server.url}/lab/seed", {"connections": 1, "interval_minutes": 1000} | FEW_ROWS)
    other.worker()
    verdict = eventually(
        lambda: (found := first.verdict())["doubled"] and found, "doubles in the ledger"
    )
    assert not verdict["clean"]
    assert {writer.partition("@")[0] for writer in verdict["writers"]} == {"one", "two"}
    assert verdict["lost"] == 0


def test_reset_deletes_from_the_table_without_a_key(booted: Airbyte) -> None:
    """4.2: Airbyte deletes from stream_reset; published without an identity, that fails."""
    lab = Installation(booted, interval=1000)
    body = {"connectionId": lab.connection()}
    booted.sql("CREATE PUBLICATION everything FOR ALL TABLES")
    with pytest.raises(Exception, match="replica identity"):
        call(f"{lab.server.url}/api/v1/connections/reset", body)
    for table in ("stream_reset", "actor_definition_workspace_grant"):
        booted.sql(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
    assert call(f"{lab.server.url}/api/v1/connections/reset", body)["job"]["id"]


def test_cron_writes_by_the_clock(booted: Airbyte) -> None:
    """4.4: cron imports the definitions after one minute, whoever uses Airbyte."""
    booted.temporal()
    before = booted.one("SELECT max(updated_at) FROM actor_definition_version")
    booted.start("cron").ready()
    query = "SELECT max(updated_at) FROM actor_definition_version"
    eventually(lambda: booted.one(query) > before, "cron's update")


@pytest.mark.parametrize(
    ("status", "kind", "data", "age", "wait"),
    [
        ("active", "basic_schedule", {"units": 2, "timeUnit": "hours"}, 3600.0, 3600.0),
        ("active", "basic_schedule", {"units": 1, "timeUnit": "hours"}, 9999.0, 0.0),
        ("active", "basic_schedule", {"units": 1, "timeUnit": "days"}, None, 0.0),
        ("inactive", "basic_schedule", {"units": 1, "timeUnit": "hours"}, None, NEVER),
        ("active", "manual", None, None, NEVER),
    ],
)
def test_waits(
    status: str, kind: str, data: dict[str, Any] | None, age: float | None, wait: float
) -> None:
    """5: BASIC = last job's created_at + interval, overdue runs at once; inactive, manual never."""
    basic = {"basicSchedule": data} if data else None
    assert schedule.seconds_to_wait(status, kind, basic, age) == wait
