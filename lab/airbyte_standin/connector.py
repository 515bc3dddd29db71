"""A connector's run: it reads the source and writes the destination, without the database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .client import call
from .settings import StandinError

if TYPE_CHECKING:
    from collections.abc import Callable

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


def sync(
    work: Work, world_url: str, instance: str, ended: Callable[[], bool] = lambda: False
) -> int:
    """Copy all records after the cursor; return the last one's number.

    It needs no database, so it goes on while the platform's is away. `ended` is asked before each
    batch whether the platform has ended the job: its word comes late, and may never come.
    """
    last, began = work.cursor, time.time()
    while True:
        answer = call(f"{world_url}/source/{work.source_id}?from={last + 1}&limit={BATCH}")
        numbers = [int(record["n"]) for record in answer["records"]]
        if not numbers:
            return last
        if ended():
            msg = f"the platform ended job {work.job}"
            raise SyncError(msg)
        batch = _run(work, instance) | {"began": began, "records": numbers}
        written = call(f"{world_url}/destination/{work.destination_id}", batch)
        if written.get("stored") != len(numbers):
            msg = f"destination {work.destination_id} stored {written.get('stored')} records"
            raise SyncError(msg)
        last = numbers[-1]
        if last >= int(answer["count"]):
            return last


def committed(work: Work, world_url: str, instance: str, last: int) -> None:
    """Tell the ledger that the cursor is committed: who repeats these records now, doubles them."""
    note = _run(work, instance) | {"last": last}
    call(f"{world_url}/destination/{work.destination_id}/commit", note)


def _run(work: Work, instance: str) -> dict[str, Any]:
    return {
        "connection": work.connection_id,
        "instance": instance,
        "job": work.job,
        "attempt": work.attempt,
    }
