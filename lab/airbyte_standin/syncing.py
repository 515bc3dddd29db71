"""What a job does to the database: its rows, its attempts, the cursor it commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from . import flyway

if TYPE_CHECKING:
    from .database import Connection

STREAM = "records"
TERMINAL = ("failed", "succeeded", "cancelled")


def create_job(connection: Connection, connection_id: str, kind: str = "sync") -> int:
    """Queue a job."""
    row = connection.execute(
        """INSERT INTO jobs (config_type, scope, config, status, created_at, updated_at)
           VALUES (%s, %s, %s, 'pending', now(), now()) RETURNING id""",
        [kind, connection_id, Jsonb({"configType": kind, kind: {"connectionId": connection_id}})],
    ).fetchone()
    return int(row["id"]) if row else 0


def start_attempt(connection: Connection, job: int, number: int) -> int:
    """Begin a job's attempt."""
    connection.execute(
        """UPDATE jobs SET status = 'running', started_at = coalesce(started_at, now()),
             updated_at = now() WHERE id = %s""",
        [job],
    )
    row = connection.execute(
        """INSERT INTO attempts (job_id, attempt_number, log_path, status, created_at, updated_at,
             temporal_workflow_id, processing_task_queue)
           VALUES (%s, %s, %s, 'running', now(), now(), 'sync_' || gen_random_uuid(), '')
           RETURNING id""",
        [job, number, f"/tmp/workspace/{job}/{number}"],  # noqa: S108 - a path kept in a column
    ).fetchone()
    return int(row["id"]) if row else 0


def fail_non_terminal(connection: Connection, connection_id: str) -> int:
    """The first thing a new workflow does: every job of its connection not yet ended fails."""
    reason = (
        "An internal transient Airbyte error has occurred. The sync's workflow was restarted, "
        "and existing job state was cleaned."
    )
    failure = {"failures": [{"failureOrigin": "airbyte_platform", "externalMessage": reason}]}
    connection.execute(
        """UPDATE attempts a SET status = 'failed', ended_at = now(), updated_at = now(),
             failure_summary = %s
           FROM jobs j WHERE j.id = a.job_id AND j.scope = %s AND a.status = 'running'
             AND j.status NOT IN ('failed', 'succeeded', 'cancelled')""",
        [Jsonb(failure), connection_id],
    )
    return connection.execute(
        """UPDATE jobs SET status = 'failed', updated_at = now()
           WHERE scope = %s AND status NOT IN ('failed', 'succeeded', 'cancelled')""",
        [connection_id],
    ).rowcount


def unreadable_secrets(connection: Connection, actors: list[str]) -> list[str]:
    """Return the coordinates that the actors' configurations name and `secrets` does not hold."""
    named = connection.execute(
        """SELECT DISTINCT found[1] AS coordinate FROM actor, regexp_matches(
             configuration::text, '"_secret": *"([^"]+)"', 'g') found WHERE id::text = ANY(%s)""",
        [actors],
    ).fetchall()
    wanted = {row["coordinate"] for row in named}
    if not wanted or not flyway.exists(connection, "secrets"):
        return sorted(wanted)
    there = connection.execute(
        "SELECT coordinate FROM secrets WHERE coordinate = ANY(%s)", [list(wanted)]
    ).fetchall()
    return sorted(wanted - {row["coordinate"] for row in there})


def cursor_of(connection: Connection, connection_id: str) -> int:
    """Return the number of the last record synced; 0 means a full refresh."""
    row = connection.execute(
        "SELECT state FROM state WHERE connection_id = %s AND stream_name = %s",
        [connection_id, STREAM],
    ).fetchone()
    return int(row["state"]["cursor"]) if row and row["state"] else 0


def succeed(connection: Connection, connection_id: str, ids: tuple[int, int], last: int) -> bool:
    """Commit cursor, attempt and job together, unless the job was ended meanwhile."""
    job, attempt = ids
    alive = connection.execute(
        """UPDATE jobs SET status = 'succeeded', updated_at = now()
           WHERE id = %s AND status NOT IN ('failed', 'succeeded', 'cancelled')""",
        [job],
    ).rowcount
    if not alive:
        return False
    before = cursor_of(connection, connection_id)
    connection.execute(
        """INSERT INTO state (id, connection_id, stream_name, namespace, type, state)
           VALUES (md5('state' || %s)::uuid, %s, %s, NULL, 'STREAM', %s)
           ON CONFLICT (id, connection_id)
           DO UPDATE SET state = excluded.state, updated_at = now()""",
        [connection_id, connection_id, STREAM, Jsonb({"cursor": last})],
    )
    _statistics(connection, connection_id, attempt, max(0, last - before))
    return True


def _statistics(connection: Connection, connection_id: str, attempt: int, count: int) -> None:
    totals: dict[str, Any] = {"recordsEmitted": count, "recordsCommitted": count}
    summary = {"status": "completed", "totalStats": totals}
    output = {"outputType": "sync", "sync": {"standardSyncSummary": summary}}
    connection.execute(
        """UPDATE attempts SET status = 'succeeded', ended_at = now(), updated_at = now(),
             output = %s WHERE id = %s""",
        [Jsonb(output), attempt],
    )
    connection.execute(
        """INSERT INTO sync_stats (id, attempt_id, records_emitted, records_committed)
           VALUES (gen_random_uuid(), %s, %s, %s)""",
        [attempt, count, count],
    )
    connection.execute(
        """INSERT INTO stream_stats (id, attempt_id, stream_name, records_emitted,
             records_committed, connection_id) VALUES (gen_random_uuid(), %s, %s, %s, %s, %s)""",
        [attempt, STREAM, count, count, connection_id],
    )


def fail(connection: Connection, ids: tuple[int, int], reason: str) -> None:
    """End job and attempt as failed."""
    job, attempt = ids
    failure = {"failures": [{"failureOrigin": "destination", "externalMessage": reason[:500]}]}
    connection.execute(
        """UPDATE attempts SET status = 'failed', ended_at = now(), updated_at = now(),
             failure_summary = %s WHERE id = %s AND status = 'running'""",
        [Jsonb(failure), attempt],
    )
    connection.execute(
        """UPDATE jobs SET status = 'failed', updated_at = now()
           WHERE id = %s AND status NOT IN ('failed', 'succeeded', 'cancelled')""",
        [job],
    )


def queue_reset(connection: Connection, connection_id: str) -> None:
    """Note which streams are to be reset."""
    connection.execute(
        """INSERT INTO stream_reset (id, connection_id, stream_namespace, stream_name)
           SELECT gen_random_uuid(), %s, NULL, %s WHERE NOT EXISTS (
             SELECT FROM stream_reset WHERE connection_id = %s AND stream_name = %s)""",
        [connection_id, STREAM, connection_id, STREAM],
    )


def finish_reset(connection: Connection, connection_id: str, job: int, attempt: int) -> None:
    """Forget the cursors, and what was to be reset."""
    connection.execute("DELETE FROM state WHERE connection_id = %s", [connection_id])
    connection.execute("DELETE FROM stream_reset WHERE connection_id = %s", [connection_id])
    connection.execute(
        """UPDATE attempts SET status = 'succeeded', ended_at = now(), updated_at = now()
           WHERE id = %s""",
        [attempt],
    )
    connection.execute(
        "UPDATE jobs SET status = 'succeeded', updated_at = now() WHERE id = %s", [job]
    )
