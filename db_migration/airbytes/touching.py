"""Touch connections at a pace: an overdue one starts its sync at once (facts 5).

A connection whose workflow runs together with a job is left alone; the touch of one without a
workflow fails its jobs, which nobody runs any more behind the sync fence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import structlog

from db_migration.airbytes.api import AirbyteApi, Connection
from db_migration.airbytes.jobs import Job
from db_migration.config import SchedulesConfig
from db_migration.errors import MigrationError
from db_migration.postgres import until

AT_ONCE = 4
"""Calls at the same time, of those that start nothing."""

LOOK_SECONDS = 0.2
SECONDS = {"minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800, "months": 2592000}
T = TypeVar("T")
R = TypeVar("R")
log = structlog.get_logger()


class Touch(StrEnum):
    """What touching a connection comes to."""

    LEAVE = "its workflow runs a job: left alone"
    QUIET = "starts nothing"
    STARTS = "starts its sync at once"


@dataclass(frozen=True)
class Touched:
    """When each update was accepted (`time.monotonic()`), and how long all of them took."""

    accepted: tuple[float, ...]
    left_alone: tuple[str, ...]
    seconds: float


def kind(one: Connection, last: Job | None, *, works: bool, now: float) -> Touch:
    """Say what the touch of a connection comes to; `works`: its workflow runs."""
    if works and last is not None and not last.ended:
        return Touch.LEAVE
    if one.schedule_type != "basic":
        return Touch.QUIET
    interval = seconds_between(one)
    if interval is None or (last is not None and last.created + interval > now):
        return Touch.QUIET
    return Touch.STARTS


def may_go(pace: SchedulesConfig, running: int, since_last: float) -> bool:
    """Tell whether the next overdue connection may be touched."""
    return running < pace.running_at_most or since_last >= pace.touch_every_seconds


def in_flight(
    started: Mapping[str, Job | None], newest: Mapping[str, Job], open_ones: Iterable[str]
) -> int:
    """Count the connections that run a job, or were touched and have not begun yet.

    A worker takes a moment to begin; without them all would be touched in that moment.
    """
    waiting = {
        one
        for one, before in started.items()
        if (found := newest.get(one)) is None or (before is not None and found.id <= before.id)
    }
    return len(waiting | set(open_ones))


def seconds_between(one: Connection) -> float | None:
    """Return the interval of a basic schedule."""
    basic = one.schedule_data.get("basicSchedule") or {}
    units, unit = basic.get("units"), basic.get("timeUnit")
    if not isinstance(units, int) or unit not in SECONDS:
        return None
    return float(units * SECONDS[unit])


@dataclass(frozen=True)
class Toucher:
    """Everything that touching needs; `running` counts the jobs, given what was started."""

    api: AirbyteApi
    pace: SchedulesConfig
    running: Callable[[Mapping[str, Job | None]], int]

    def touch(
        self, active: Sequence[Connection], before: Mapping[str, Job], works: set[str]
    ) -> Touched:
        """Touch first what starts nothing, then what is overdue, at the pace."""
        began, now = time.monotonic(), time.time()
        kinds = {
            one.id: kind(one, before.get(one.id), works=one.id in works, now=now) for one in active
        }
        quiet = [one for one in active if kinds[one.id] is Touch.QUIET]
        overdue = [one for one in active if kinds[one.id] is Touch.STARTS]
        log.info("touching", quiet=len(quiet), overdue=len(overdue))
        accepted = each(quiet, self._one)
        accepted += self._paced(overdue, before)
        return Touched(
            tuple(moment for moment in accepted if moment is not None),
            tuple(one.id for one in active if kinds[one.id] is Touch.LEAVE),
            time.monotonic() - began,
        )

    def _paced(
        self, overdue: Sequence[Connection], before: Mapping[str, Job]
    ) -> list[float | None]:
        started: dict[str, Job | None] = {}
        accepted: list[float | None] = []
        last = float("-inf")
        for number, one in enumerate(overdue, start=1):
            self._wait(started, last)
            last = time.monotonic()
            accepted.append(self._one(one))
            if accepted[-1] is not None:
                started[one.id] = before.get(one.id)
            log.info("touched", overdue=number, of=len(overdue), connection=one.id)
        return accepted

    def _wait(self, started: Mapping[str, Job | None], last: float) -> None:
        def free() -> bool:
            return may_go(self.pace, self.running(started), time.monotonic() - last)

        until(free, self.pace.touch_every_seconds, every=LOOK_SECONDS)

    def _one(self, one: Connection) -> float | None:
        """Touch; say when that was accepted. What fails is tried again by who looks for proof."""
        try:
            self.api.touch(one.id)
        except MigrationError as error:
            log.warning("not touched", connection=one.id, error=error.found)
            return None
        return time.monotonic()


def each(things: Iterable[T], job: Callable[[T], R]) -> list[R]:
    """Do a few at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(job, things))
