"""Rebuild: bring redundancy back after a failover, while prod runs.

What a returned server or host still believes is put right: it learns the epoch, its stale database
is set aside (kept, under another name), its agent seeds a new mirror and clones a new working
database, and the Airbyte that is not active stands by there. Every step looks first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from db_migration.config import Config, ServerConfig
from db_migration.context import over_ssh
from db_migration.errors import DeadlinePassedError
from db_migration.failover.failover import lock_all
from db_migration.failover.look import InstanceHost
from db_migration.journal import Journal
from db_migration.postgres import until
from db_migration.rebuild.steps import Work, fences, put_right, stand_by
from db_migration.reporting import status
from db_migration.sides import epoch, servers
from db_migration.sides.epoch import Epoch

JOURNAL = "rebuild"
FOLLOW_SECONDS = 3600.0
POLL_SECONDS = 2.0
GOALS = ["following", "verified", "working"]
log = structlog.get_logger()


@dataclass
class Report:
    """What was done, or would be, and what has to wait for somebody to come back."""

    epoch: Epoch
    done: list[str] = field(default_factory=list)
    waiting_for: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        return {
            "epoch": self.epoch.as_dict(),
            "done": self.done,
            "waiting_for": self.waiting_for,
            "seconds": round(self.seconds, 1),
        }


def rebuild(
    config: Config,
    *,
    dry_run: bool = False,
    instance_host: InstanceHost = over_ssh,
    seconds: float = FOLLOW_SECONDS,
) -> Report:
    """Do what is missing, wait until the mirror follows and is verified, start the standby.

    Safe to repeat. Raises DeadlinePassedError when the feed does not get there in time.
    """
    started = time.monotonic()
    return _Rebuild(config, instance_host, dry_run=dry_run, seconds=seconds).run(started)


def fence_returned(config: Config, now: Epoch, instance_host: InstanceHost = over_ssh) -> list[str]:
    """Stop every Airbyte that runs and is not active, as after its host's return; name them.

    Compose starts again with its host, and syncs from a database that nobody fences. Silent hosts
    are left out. Raises BlockedError while the sides change, or when they have since `now`: who
    is stopped would be who has just become active.
    """
    works = fences(config, now, instance_host, [])
    if works:
        # Held while they stop, it would keep every failover out: a sick host takes an hour.
        with ExitStack() as held:
            lock_all(held, servers.answering(config), now)
    for work in works:
        work.act()
        _note(config, now, work.what)
    return [work.what for work in works]


def _note(config: Config, now: Epoch, what: str) -> None:
    live = config.server(now.database)
    if live is not None:
        journal = Journal(servers.control(live), JOURNAL)
        journal.open()
        journal.event(JOURNAL, "done", what)


class _Rebuild:
    def __init__(
        self, config: Config, instance_host: InstanceHost, *, dry_run: bool, seconds: float
    ) -> None:
        self._config = config
        self._host = instance_host
        self._dry_run = dry_run
        self._seconds = seconds
        self._now = epoch.current(config, patient=True)
        self._report = Report(self._now)

    def run(self, started: float) -> Report:
        """First everything that is quick; then the wait, without the lock; then the standby."""
        silent = self._report.waiting_for
        answering = servers.answering(self._config)
        silent += [f"server {one.name}" for one in self._config.servers if one not in answering]
        others = [one for one in answering if one.name != self._now.database]
        with self._alone(answering):
            self._do(fences(self._config, self._now, self._host, silent))
            for server in others:
                self._do(put_right(self._config, self._now, server))
        for number, server in enumerate(others):
            self._wait(server, GOALS if number == 0 else GOALS[:2])
        with self._alone(servers.answering(self._config)):
            for server in others[:1]:
                self._do(stand_by(self._config, self._now, server, self._host))
        self._report.seconds = time.monotonic() - started
        return self._report

    @contextmanager
    def _alone(self, answering: Sequence[ServerConfig]) -> Iterator[None]:
        """Keep everybody else from changing sides; raise BlockedError if somebody has since."""
        with ExitStack() as held:
            if not self._dry_run:
                lock_all(held, answering, self._now)
            yield

    def _do(self, works: list[Work]) -> None:
        for work in works:
            log.info("rebuild", what=work.what, dry_run=self._dry_run)
            if not self._dry_run:
                work.act()
                _note(self._config, self._now, work.what)
            self._report.done.append(work.what)

    def _wait(self, server: ServerConfig, goals: list[str]) -> None:
        """Wait until the feed into this server has come as far as it gets."""
        name = f"{self._now.database}-to-{server.name}"
        if self._dry_run or self._config.server(self._now.database) is None:
            return
        missing: list[str] = []

        def reached() -> bool:
            missing[:] = _missing(server, name, goals, self._config.poll_seconds)
            if missing:
                log.info("rebuild", waiting_for=missing)
            return not missing

        if not until(reached, self._seconds, every=POLL_SECONDS):
            raise DeadlinePassedError(
                found=f"after {self._seconds:g} s not there: {'; '.join(missing)}",
                needed=f"feed {name}: {', '.join(goals)}",
                way_out=f"look at `db-migration status` on {server.name}'s host: is its agent "
                "running? Then repeat",
            )


def _missing(server: ServerConfig, name: str, goals: list[str], poll_seconds: float) -> list[str]:
    """Say what the feed's own state does not show yet; a verification of the last copy is none."""
    journal = Journal(servers.control(server), name)
    journal.open()
    feed = status.last(journal, name, poll_seconds)
    with servers.control(server).connect() as connection:
        if journal.last_verification(connection) is None:
            feed = {**feed, "verified": None}
    missing = status.reached([feed], goals)
    return [f"{one} ({feed['next']})" for one in missing]
