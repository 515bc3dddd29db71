"""Touch every active connection, and prove that each is scheduled again (facts 5).

An empty Temporal runs nothing, and only an update through the API starts a connection's workflow.
Whether it did is read where it counts: in the Temporal database of the active server, and, for a
sync that is overdue, in the new job. Touching a connection without a workflow fails its running
job, so the caller fences or drains first, and gets the list of the jobs concerned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from db_migration import epoch, servers
from db_migration.airbyte_api import NOT_ENDED, AirbyteApi, Connection, Job
from db_migration.config import Config, InstanceConfig, ServerConfig
from db_migration.errors import BlockedError, MigrationError
from db_migration.postgres import rows, until

AT_ONCE = 4
"""Touching starts what is overdue; a few at a time, so that not all syncs begin together."""

PROOF_SECONDS = 300.0
POLL_SECONDS = 1.0
WORKFLOW = "connection_manager_"
RUNNING = ["1", "Running"]
"""`current_executions.status` in Temporal's store: 1 is Running (temporal.api.enums)."""

SECONDS = {"minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800, "months": 2592000}
T = TypeVar("T")
R = TypeVar("R")
log = structlog.get_logger()


@dataclass(frozen=True)
class Report:
    """How many connections are active and proven scheduled, and why the others are not."""

    active: int
    scheduled: int
    unscheduled: dict[str, str] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)
    interrupted: tuple[int, ...] = ()
    """Jobs that had not ended when their connection was touched."""
    first_accepted: float | None = None
    """`time.monotonic()` of the first update that the API took: a write to the live database."""

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        return {
            "active": self.active,
            "scheduled": self.scheduled,
            "unscheduled": self.unscheduled,
            "how": self.how,
            "interrupted_jobs": list(self.interrupted),
        }


@dataclass(frozen=True)
class Before:
    """The newest job of a connection before it was touched."""

    last: Job | None = None
    open: tuple[int, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """`proof` how a connection is scheduled, or `missing` what does not show yet."""

    proof: str = ""
    missing: str = ""


def touch_and_prove(
    config: Config, instance: InstanceConfig, *, seconds: float = PROOF_SECONDS
) -> Report:
    """Touch each active connection, then wait until all are proven, or `seconds` have passed.

    Raises UnreachableError when API or database do not answer; a connection without a proof is no
    error but named in the report.
    """
    server = _server(config)
    with AirbyteApi(instance) as api:
        active = [found for found in api.connections() if found.status == "active"]
        log.info("connections", active=len(active), airbyte=instance.name)
        before = dict(_each(active, lambda one: (one.id, _before(api, one))))
        accepted = [moment for moment in _each(active, lambda one: _touch(api, one)) if moment]
        verdicts = {one.id: Verdict() for one in active}

        def all_proven() -> bool:
            verdicts.update(
                _look(api, server, [o for o in active if not verdicts[o.id].proof], before)
            )
            proven = sum(1 for verdict in verdicts.values() if verdict.proof)
            log.info("connections", proven=proven, active=len(active))
            return proven == len(active)

        until(all_proven, seconds, every=POLL_SECONDS)
    proofs = {one: verdict.proof for one, verdict in verdicts.items() if verdict.proof}
    return Report(
        active=len(active),
        scheduled=len(proofs),
        unscheduled={one: v.missing for one, v in verdicts.items() if not v.proof},
        how=proofs,
        interrupted=tuple(job for found in before.values() for job in found.open),
        first_accepted=min(accepted, default=None),
    )


def judge(  # noqa: PLR0911 - a list of cases, first match wins
    one: Connection, before: Before, last: Job | None, *, works: bool, now: float
) -> Verdict:
    """Tell how a connection is scheduled: its workflow runs, and what was due has begun."""
    if not works:
        return Verdict(missing=f"no workflow `{WORKFLOW}{one.id}` runs in Temporal")
    if one.schedule_type == "manual":
        return Verdict(proof="manual")
    if one.schedule_type == "cron":
        return Verdict(proof=f"cron {_cron(one)}, its workflow waits for the next match")
    if last is not None and not last.ended:
        return Verdict(proof=f"job {last.id} is {last.status}")
    if last is not None and (before.last is None or last.id > before.last.id):
        return Verdict(proof=f"job {last.id} came after the touch")
    interval = seconds_between(one)
    if interval is None:
        return Verdict(missing=f"schedule `{one.schedule_type}` without an interval")
    if last is not None and last.created + interval > now:
        return Verdict(proof=f"next run at {_time(last.created + interval)}")
    since = f"since {_time(last.created + interval)}" if last is not None else "and has never run"
    return Verdict(missing=f"overdue {since}, and no new job has come")


def seconds_between(one: Connection) -> float | None:
    """Return the interval of a basic schedule."""
    basic = one.schedule_data.get("basicSchedule") or {}
    units, unit = basic.get("units"), basic.get("timeUnit")
    if not isinstance(units, int) or unit not in SECONDS:
        return None
    return float(units * SECONDS[unit])


def _server(config: Config) -> ServerConfig:
    name = epoch.current(config).database
    found = config.server(name)
    if found is None:
        raise BlockedError(
            found=f"the active database is `{name}`, whose Temporal we can not read",
            needed="an active database on one of our servers",
            way_out="touch connections after a cut-over or failover only",
        )
    return found


def _before(api: AirbyteApi, one: Connection) -> Before:
    last = api.jobs(one.id)
    pending = api.jobs(one.id, statuses=NOT_ENDED, most=10)
    return Before(last[0] if last else None, tuple(job.id for job in pending))


def _touch(api: AirbyteApi, one: Connection) -> float | None:
    """Touch; say when that was accepted. What fails is tried again by whoever looks for proof."""
    try:
        api.touch(one.id)
    except MigrationError as error:
        log.warning("not touched", connection=one.id, error=error.found)
        return None
    return time.monotonic()


def _look(
    api: AirbyteApi,
    server: ServerConfig,
    open_ones: list[Connection],
    before: dict[str, Before],
) -> dict[str, Verdict]:
    """Judge what is not proven yet; touch again what has no workflow."""
    works = _workflows(server, open_ones)

    def look(one: Connection) -> Verdict:
        if one.id not in works:
            api.touch(one.id)
        last = api.jobs(one.id)
        known = last[0] if last else None
        return judge(one, before[one.id], known, works=one.id in works, now=time.time())

    def carefully(one: Connection) -> tuple[str, Verdict]:
        try:
            return one.id, look(one)
        except MigrationError as error:
            return one.id, Verdict(missing=error.found)

    return dict(_each(open_ones, carefully))


def _workflows(server: ServerConfig, wanted: list[Connection]) -> set[str]:
    """Return the connections whose workflow runs, from Temporal's own store."""
    query = (
        "SELECT workflow_id FROM public.current_executions "
        "WHERE workflow_id = ANY(%s) AND status::text = ANY(%s)"
    )
    names = [WORKFLOW + one.id for one in wanted]
    with servers.at(server, server.temporal[0]).connect() as connection:
        found = rows(connection, query, (names, RUNNING))
    return {name.removeprefix(WORKFLOW) for (name,) in found}


def _each(things: Iterable[T], job: Callable[[T], R]) -> list[R]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(job, things))


def _cron(one: Connection) -> str:
    return str((one.schedule_data.get("cron") or {}).get("cronExpression") or "without expression")


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
