"""The watch: an Airbyte that came back with its host and is no longer active is stopped at once.

Compose starts again with its host, and so does its own database, which lets it in: both are fenced.
An Airbyte on abctl is shut out by the databases already, and asking its host costs a cluster's
answer: it is looked at more seldom, and so is compose's database, where nobody writes any more.
"""

from __future__ import annotations

import threading
from itertools import count

import psycopg
import structlog

from db_migration.config import Config
from db_migration.context import over_ssh
from db_migration.errors import MigrationError
from db_migration.failover.look import InstanceHost
from db_migration.rebuild import rebuild
from db_migration.sides import epoch

WATCH_SECONDS = 3
ALL_EVERY = 10
"""Looks after which those on abctl, and compose's database, are looked at too."""
log = structlog.get_logger()


def watch(config: Config, stop: threading.Event, instance_host: InstanceHost = over_ssh) -> None:
    """Look every few seconds until `stop`; a host or server that does not answer is left out."""
    compose = tuple(one for one in config.instances if one.kind == "compose")
    often = config.model_copy(update={"instances": compose, "feeds": ()})
    for look in count():
        if stop.wait(WATCH_SECONDS):
            return
        try:
            now = epoch.current(config)
            watched = often if look % ALL_EVERY else config
            for what in rebuild.fence_returned(watched, now, instance_host) if now.epoch else ():
                log.warning("fenced", what=what, epoch=now.epoch)
        except (MigrationError, psycopg.Error) as error:
            log.debug("not watched now", error=type(error).__name__)
