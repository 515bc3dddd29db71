"""Touch every active connection, and prove that each is scheduled again (facts 5).

An empty Temporal runs nothing, and only an update through the API starts a connection's workflow.
Whether it did is read where it counts: in the Temporal database of the active server, and, for a
sync that is overdue, in the new job.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from db_migration.airbytes import cron, jobs
from db_migration.airbytes.api import AirbyteApi, Connection
from db_migration.airbytes.jobs import Job, OpenJob
from db_migration.airbytes.touching import Toucher, each, in_flight, seconds_between
from db_migration.config import Config, InstanceConfig, ServerConfig
from db_migration.context import over_ssh
from db_migration.errors import BlockedError, MigrationError
from db_migration.postgres import Connection as Session
from db_migration.postgres import become, rows, until, value
from db_migration.sides import epoch, fences, servers
from db_migration.sides.fences import InstanceHost

POLL_SECONDS = 1.0
WORKFLOW = "connection_manager_"
RUNNING = ["1", "Running"]
"""`current_executions.status` in Temporal's store: 1 is Running (temporal.api.enums)."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Report:
    """How many connections are active and proven scheduled, and why the others are not."""

    active: int
    scheduled: int
    unscheduled: dict[str, str] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)
    """The next run of each, or why it has none."""
    interrupted: tuple[OpenJob, ...] = ()
    """Jobs of the fenced side that its end cut off; the touch fails them."""
    first_accepted: float | None = None
    """`time.monotonic()` of the first update that the API took: a write to the live database."""
    touch_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        return {
            "active": self.active,
            "scheduled": self.scheduled,
            "unscheduled": self.unscheduled,
            "how": self.how,
            "interrupted_jobs": [job.as_dict() for job in self.interrupted],
            "touch_seconds": round(self.touch_seconds, 2),
        }


@dataclass(frozen=True)
class Verdict:
    """`proof` how a connection is scheduled, or `missing` what does not show yet."""

    proof: str = ""
    missing: str = ""


def touch_and_prove(
    config: Config,
    instance: InstanceConfig,
    *,
    instance_host: InstanceHost = over_ssh,
    down: frozenset[str] = frozenset(),
) -> Report:
    """Touch each active connection at the configured pace, then wait until all are proven.

    Raises BlockedError without the sync fence, UnreachableError when API or database do not answer;
    a connection without a proof is no error but named in the report.
    """
    fences.require_sync_fence(config, instance, instance_host, down)
    server = _server(config)
    with AirbyteApi(instance) as api:
        known = api.connections()
        active = [found for found in known if found.status == "active"]
        log.info("connections", active=len(active), airbyte=instance.name)
        before, interrupted = _before(server, active)
        works = _workflows(server, active)
        toucher = Toucher(api, config.schedules, lambda started: _running(server, works, started))
        touched = toucher.touch(active, before, works)
        verdicts = _prove(api, server, active, before, seconds=config.schedules.prove_seconds)
    proofs = {one: verdict.proof for one, verdict in verdicts.items() if verdict.proof}
    disabled = {one.id: f"{one.status}: never runs" for one in known if one.status != "active"}
    return Report(
        active=len(active),
        scheduled=len(proofs),
        unscheduled={one: v.missing for one, v in verdicts.items() if not v.proof},
        how={**proofs, **disabled},
        interrupted=tuple(job for job in interrupted if job.connection not in works),
        first_accepted=min(touched.accepted, default=None),
        touch_seconds=touched.seconds,
    )


def _prove(
    api: AirbyteApi,
    server: ServerConfig,
    active: Sequence[Connection],
    before: Mapping[str, Job],
    *,
    seconds: float,
) -> dict[str, Verdict]:
    verdicts = {one.id: Verdict() for one in active}

    def all_proven() -> bool:
        missing = [one for one in active if not verdicts[one.id].proof]
        verdicts.update(_look(api, server, missing, before))
        proven = sum(1 for verdict in verdicts.values() if verdict.proof)
        log.info("connections", proven=proven, active=len(active))
        return proven == len(active)

    until(all_proven, seconds, every=POLL_SECONDS)
    return verdicts


def judge(  # noqa: PLR0911 - a list of cases, first match wins
    one: Connection, before: Job | None, last: Job | None, *, works: bool, now: float
) -> Verdict:
    """Tell how a connection is scheduled: its workflow runs, and what was due has begun."""
    if not works:
        return Verdict(missing=f"no workflow `{WORKFLOW}{one.id}` runs in Temporal")
    if one.schedule_type == "manual":
        return Verdict(proof="manual")
    if one.schedule_type == "cron":
        return Verdict(proof=_cron(one, now))
    if last is not None and not last.ended:
        return Verdict(proof=f"job {last.id} is {last.status}")
    if last is not None and (before is None or last.id > before.id):
        return Verdict(proof=f"job {last.id} came after the touch")
    interval = seconds_between(one)
    if interval is None:
        return Verdict(missing=f"schedule `{one.schedule_type}` without an interval")
    if last is not None and last.created + interval > now:
        return Verdict(proof=f"next run at {_time(last.created + interval)}")
    since = f"since {_time(last.created + interval)}" if last is not None else "and has never run"
    return Verdict(missing=f"overdue {since}, and no new job has come")


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


@contextmanager
def _live(server: ServerConfig) -> Iterator[Session]:
    """Read the live database as its owner."""
    with (
        servers.at(server, server.database).connect() as session,
        become(session, server.owner_role),
    ):
        yield session


def _before(
    server: ServerConfig, active: Sequence[Connection]
) -> tuple[dict[str, Job], list[OpenJob]]:
    """Return each connection's newest job, and the jobs that have not ended."""
    with _live(server) as session:
        return jobs.newest(session, [one.id for one in active]), jobs.still_open(session)


def _running(server: ServerConfig, works: set[str], started: Mapping[str, Job | None]) -> int:
    """Count what runs; a job of the fenced side, whose connection has no workflow, does not."""
    with _live(server) as session:
        newest = jobs.newest(session, list(started))
        alive = {job.connection for job in jobs.still_open(session)} & (works | set(started))
    return in_flight(started, newest, alive)


def _look(
    api: AirbyteApi,
    server: ServerConfig,
    open_ones: Sequence[Connection],
    before: Mapping[str, Job],
) -> dict[str, Verdict]:
    """Judge what is not proven yet; touch again what has no workflow."""
    works = _workflows(server, open_ones)
    with _live(server) as session:
        newest = jobs.newest(session, [one.id for one in open_ones])

    def look(one: Connection) -> tuple[str, Verdict]:
        running = one.id in works
        try:
            if not running:
                api.touch(one.id)
        except MigrationError as error:
            return one.id, Verdict(missing=error.found)
        known, last = before.get(one.id), newest.get(one.id)
        return one.id, judge(one, known, last, works=running, now=time.time())

    return dict(each(open_ones, look))


def _workflows(server: ServerConfig, wanted: Sequence[Connection]) -> set[str]:
    """Return the connections whose workflow runs, from Temporal's own store."""
    query = (
        "SELECT workflow_id FROM public.current_executions "
        "WHERE workflow_id = ANY(%s) AND status::text = ANY(%s)"
    )
    names = [WORKFLOW + one.id for one in wanted]
    with servers.at(server, server.temporal[0]).connect() as session:
        if value(session, "SELECT to_regclass('public.current_executions')") is None:
            return set()
        found = rows(session, query, (names, RUNNING))
    return {name.removeprefix(WORKFLOW) for (name,) in found}


def _cron(one: Connection, now: float) -> str:
    known = one.schedule_data.get("cron") or {}
    expression, zone = str(known.get("cronExpression") or ""), known.get("cronTimeZone") or "UTC"
    if match := cron.next_match(expression, zone, now):
        return f"next run at {_time(match)}: cron {expression} {zone}"
    return f"cron {expression or 'without expression'}, its workflow waits for the next match"


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
