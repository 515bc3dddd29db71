"""What a failover does, one function a step; each looks at what is there and can be repeated."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog
from psycopg import sql

from db_migration.airbytes import connections, jobs
from db_migration.airbytes import drain as draining
from db_migration.airbytes.api import cancel_job
from db_migration.airbytes.jobs import OpenJob
from db_migration.config import Config, InstanceConfig, ServerConfig, slot_name
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, DeadlinePassedError, MigrationError
from db_migration.failover.look import InstanceHost
from db_migration.failover.plan import Plan
from db_migration.failover.state import COMPOSE
from db_migration.following import worker
from db_migration.postgres import become, row, run, until
from db_migration.sides import admission, epoch, fences, hosts, promotion, servers
from db_migration.sides.hosts import InstanceStatus

APPLIED_SECONDS = 300.0
QUIET_LOOKS = 3
log = structlog.get_logger()


@dataclass
class Report:
    """What was decided and done, how long it took, and when the first write was accepted."""

    plan: Plan
    started: float
    seconds: dict[str, float] = field(default_factory=dict)
    database_accepts: float | None = None
    lacks: list[str] = field(default_factory=list)
    connections: connections.Report | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        found = self.connections
        accepted = found.first_accepted if found is not None else None
        return {
            "decision": self.plan.kind.value,
            "why": self.plan.why,
            "evidence": list(self.plan.evidence),
            "epoch": self.plan.then.as_dict(),
            "rpo": {"rows": 0 if self.plan.keeps else None, "known": self.plan.rpo},
            "lacks": self.lacks,
            "seconds": {name: round(taken, 2) for name, taken in self.seconds.items()},
            "first_write_seconds": {
                "database": self._since(self.database_accepts),
                "airbyte": self._since(accepted),
            },
            "connections": found.as_dict() if found is not None else None,
        }

    def _since(self, moment: float | None) -> float | None:
        return round(moment - self.started, 2) if moment is not None else None


@dataclass(frozen=True)
class Task:
    """A plan and all that its steps need; the configuration names the servers that answer."""

    config: Config
    plan: Plan
    instance_host: InstanceHost
    report: Report
    down: frozenset[str] = frozenset()
    """Hosts on which nothing syncs any more: the operator's word, or time."""
    longest_sync: float | None = None
    """Seconds after which a sync has ended for certain, where no word is given."""

    @property
    def server(self) -> ServerConfig:
        """The server whose database is live afterwards."""
        found = self.config.server(self.plan.then.database)
        if found is None:
            raise AssertionError(self.plan)
        return found

    @property
    def chosen(self) -> InstanceConfig:
        """The Airbyte that is active afterwards."""
        return self.instance(self.plan.then.airbyte)

    def instance(self, name: str) -> InstanceConfig:
        """Return an instance that the plan names."""
        found = self.config.instance(name)
        if found is None:
            raise AssertionError(name)
        return found

    def command(self, instance: InstanceConfig, verb: str) -> str:
        """Have an instance's host carry out a verb."""
        control = self.instance_host(instance)
        if control is None:
            raise BlockedError(
                found=f"`host_control` of {instance.name} is not configured",
                needed=f"a way to run `hostctl {verb}` on {instance.host}",
                way_out="run it there yourself, then repeat; or `pulumi up`, which configures it",
            )
        return control.run(verb)


def stop(task: Task) -> None:
    """Stop the active Airbyte (this is the fence) and every standby, all at once.

    A standby that can not be stopped is shut out by the database; the active one must be.
    """

    def one(name: str) -> None:
        try:
            _stop(task, task.instance(name))
        except MigrationError as error:
            if name == task.plan.now.airbyte:
                raise
            log.warning("not stopped, its database shuts it out", name=name, error=error.found)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, task.plan.stop))


@effect(Effect.FENCE_AIRBYTE)
def _stop(task: Task, instance: InstanceConfig) -> None:
    what = "airbyte" if instance.kind == COMPOSE else "abctl"
    task.command(instance, f"stop {what}")


def shut_out(task: Task) -> None:
    """Let no Airbyte into any server but the one whose database stays live.

    A standby's API takes writes, on a clone: whoever followed the new epoch to it before it runs on
    the live database would have them acknowledged and lost.
    """
    for server in task.config.servers:
        if not (task.plan.keeps and server is task.server):
            admission.admit(server, task.config.roles, None)


def apply_received(task: Task) -> None:
    """Wait until the mirror's worker has applied all that it has received.

    A worker that waits for its socket has read everything from it, and so has one that has ended
    over a broken connection; one that is told to stop before that throws the rest away. One that
    only tries to connect to the dead source, for ten seconds again and again, has received nothing.
    """
    server, name = task.server, slot_name(task.server.name)
    query = sql.SQL(
        "SELECT a.wait_event, w.received_lsn::text FROM pg_stat_subscription w "
        "LEFT JOIN pg_stat_activity a ON a.pid = w.pid WHERE w.subname = %s AND {}"
    ).format(worker.APPLIES)
    looks: list[object] = []
    with servers.control(server).connect() as connection:

        def quiet() -> bool:
            found = row(connection, query, (name,))
            idle = found is None or found[1] is None or found[0] == "LogicalApplyMain"
            looks.append(found[1] if found is not None else None)
            last = looks[-QUIET_LOOKS:]
            if not idle:
                looks.clear()
            return idle and len(last) == QUIET_LOOKS and len(set(last)) == 1

        if not until(quiet, APPLIED_SECONDS, every=0.05):
            raise DeadlinePassedError(
                found=f"the mirror on {server.name} still applies after {APPLIED_SECONDS:g} s",
                needed="a mirror that has applied everything it received",
                way_out="look at pg_stat_subscription there; then repeat, nothing is lost",
            )


def drain(task: Task) -> None:
    """Let the jobs of a living prod end, as the configuration says."""
    how = task.config.cutover
    live, active = task.config.server(task.plan.now.database), task.instance(task.plan.now.airbyte)
    if how is None or live is None:
        return

    def look() -> list[OpenJob]:
        with (
            servers.at(live, live.database).connect() as connection,
            become(connection, live.owner_role),
        ):
            return jobs.still_open(connection)

    def cancel(job: OpenJob) -> None:
        cancel_job(active, job.job)

    means = draining.Means(look, cancel, lambda said: log.info("failback", text=said))
    for left in draining.drain(means, how.drain_seconds, how.drain):
        log.warning("not drained, and ended by the stop", job=str(left))


def promote(task: Task) -> str:
    """Make the mirror the live database; say what it lacks."""
    then = task.plan.then
    return "; ".join(promotion.promote(task.config, task.server.name, then.epoch, then.reason))


def record(task: Task) -> None:
    """Write the epoch on every server that answers, the live one first."""
    name = task.server.name
    others = [server.name for server in task.config.servers if server.name != name]
    epoch.advance(task.config, task.plan.then, [name, *others], after=task.plan.now.epoch)


def let_in(task: Task) -> None:
    """Admit the chosen Airbyte and nobody else, and prove that the database takes a write."""
    admission.admit(task.server, task.config.roles, task.chosen.role)
    task.report.lacks = promotion.lacks(task.server, task.plan.then.epoch)
    message = f"epoch {task.plan.then.epoch}"
    with servers.at(task.server, task.server.database).connect() as connection:
        # A committed WAL record of the live database itself, which leaves no row behind.
        run(connection, "SELECT pg_logical_emit_message(true, 'airbyte_migration', %s)", (message,))
    task.report.database_accepts = time.monotonic()


def set_others(task: Task) -> None:
    """Tell the hosts that answer, and that believe otherwise, who is not active any more."""
    for name in task.plan.others:
        try:
            _set_stopped(task, task.instance(name))
        except MigrationError as error:
            log.warning("not told, its database shuts it out", name=name, error=error.found)


@effect(Effect.SET_STOPPED)
def _set_stopped(task: Task, instance: InstanceConfig) -> None:
    task.command(instance, f"activate {instance.name} {task.plan.then.epoch} stopped")


def activate(task: Task) -> None:
    """Start the chosen Airbyte on the live database, unless its host says that it runs there.

    Its workers go on with the workflows that Temporal knows before any connection is touched.
    """
    instance, then = task.chosen, task.plan.then
    fences.require_sync_fence(task.config, instance, task.instance_host, task.down)
    rendering = f"active-{then.database}"
    control = task.instance_host(instance)
    status = hosts.status(control).instance(instance.name) if control is not None else None
    wanted = InstanceStatus(name=instance.name, epoch=then.epoch, rendering=rendering, running=True)
    if status is None or status.model_copy(update={"syncing": None}) != wanted:
        _activate(task, f"activate {instance.name} {then.epoch} {rendering}")


@effect(Effect.ACTIVATE_AIRBYTE)
def _activate(task: Task, verb: str) -> None:
    task.command(task.chosen, verb)


def prove(task: Task) -> None:
    """Touch every active connection and prove each scheduled."""
    found = connections.touch_and_prove(
        task.config, task.chosen, instance_host=task.instance_host, down=task.down
    )
    task.report.connections = found
    if found.unscheduled:
        listed = "; ".join(f"{one}: {why}" for one, why in sorted(found.unscheduled.items()))
        raise DeadlinePassedError(
            found=f"{found.scheduled} of {found.active} active connections are scheduled; {listed}",
            needed="every active connection scheduled",
            way_out=f"{task.chosen.name} is active and stays so; look at these connections, then "
            "repeat the command: it touches and proves again",
        )
