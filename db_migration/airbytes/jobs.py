"""Jobs of connections, read where they count: in Airbyte's own database (facts 4.1, 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from db_migration.postgres import Connection, rows

NOT_ENDED = ("pending", "running", "incomplete")
"""`jobs.status` of what a new workflow would fail: facts 5."""

OPEN = """
SELECT j.scope, coalesce(c.name, ''), j.id, j.status::text,
    (SELECT count(*) FROM public.attempts a WHERE a.job_id = j.id),
    extract(epoch FROM now() - j.created_at)::float8
FROM public.jobs j LEFT JOIN public.connection c ON c.id::text = j.scope
WHERE j.status::text = ANY(%s) ORDER BY j.id
"""
NEWEST = """
SELECT DISTINCT ON (scope) scope, id, status::text, extract(epoch FROM created_at)::float8
FROM public.jobs WHERE scope = ANY(%s) ORDER BY scope, id DESC
"""


@dataclass(frozen=True)
class Job:
    """The newest job of a connection; `created` in seconds since 1970."""

    id: int
    connection: str
    status: str
    created: float

    @property
    def ended(self) -> bool:
        """Tell whether nothing is left to do for it."""
        return self.status not in NOT_ENDED


@dataclass(frozen=True)
class OpenJob:
    """A job that has not ended: whose, in which attempt (0: none yet), and since when."""

    connection: str
    name: str
    job: int
    status: str
    attempt: int
    seconds: float

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.name or 'unnamed'} ({self.connection}): job {self.job} {self.status}, "
            f"attempt {self.attempt}, for {self.seconds:.0f} s"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the job for `--json`."""
        return {
            "connection": self.connection,
            "name": self.name,
            "job": self.job,
            "status": self.status,
            "attempt": self.attempt,
            "seconds": round(self.seconds, 1),
        }


def still_open(connection: Connection) -> list[OpenJob]:
    """Return every job that has not ended, the oldest first."""
    return [OpenJob(*found) for found in rows(connection, OPEN, (list(NOT_ENDED),))]


def newest(connection: Connection, wanted: Sequence[str]) -> dict[str, Job]:
    """Return the newest job of each of the connections; one that has never run has none."""
    found = rows(connection, NEWEST, (list(wanted),))
    return {one: Job(number, one, status, created) for one, number, status, created in found}
