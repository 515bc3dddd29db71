"""The bootloader: a one-shot that writes the database at EVERY run, whatever is in it."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import psycopg

from . import dataplanes, flyway, registry, versions
from .database import connect
from .runtime import log, pause
from .settings import Settings, StandinError

if TYPE_CHECKING:
    from .database import Connection

DATABASE_WAIT_SECONDS = 60.0
ZERO = "00000000-0000-0000-0000-000000000000"
PROTOCOL = (("airbyte_protocol_version_min", "0.0.0"), ("airbyte_protocol_version_max", "0.3.0"))


def run(settings: Settings) -> int:
    """Do everything once and end."""
    if settings.in_kubernetes:
        dataplanes.ensure_admin_credentials(settings)
    with _wait(settings) as connection:
        _gate(connection, settings.version)
        if settings.flag("RUN_DATABASE_MIGRATION_ON_STARTUP", "true"):
            done = flyway.migrate(connection, settings.version)
            log(f"Database migrations: {done} applied")
        else:
            log("Auto database migration has been skipped.")
        with connection.transaction():
            _users(connection)
            if versions.numbers(settings.version) >= (1, 6):
                dataplanes.ensure(connection, settings)
            _workspace(connection)
            if versions.numbers(settings.version) >= (1, 6):
                dataplanes.adopt_new_workspace(connection)
        with connection.transaction():
            _metadata(connection, settings.version)
            registry.import_definitions(connection)
    log("Finished running bootstrap loader.")
    return 0


def _wait(settings: Settings) -> Connection:
    database = settings.airbyte_database()
    deadline = time.monotonic() + DATABASE_WAIT_SECONDS
    while True:
        try:
            return connect(database, "bootloader")
        except psycopg.OperationalError as error:
            refused = "authentication failed" in str(error) or "does not exist" in str(error)
            if refused or time.monotonic() > deadline or pause(0.5):
                msg = f"Unable to connect to the database at {database.host}: {error}"
                raise StandinError(msg) from error


def _gate(connection: Connection, app_version: str) -> None:
    found = None
    if flyway.exists(connection, "airbyte_metadata"):
        row = connection.execute(
            "SELECT value FROM airbyte_metadata WHERE key = 'airbyte_version'"
        ).fetchone()
        found = row["value"] if row else None
    stop = versions.blocked_by(found, app_version)
    if stop:
        msg = (
            f"Cannot upgrade from version {found} to version {app_version} directly. "
            f"First you must upgrade to version {stop}. After that upgrade is complete, "
            f"you may upgrade to version {app_version}."
        )
        raise StandinError(msg)


def _users(connection: Connection) -> None:
    connection.execute(
        """INSERT INTO organization (id, name, user_id, email)
           SELECT %s, 'Default Organization', %s, '' WHERE NOT EXISTS (SELECT FROM organization)""",
        [ZERO, ZERO],
    )
    connection.execute(
        """INSERT INTO "user" (id, name, status, email)
           SELECT %s, 'Default User', 'registered', '' WHERE NOT EXISTS (SELECT FROM "user")""",
        [ZERO],
    )
    connection.execute(
        """INSERT INTO auth_user (id, user_id, auth_user_id, auth_provider)
           SELECT gen_random_uuid(), %s, %s, 'airbyte' WHERE NOT EXISTS (SELECT FROM auth_user)""",
        [ZERO, ZERO],
    )
    connection.execute(
        """INSERT INTO permission (id, user_id, permission_type)
           SELECT gen_random_uuid(), %s, 'instance_admin'
           WHERE NOT EXISTS (SELECT FROM permission)""",
        [ZERO],
    )


def _workspace(connection: Connection) -> None:
    connection.execute(
        """INSERT INTO workspace (id, name, slug, initial_setup_complete, anonymous_data_collection,
             send_newsletter, tombstone, organization_id)
           SELECT gen_random_uuid(), 'Default Workspace', 'default-workspace', false, false, false,
             false, %s WHERE NOT EXISTS (SELECT FROM workspace)""",
        [ZERO],
    )


def _metadata(connection: Connection, app_version: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}Z"
    rows = [*PROTOCOL, ("airbyte_version", app_version), (f"{stamp}_init_db", app_version)]
    for key, value in rows:
        connection.execute(
            """INSERT INTO airbyte_metadata (key, value) VALUES (%s, %s)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value""",
            [key, value],
        )
    connection.execute(
        """INSERT INTO airbyte_metadata (key, value) VALUES ('deployment_id', %s)
           ON CONFLICT (key) DO NOTHING""",
        [str(uuid.uuid4())],
    )
    connection.execute(
        """INSERT INTO sso_config (id, organization_id, keycloak_realm)
           SELECT gen_random_uuid(), id, 'airbyte' FROM organization WHERE id = %s
           ON CONFLICT DO NOTHING""",
        [ZERO],
    )
