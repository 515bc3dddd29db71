"""After a change of sides every schedule is brought back, at a pace, and proven."""

from __future__ import annotations

import pytest

from db_migration.errors import BlockedError
from tests.conformance.harness import call, eventually
from tests.support.live_standin import Live

MOST_AT_ONCE = """
SELECT max(n) FROM (SELECT count(*) AS n FROM attempts a JOIN attempts b
    ON b.created_at <= a.created_at AND (b.ended_at IS NULL OR b.ended_at > a.created_at)
    GROUP BY a.id) counted
"""
RUNNING = """INSERT INTO jobs (config_type, scope, config, status, created_at, updated_at)
    VALUES ('sync', %s, '{}', 'running', now() - interval '1 hour', now()) RETURNING id"""


def test_without_a_touch_nothing_runs_and_with_it_everything(live: Live) -> None:
    """Each source takes a second: all at once would be one second, two at a time are three."""
    live.slow_down(records=5, seconds=0.2)
    live.airbyte.worker()
    report = live.touch_and_prove(live.config(running_at_most=2))
    assert report.unscheduled == {}
    assert (report.active, report.scheduled) == (8, 8)
    assert sorted(report.how.values())[-2:] == ["manual", "manual"]
    assert list(report.how.values()).count("inactive: never runs") == 2
    assert len(report.how) == 10
    eventually(lambda: live.lab.syncs() == 6, "every overdue one has run")
    assert live.airbyte.one(MOST_AT_ONCE) == 2
    assert report.touch_seconds > 1
    assert live.lab.verdict()["one_writer"]


def test_connection_that_does_not_come_back_is_named(live: Live) -> None:
    """Without a worker the touch is taken, and what is overdue does not begin."""
    report = live.touch_and_prove(live.config(running_at_most=10, prove_seconds=0.5))
    assert set(report.unscheduled) == set(live.basic())
    assert all("and has never run" in why for why in report.unscheduled.values())


def test_job_whose_workflow_runs_is_left_alone(live: Live) -> None:
    live.slow_down(records=1, seconds=1)
    live.airbyte.worker()
    busy = live.basic()[0]
    call(f"{live.lab.server.url}/api/v1/connections/sync", {"connectionId": busy})
    query = "SELECT count(*) FROM jobs WHERE scope = %s AND status = 'running'"
    eventually(lambda: live.airbyte.one(query, [busy]) == 1, "its sync runs")
    events = "SELECT count(*) FROM connection_timeline_event WHERE connection_id::text = %s"
    before = live.airbyte.one(events, [busy])
    report = live.touch_and_prove(live.config(running_at_most=10))
    live.slow_down(records=100, seconds=0)
    assert report.unscheduled == {}
    assert report.interrupted == ()
    assert live.airbyte.one(events, [busy]) == before
    ended = "SELECT status::text FROM jobs WHERE scope = %s ORDER BY id LIMIT 1"
    eventually(lambda: live.airbyte.one(ended, [busy]) == "succeeded", "it ends well")


def test_job_of_the_fenced_side_is_named_with_its_connection(live: Live) -> None:
    cut_off = live.basic()[1]
    job = live.airbyte.one(RUNNING, [cut_off])
    live.airbyte.worker()
    report = live.touch_and_prove(live.config())
    (found,) = report.interrupted
    assert (found.connection, found.job, found.status) == (cut_off, job, "running")
    assert found.name.startswith("Connection 00")
    assert 3500 < found.seconds < 3700
    assert live.airbyte.one("SELECT status::text FROM jobs WHERE id = %s", [job]) == "failed"


def test_nothing_is_touched_without_the_sync_fence(live: Live) -> None:
    live.other.rendering, live.other.running = "active-intermediary", True
    with pytest.raises(BlockedError, match=r"airbyte-prod-backup-replica-2 runs as .active"):
        live.touch_and_prove(live.config())
    assert live.lab.workflows() == []
