"""Before a living database is left: its copy at home holds what it does, row by row.

Nobody writes during the proof, so that nothing is in flight. That a mirror is in place, and has no
subscription, proves nothing: its agent leaves one that it has given up where it is, until the next
copy replaces it; and a table that came while the agent was away is in no mirror.
"""

from __future__ import annotations

from db_migration import catalog
from db_migration.config import FeedConfig, ServerConfig, slot_name
from db_migration.context import Context
from db_migration.errors import BlockedError, DeadlinePassedError, DifferenceFoundError
from db_migration.failover.look import unfinished
from db_migration.failover.steps import Task
from db_migration.following import sequences
from db_migration.journal import Journal
from db_migration.postgres import until, value
from db_migration.sides import promotion, servers
from db_migration.verification import verify


def compare(task: Task) -> None:
    """Compare while prod goes on: of what differs by now it is told before anybody is stopped.

    It proves nothing about the moment of the promotion. Left out where an earlier life has stopped
    or promoted somebody, who would wait for it a second time.
    """
    home = task.server
    if promotion.promoted(home, task.plan.then.epoch):
        return
    with servers.control(home).connect() as connection:
        if unfinished(connection):
            return
    found = _verified(task, home.mirror)
    if found.differences:
        again = "`db-migration status` says that it follows"
        way_out = f"nothing was stopped. Is it what prod has got just now: repeat when {again}; "
        raise _different(task, _first(found), way_out)


def catch_up(task: Task) -> None:
    """Wait until the mirror has confirmed all that the live database holds; nobody writes there.

    A mirror without a subscription may be what an earlier life has let go of: the proof tells.
    """
    live = _live(task)
    seconds, slot = task.config.catch_up_seconds, slot_name(task.server.name)
    with servers.control(task.server).connect() as connection:
        if not catalog.follows(connection, slot):
            return
    behind = (
        "SELECT confirmed_flush_lsn < %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
    )
    with servers.control(live).connect() as connection:
        end = value(connection, "SELECT pg_current_wal_lsn()::text")
        if not until(lambda: value(connection, behind, (end, slot)) is False, seconds, every=0.005):
            raise DeadlinePassedError(
                found=f"{task.server.name} has not applied everything after {seconds:g} s",
                needed="a mirror that follows",
                way_out="look at `db-migration status` there, then repeat; or take it back: "
                f"`db-migration failover` starts {task.plan.now.airbyte} again",
            )


def prove_equal(task: Task) -> None:
    """Compare every row; of a promotion that was begun, what was promoted, which nobody entered.

    Raises DifferenceFoundError. What an earlier life has closed is opened for it.
    """
    home, was = task.server, task.plan.now
    begun = promotion.promoted(home, task.plan.then.epoch)
    database = home.database if begun else home.mirror
    with servers.control(home).connect() as connection:
        promotion.allow(connection, [database], on=True)
    way_out = f"`db-migration failover` starts {was.airbyte} on {was.database} again; "
    try:
        found = _verified(task, database)
    except BlockedError as error:
        raise _different(task, error.found, way_out) from error
    if found.differences:
        raise _different(task, _first(found), way_out)


def _verified(task: Task, database: str) -> verify.Result:
    """Verify a database at home, with a line in the trail if it is the mirror.

    Sequences are moved before, which are in no stream of changes: its agent may have been away.
    """
    home, live = task.server, _live(task)
    target = servers.as_target(home).model_copy(update={"database": database})
    name = f"{live.name}-to-{home.name}"
    context = Context(
        task.config, FeedConfig(name=name, source=servers.as_source(live), target=target)
    )
    sequences.advance(context, context.mirror)
    found = verify.verify(context)
    if database == home.mirror:
        verify.record(Journal(servers.control(home), name), found)
    return found


def _first(found: verify.Result) -> str:
    return "; ".join(found.differences[: verify.SAID])


def _live(task: Task) -> ServerConfig:
    found = task.config.server(task.plan.now.database)
    if found is None:
        raise AssertionError(task.plan)
    return found


def _different(task: Task, found: str, way_out: str) -> DifferenceFoundError:
    return DifferenceFoundError(
        found=f"the copy on {task.server.name} is not equal to {task.plan.now.database}: {found}",
        needed="a copy to which nothing is missing",
        way_out=way_out
        + "`db-migration rebuild` makes a copy anew that is known to differ; then the same again",
    )
