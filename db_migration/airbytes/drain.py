"""Let running jobs end before compose is fenced: wait, cancel, or give up, and name what is left.

A sync that is interrupted is repeated from its last cursor, so nothing is lost by it; it costs its
work again, and the new side shows it as failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from db_migration.airbytes.jobs import OpenJob
from db_migration.config import DrainPolicy
from db_migration.errors import BlockedError, MigrationError
from db_migration.postgres import until

CANCEL_SECONDS = 60.0
"""How long a cancelled job may take to end; then the fence ends it."""

POLL_SECONDS = 0.2


class Do(StrEnum):
    """What to do about jobs that still run."""

    GO_ON = "go on"
    WAIT = "wait"
    CANCEL = "cancel"
    GIVE_UP = "give up"


@dataclass(frozen=True)
class Means:
    """How the jobs are seen and ended."""

    look: Callable[[], list[OpenJob]]
    cancel: Callable[[OpenJob], None]
    say: Callable[[str], None]


def decide(jobs: int, waited: float, limit: float, policy: DrainPolicy) -> Do:
    """Decide what to do about so many open jobs, `waited` seconds after the beginning."""
    if not jobs:
        return Do.GO_ON
    if waited < limit or policy is DrainPolicy.WAIT:
        return Do.WAIT
    if policy is DrainPolicy.ABORT:
        return Do.GIVE_UP
    return Do.CANCEL if waited < limit + CANCEL_SECONDS else Do.GO_ON


def drain(means: Means, limit: float, policy: DrainPolicy) -> list[OpenJob]:
    """Wait for a moment without a running job; return what could not be drained.

    Raises BlockedError naming each job when the policy is to give up after `limit` seconds.
    """
    began = time.monotonic()
    left: list[OpenJob] = []
    said: set[int] = set()

    def settled() -> bool:
        left[:] = means.look()
        _tell(means, left, said)
        what = decide(len(left), time.monotonic() - began, limit, policy)
        if what is Do.GIVE_UP:
            raise _not_drained(left, limit)
        for job in left if what is Do.CANCEL else ():
            _cancel(means, job)
        return what is Do.GO_ON

    until(settled, float("inf"), every=POLL_SECONDS)
    return left


def _tell(means: Means, left: list[OpenJob], said: set[int]) -> None:
    for job in left:
        if job.job not in said:
            means.say(f"waiting for {job}")
    said.update(job.job for job in left)


def _cancel(means: Means, job: OpenJob) -> None:
    """Cancel; what Airbyte refuses is tried again until the time is over, and reported then."""
    try:
        means.cancel(job)
    except MigrationError as error:
        means.say(f"job {job.job} is not cancelled: {error.found}")


def _not_drained(left: list[OpenJob], limit: float) -> BlockedError:
    return BlockedError(
        found=f"{len(left)} job(s) still run after {limit:g} s: {'; '.join(map(str, left))}",
        needed="a moment without a running job",
        way_out="wait for them, allow more time (`--drain-seconds`), wait without limit "
        "(`--drain wait`), or have them cancelled (`--drain cancel`)",
    )
