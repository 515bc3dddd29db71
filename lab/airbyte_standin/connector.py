"""A connector's run: it reads the source and writes the destination, without the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .client import call
from .settings import StandinError

BATCH = 500


class SyncError(StandinError):
    """The connector could not do its work."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the platform hands to a connector: addresses, cursor, nothing of its database."""

    connection_id: str
    source_id: str
    destination_id: str
    job: int
    attempt: int
    cursor: int

    def as_json(self) -> dict[str, Any]:
        """Return what a workload's input holds."""
        return dict(vars(self))


def sync(work: Work, world_url: str, instance: str) -> int:
    """Copy all records after the cursor; return the last one's number."""
    last = work.cursor
    while True:
        answer = call(f"{world_url}/source/{work.source_id}?from={last + 1}&limit={BATCH}")
        numbers = [int(record["n"]) for record in answer["records"]]
        if not numbers:
            return last
        written = call(
            f"{world_url}/destination/{work.destination_id}",
            {
                "connection": work.connection_id,
                "instance": instance,
                "job": work.job,
                "attempt": work.attempt,
                "records": numbers,
            },
        )
        if written.get("stored") != len(numbers):
            msg = f"destination {work.destination_id} stored {written.get('stored')} records"
            raise SyncError(msg)
        last = numbers[-1]
        if len(numbers) < BATCH:
            return last
