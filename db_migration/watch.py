"""The watch: an Airbyte that came back with its host and is no longer active is stopped at once.

Compose starts again with its host, and its own database lets it in: nothing else fences it.
"""

from __future__ import annotations

import threading

import psycopg
import structlog

from db_migration import epoch, rebuild
from db_migration.config import Config
from db_migration.context import over_ssh
from db_migration.errors import MigrationError
from db_migration.failover_look import InstanceHost

WATCH_SECONDS = 3
log = structlog.get_logger()


def watch(config: Config, stop: threading.Event, instance_host: InstanceHost = over_ssh) -> None:
    """Look every few seconds until `stop`; a host or server that does not answer is left out."""
    while not stop.wait(WATCH_SECONDS):
        try:
            now = epoch.current(config)
            for what in rebuild.fence_returned(config, now, instance_host) if now.epoch else ():
                log.warning("fenced", what=what, epoch=now.epoch)
        except (MigrationError, psycopg.Error) as error:
            log.debug("not watched now", error=type(error).__name__)
