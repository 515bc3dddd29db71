"""connections/status: how syncs are, as the database tells; it never asks Temporal.

So it can not prove that a connection is scheduled: what was never touched is `pending` for ever.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from .web import HttpError, Json, Reply, Request, json_reply

if TYPE_CHECKING:
    from psycopg.rows import DictRow

    from .database import Pool

READ = """SELECT c.id::text AS id, c.status::text, last.id AS job, last.status::text AS job_status,
    last.created, good.ended FROM connection c
  LEFT JOIN LATERAL (SELECT j.id, j.status, extract(epoch FROM j.created_at)::bigint AS created
    FROM jobs j WHERE j.scope = c.id::text AND j.config_type IN ('sync', 'reset_connection')
    ORDER BY j.created_at DESC, j.id DESC LIMIT 1) last ON true
  LEFT JOIN LATERAL (SELECT extract(epoch FROM max(j.updated_at))::bigint AS ended FROM jobs j
    WHERE j.scope = c.id::text AND j.config_type = 'sync' AND j.status = 'succeeded') good ON true
  WHERE c.id = ANY(%s::uuid[]) ORDER BY c.created_at"""
WORDS = {
    "running": "running",
    "pending": "queued",
    "succeeded": "synced",
    "incomplete": "incomplete",
    "cancelled": "incomplete",
}


class Statuses:
    """The route."""

    def __init__(self, pool: Pool) -> None:
        """Keep the pool."""
        self._pool = pool

    def read(self, request: Request) -> Reply:
        """List the status of each connection that is asked for."""
        try:
            wanted = [str(uuid.UUID(str(one))) for one in request.body["connectionIds"]]
        except (KeyError, TypeError, ValueError) as error:
            raise HttpError(422, "connectionIds must be a list of UUIDs") from error
        return json_reply([_text(row) for row in self._pool.rows(READ, [wanted])])


def _text(row: DictRow) -> Json:
    found: Json = {"connectionId": row["id"], "connectionSyncStatus": _word(row)}
    if row["job"] is not None:
        found |= {"lastSyncJobId": row["job"], "lastSyncJobStatus": row["job_status"]}
    if row["ended"] is not None:
        found["lastSuccessfulSync"] = row["ended"]
    if row["job_status"] in ("running", "pending"):
        found["activeJob"] = {
            "id": row["job"],
            "configType": "sync",
            "configId": row["id"],
            "status": row["job_status"],
            "createdAt": row["created"],
        }
    return found


def _word(row: DictRow) -> str:
    if row["status"] != "active":
        return "paused"
    return "pending" if row["job"] is None else WORDS.get(row["job_status"], "failed")
