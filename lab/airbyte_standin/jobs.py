"""Jobs of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .web import HttpError, Json, Request, Router

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.rows import DictRow

    from .database import Pool
    from .scheduling import Scheduler

Attempts = dict[int, list[Json]]
PAGE = 20
MOST = 200


def _job(row: DictRow) -> Json:
    return {
        "id": row["id"],
        "configType": row["config_type"],
        "configId": row["scope"],
        "status": row["status"],
        "createdAt": row["created"],
        "updatedAt": row["updated"],
    }


class Jobs:
    """The routes."""

    def __init__(self, pool: Pool, scheduler: Scheduler) -> None:
        """Keep what they need."""
        self._pool = pool
        self._scheduler = scheduler

    def add_to(self, router: Router) -> None:
        """Register."""
        router.add("POST", "/api/v1/jobs/list", self.list)
        router.add("POST", "/api/v1/jobs/get", self.get)
        router.add("POST", "/api/v1/jobs/cancel", self.cancel)

    def list(self, request: Request) -> Json:
        """List jobs, newest first; `configId` is a connection."""
        body = request.body
        kinds = body.get("configTypes") or ["sync", "reset_connection", "refresh"]
        page = body.get("pagination") or {}
        values = [kinds, body.get("configId"), body.get("configId"), body.get("statuses"),
                  body.get("statuses")]  # fmt: skip
        rows = self._pool.rows(
            """SELECT id, config_type::text, scope, status::text,
                 extract(epoch FROM created_at)::bigint AS created,
                 extract(epoch FROM updated_at)::bigint AS updated
               FROM jobs WHERE config_type::text = ANY(%s)
                 AND (%s::text IS NULL OR scope = %s)
                 AND (%s::text[] IS NULL OR status::text = ANY(%s))
               ORDER BY created_at DESC, id DESC LIMIT %s OFFSET %s""",
            [*values, min(int(page.get("pageSize", PAGE)), MOST), int(page.get("rowOffset", 0))],
        )
        total = self._pool.rows(
            """SELECT count(*) AS n FROM jobs WHERE config_type::text = ANY(%s)
                 AND (%s::text IS NULL OR scope = %s)
                 AND (%s::text[] IS NULL OR status::text = ANY(%s))""",
            values,
        )
        attempts = self._attempts([row["id"] for row in rows])
        listed = [{"job": _job(row), "attempts": attempts.get(row["id"], [])} for row in rows]
        return {"jobs": listed, "totalJobCount": total[0]["n"]}

    def get(self, request: Request) -> Json:
        """Read one job with its attempts."""
        number = _number(request)
        rows = self._pool.rows(
            """SELECT id, config_type::text, scope, status::text,
                 extract(epoch FROM created_at)::bigint AS created,
                 extract(epoch FROM updated_at)::bigint AS updated FROM jobs WHERE id = %s""",
            [number],
        )
        if not rows:
            raise HttpError(404, f"Could not find job with id: {number}")
        return {"job": _job(rows[0]), "attempts": self._attempts([number]).get(number, [])}

    def cancel(self, request: Request) -> Json:
        """End a job; the worker notices when it is about to commit.

        The workflow is told, and so there is one afterwards, as after an update.
        """
        connection = self.get(request)["job"]["configId"]
        self._pool.execute(
            """UPDATE jobs SET status = 'cancelled', updated_at = now()
               WHERE id = %s AND status NOT IN ('failed', 'succeeded', 'cancelled')""",
            [_number(request)],
        )
        self._scheduler.touch(connection)
        return self.get(request)

    def _attempts(self, jobs: Sequence[int]) -> Attempts:
        found: Attempts = {}
        rows = self._pool.rows(
            """SELECT job_id, attempt_number AS id, status::text, log_path AS "logPath",
                 failure_summary AS "failureSummary" FROM attempts WHERE job_id = ANY(%s)
               ORDER BY job_id, attempt_number""",
            [jobs],
        )
        for row in rows:
            found.setdefault(row.pop("job_id"), []).append(row)
        return found


def _number(request: Request) -> int:
    try:
        return int(request.body["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise HttpError(
            422, f"id must be a job's number, got {request.body.get('id')!r}"
        ) from error
