"""The two migration histories, as Flyway keeps them."""

from __future__ import annotations

import zlib
from importlib import resources
from typing import TYPE_CHECKING, Any, LiteralString, cast

from . import versions
from .runtime import log

if TYPE_CHECKING:
    from .database import Connection

HISTORY: dict[str, LiteralString] = {
    versions.CONFIGS: """CREATE TABLE IF NOT EXISTS airbyte_configs_migrations (
      installed_rank int CONSTRAINT airbyte_configs_migrations_pk PRIMARY KEY, version varchar(50),
      description varchar(200) NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL,
      checksum int, installed_by varchar(100) NOT NULL,
      installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL,
      success boolean NOT NULL)""",
    versions.JOBS: """CREATE TABLE IF NOT EXISTS airbyte_jobs_migrations (
      installed_rank int CONSTRAINT airbyte_jobs_migrations_pk PRIMARY KEY, version varchar(50),
      description varchar(200) NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL,
      checksum int, installed_by varchar(100) NOT NULL,
      installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL,
      success boolean NOT NULL)""",
}
READ: dict[str, LiteralString] = {
    versions.CONFIGS: "SELECT version FROM airbyte_configs_migrations WHERE success",
    versions.JOBS: "SELECT version FROM airbyte_jobs_migrations WHERE success",
}
WRITE: dict[str, LiteralString] = {
    versions.CONFIGS: """INSERT INTO airbyte_configs_migrations
      SELECT count(*) + 1, %s, %s, 'JDBC', %s, %s, current_user, now(), 7, true
      FROM airbyte_configs_migrations""",
    versions.JOBS: """INSERT INTO airbyte_jobs_migrations
      SELECT count(*) + 1, %s, %s, 'JDBC', %s, %s, current_user, now(), 7, true
      FROM airbyte_jobs_migrations""",
}


def exists(connection: Connection, table: str) -> bool:
    """Say whether schema public has this table."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL AS it", [f"public.{table}"])
    return bool(cast("dict[str, Any]", row.fetchone())["it"])


def newest(connection: Connection, history: str) -> str | None:
    """Return the newest applied version, or None without a history."""
    if not exists(connection, history):
        return None
    applied = [row["version"] for row in connection.execute(READ[history]).fetchall()]
    return max(applied, key=versions.numbers, default=None)


def migrate(connection: Connection, app_version: str) -> int:
    """Apply what is missing, each migration in a transaction of its own.

    Rows of migrations this application does not know are left alone, as Flyway's defaults do.
    """
    done = 0
    for statement in HISTORY.values():
        connection.execute(statement)
    for step in versions.migrations_of(app_version):
        known = {row["version"] for row in connection.execute(READ[step.history]).fetchall()}
        if step.version in known:
            continue
        with connection.transaction():
            for name in step.files:
                text = resources.files(__package__).joinpath("sql", name).read_text()
                connection.execute(text)
            script = f"V{step.version.replace('.', '_')}__{step.description.replace(' ', '_')}"
            checksum = zlib.crc32(script.encode()) - 2**31
            connection.execute(
                WRITE[step.history], [step.version, step.description, script, checksum]
            )
        log(f"Flyway: {step.history} migrated to {step.version} ({step.description})")
        done += 1
    return done
