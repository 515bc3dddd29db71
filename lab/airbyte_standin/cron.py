"""airbyte-cron: writes the database by the clock, whether or not anybody uses Airbyte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import registry, versions
from .database import Pool
from .runtime import every, log
from .scheduling import Scheduler
from .server import check_migrations
from .web import Router, serve, until_stopped
from .worker import wait_for_temporal

if TYPE_CHECKING:
    from .settings import Settings

DAY_MINUTES = 1440


class Cron:
    """The jobs."""

    def __init__(self, settings: Settings) -> None:
        """Keep the pool."""
        self._pool = Pool(settings.airbyte_database(), "cron", 2)
        self._scheduler = Scheduler(settings)

    def monitor_workloads(self) -> None:
        """Fail workloads whose heartbeat is gone: of any instance on this database."""
        failed = self._pool.execute(
            """UPDATE workload SET status = 'failure', updated_at = now(),
                 termination_source = 'airbyte-cron', termination_reason = 'missed heartbeat'
               WHERE status IN ('claimed', 'launched', 'running')
                 AND coalesce(last_heartbeat_at, created_at) < now() - interval '10 minutes'"""
        )
        if failed:
            log(f"cron: failed {failed} workloads without a heartbeat")

    def update_definitions(self) -> None:
        """Import the connector registry again."""
        with self._pool.transaction() as connection:
            registry.import_definitions(connection)
        log("cron: definitions updated")

    def update_declarative_sources(self) -> None:
        """Look for new versions of the declarative sources' manifests."""
        self._pool.execute(
            """UPDATE connector_builder_project SET updated_at = now()
               WHERE NOT tombstone AND actor_definition_id IS NOT NULL"""
        )

    def self_heal(self) -> None:
        """Restart workflows that Temporal lists as failed; an empty Temporal lists none."""
        self._scheduler.workflows()

    def prune(self) -> None:
        """Delete jobs older than 6 months and timeline events older than 18."""
        with self._pool.transaction() as connection:
            connection.execute(
                """DELETE FROM attempts a USING jobs j
                   WHERE j.id = a.job_id AND j.updated_at < now() - interval '6 months'"""
            )
            connection.execute("DELETE FROM jobs WHERE updated_at < now() - interval '6 months'")
            connection.execute(
                """DELETE FROM connection_timeline_event
                   WHERE created_at < now() - interval '18 months'"""
            )


def run(settings: Settings) -> int:
    """Wait for Temporal, then keep the clock."""
    check_migrations(settings)
    wait_for_temporal(Scheduler(settings))
    cron, minute = Cron(settings), settings.minute_seconds
    every(minute / 6, "self-heal", cron.self_heal)
    every(minute, "workload-monitor", cron.monitor_workloads)
    every(minute, "definitions", once_then_daily(cron))
    every(minute * 10, "declarative-sources", cron.update_declarative_sources)
    if versions.numbers(settings.version) >= (2, 0):
        every(minute * DAY_MINUTES, "prune", cron.prune)
    router = Router()
    router.add("GET", "/health", lambda _request: {"status": "UP"})
    until_stopped(serve(settings.port(9001), router))
    return 0


class once_then_daily:  # noqa: N801 - used as a function
    """The definitions' clock: after one minute, then every day."""

    def __init__(self, cron: Cron) -> None:
        """Start at minute 0."""
        self._cron = cron
        self._minute = 0

    def __call__(self) -> None:
        """Count a minute."""
        if self._minute % DAY_MINUTES == 0:
            self._cron.update_definitions()
        self._minute += 1
