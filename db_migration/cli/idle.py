"""The command `idle`."""

from __future__ import annotations

from db_migration import config_file
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, reported, stop_by_signal
from db_migration.config import Config


def idle_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Wait for SIGTERM: keeps the container of a host without a database server of its own.

    So that `docker exec db-migration db-migration failover` works there, too. Ends by itself when
    the configuration has changed, to be started with the new one.
    """
    with reported(as_json):
        idle(config_file.load(config))


def idle(loaded: Config) -> None:
    """Wait until SIGTERM, or until the configuration has changed."""
    stop = stop_by_signal()
    while not stop.wait(loaded.poll_seconds) and not loaded.outdated():
        continue
