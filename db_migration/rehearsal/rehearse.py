"""A rehearsal: the replica is installed on a throw-away clone of the mirror, checked, and removed.

The feed and the standby's agent go on meanwhile. A failover has precedence: it finds the databases
under their usual names, and a rehearsal that was overtaken by one only drops what it had set aside.
What a rehearsal that died has left is removed by the next one, and by the agent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
import structlog

from db_migration.config import Config
from db_migration.context import Context
from db_migration.errors import BlockedError, MigrationError
from db_migration.following import marks
from db_migration.journal import Journal
from db_migration.postgres import value
from db_migration.rehearsal import checks as rehearse_checks
from db_migration.rehearsal import steps
from db_migration.rehearsal.checks import Check
from db_migration.rehearsal.history import JOURNAL
from db_migration.rehearsal.plan import RTO, Leftover, Seen, Step, against, leftover
from db_migration.rehearsal.steps import Stage
from db_migration.reporting import error_text
from db_migration.sides import epoch, hosts, servers, standby

UNDER_WAY = "under way"
FAILURES = (MigrationError, psycopg.Error, OSError)
T = TypeVar("T")
log = structlog.get_logger()


@dataclass
class Report:
    """What was found, and how long each phase took; `rto` is what a failover would have cost."""

    airbyte: str
    server: str
    checks: list[Check] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    touch_seconds_at_most: float = 0.0
    failed: str = ""
    """What ended it early."""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def ok(self) -> bool:
        """Tell whether the replica could take over."""
        return not self.failed and bool(self.checks) and all(check.ok for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json` and for the history."""
        return {
            "at": self.at,
            "airbyte": self.airbyte,
            "server": self.server,
            "ok": self.ok,
            "failed": self.failed,
            "checks": [check.as_dict() for check in self.checks],
            "seconds": {name: round(taken, 2) for name, taken in self.seconds.items()},
            "rto_seconds": round(sum(self.seconds.get(step, 0.0) for step in RTO), 2),
            "touch_seconds_at_most": self.touch_seconds_at_most,
        }


class Rehearsal:
    """One rehearsal, on the server beside this process."""

    def __init__(self, context: Context) -> None:
        """Take the feed that fills the mirror there."""
        config = context.config
        self._context = context
        self._server = servers.here(config)
        self._journal = Journal(servers.control(self._server), JOURNAL)
        self._now = epoch.current(config)
        self._instance = standby.of(config, self._now.airbyte)
        self._host = context.instance_host(self._instance) if self._instance else None
        self._active = 0

    def look(self) -> list[str]:
        """Say what forbids a rehearsal; changes nothing."""
        return against(self._seen())

    def run(self) -> Report:
        """Hold it, and take everything back; a process that is killed leaves that to `clear`.

        Raises BlockedError where it must not begin; what fails on the way is in the report.
        """
        self._journal.open()
        with self._journal.alone() as alone:
            if not alone:
                raise _refused(["another rehearsal is under way"])
            self._clear()
            if why := self.look():
                raise _refused(why)
            stage = self._stage()
            report = Report(stage.instance.name, stage.server.name)
            self._journal.intend(UNDER_WAY, on=True)
            self._guarded(report, lambda: self._forwards(stage, report))
            self._guarded(report, lambda: self._timed(report, Step.REMOVE, self._clear))
            self._journal.save_verification(report.as_dict())
        return report

    def clear(self) -> None:
        """Remove what a rehearsal that died has left; nothing while one is under way."""
        self._journal.open()
        with self._journal.alone() as alone:
            if alone:
                self._clear()

    def due(self, every_seconds: float) -> bool:
        """Tell whether the last rehearsal is so long ago."""
        query = (
            "SELECT coalesce(max(at) < now() - make_interval(secs => %s), true) "
            "FROM migration.verification WHERE feed = %s"
        )
        with servers.control(self._server).connect() as connection:
            return bool(value(connection, query, (every_seconds, JOURNAL)))

    def _seen(self) -> Seen:
        if self._instance is None or self._now.database == self._server.name:
            return Seen(standby=None)
        if self._host is None:
            return Seen(self._instance.name, self._instance.host, "no `host_control`")
        try:
            known = hosts.status(self._host).instance(self._instance.name)
        except MigrationError as error:
            return Seen(self._instance.name, self._instance.host, error.found)
        with servers.control(self._server).connect() as connection:
            mirror = marks.mirror_mark(marks.of_database(connection, self._server.mirror))
            _, ours = steps.there(connection, self._server)
        return Seen(
            self._instance.name,
            self._instance.host,
            rendering=known.rendering if known else "",
            wanted=f"standby-{self._server.name}",
            runs=bool(known and known.running),
            follows=mirror is not None,
            working=ours,
        )

    def _stage(self) -> Stage:
        if self._instance is None or self._host is None:
            raise _refused(against(Seen(standby=None)))
        return Stage(self._context, self._server, self._instance, self._host, self._now)

    def _forwards(self, stage: Stage, report: Report) -> None:
        with steps.feed_still(stage):
            before, active = self._timed(report, Step.CLONE, lambda: steps.clone(stage))
            self._timed(report, Step.STOP, lambda: steps.stop(stage))
            self._timed(report, Step.SWAP, lambda: steps.swap(stage))
        pace = self._context.config.schedules
        report.touch_seconds_at_most = pace.touch_every_seconds * max(
            0, active - pace.running_at_most
        )
        healthy = self._timed(report, Step.INSTALL, lambda: steps.install(stage))
        after, said = self._timed(report, Step.CHECK, lambda: steps.ask(stage, healthy=healthy))
        report.checks = rehearse_checks.judge(before, after, said)
        with steps.undisturbed(stage):
            return

    def _clear(self) -> None:
        """Take back what is there of a rehearsal, whoever held it."""
        with servers.control(self._server).connect() as connection:
            under_way = UNDER_WAY in self._journal.intents(connection)
            aside, ours = steps.there(connection, self._server)
        if not (under_way or aside):
            return
        found = leftover(
            under_way=under_way, set_aside=aside, working=ours, mine=not self._overtaken()
        )
        log.info("rehearsal", leftover=found.value)
        if found is Leftover.SWAPPED:
            steps.remove(self._stage())
        elif found is Leftover.ORPHAN:
            steps.drop_set_aside(self._context, self._server)
        if self._host is not None and found is not Leftover.ORPHAN:
            steps.resume(self._host)
        self._journal.intend(UNDER_WAY, on=False)

    def _overtaken(self) -> bool:
        """Tell whether a failover has changed the sides: stopping anything might stop prod."""
        seen = self._seen()
        now = epoch.current(self._context.config)
        return (
            now.epoch != self._now.epoch
            or seen.standby is None
            or (not seen.host_said and seen.rendering != seen.wanted)
        )

    def _timed(self, report: Report, step: Step, act: Callable[[], T]) -> T:
        log.info("rehearsal", step=step.value)
        self._journal.event(step, "started", "")
        before = time.monotonic()
        try:
            found = act()
        except FAILURES as error:
            self._journal.event(step, "failed", error_text.short(error)[:500])
            raise
        finally:
            report.seconds[step] = time.monotonic() - before
        self._journal.event(step, "done", "")
        return found

    def _guarded(self, report: Report, act: Callable[[], None]) -> None:
        try:
            act()
        except FAILURES as error:
            report.failed = "; ".join(filter(None, [report.failed, error_text.short(error)]))
            log.warning("rehearsal", failed=report.failed)


def of(config: Config) -> Rehearsal:
    """Return the rehearsal of this host; raises BlockedError where no standby has its database."""
    here = servers.here(config).name
    live = {feed.name for feed in epoch.live_feeds(config)}
    feeds = [one for one in config.feeds if one.target.name == here and one.working_database]
    if not feeds:
        raise _refused([f"no feed fills a working database on {here}"])
    # After a failover to here none is live, and what a rehearsal has left is still to be dropped.
    return Rehearsal(Context(config, max(feeds, key=lambda feed: feed.name in live)))


def _refused(why: list[str]) -> BlockedError:
    return BlockedError(
        found="; ".join(why),
        needed="a standby that runs on a working database, beside a mirror that follows",
        way_out="run this where the standby has its database (core-worker-01, until a failover); "
        "`db-migration status` and `db-migration rebuild` say what is missing",
    )
