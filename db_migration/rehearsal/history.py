"""The rehearsals of this host that have ended, in the control database's journal."""

from __future__ import annotations

from typing import Any

import psycopg

from db_migration.config import Config
from db_migration.errors import MigrationError
from db_migration.postgres import rows
from db_migration.sides import servers

JOURNAL = "rehearsal"
QUERY = "SELECT result FROM migration.verification WHERE feed = %s ORDER BY id DESC LIMIT %s"


def history(config: Config, most: int = 10) -> list[dict[str, Any]]:
    """Return the last ones, the newest first; none where there is no journal to read."""
    if not config.servers:
        return []
    try:
        with servers.control(servers.here(config)).connect() as connection:
            return [found for (found,) in rows(connection, QUERY, (JOURNAL, most))]
    except (MigrationError, psycopg.errors.UndefinedTable):
        return []


def shortly(config: Config, most: int = 3) -> list[dict[str, Any]]:
    """Return what `status` shows of each."""
    keys = ("at", "airbyte", "server", "ok", "rto_seconds")
    return [{key: found[key] for key in keys} for found in history(config, most)]
