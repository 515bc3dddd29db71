"""Machine credentials of Airbyte on Kubernetes: the auth Secret and the data plane's rows."""

from __future__ import annotations

import json
import secrets
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import versions
from .runtime import log
from .settings import Settings, StandinError

if TYPE_CHECKING:
    from .database import Connection

ADMIN_KEYS = (
    "instance-admin-password",
    "instance-admin-client-id",
    "instance-admin-client-secret",
    "jwt-signature-secret",
)
CLIENT_ID, CLIENT_SECRET = "dataplane-client-id", "dataplane-client-secret"
ZERO = "00000000-0000-0000-0000-000000000000"


def _secret_file(settings: Settings) -> Path:
    # The node writes what the bootloader leaves here into the Kubernetes Secret.
    name = settings.env.get("LAB_AUTH_SECRET_FILE")
    if not name:
        msg = "LAB_AUTH_SECRET_FILE must name the node's copy of the auth Secret, found nothing"
        raise StandinError(msg)
    return Path(name)


def _read(settings: Settings) -> dict[str, str]:
    path = _secret_file(settings)
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _write(settings: Settings, values: dict[str, str]) -> None:
    path = _secret_file(settings)
    path.touch(mode=0o600)
    path.write_text(json.dumps(values))


def ensure_admin_credentials(settings: Settings) -> None:
    """Keep every value that is there, generate each that is missing."""
    values = _read(settings)
    for key in ADMIN_KEYS:
        if not values.get(key):
            values[key] = secrets.token_urlsafe(24)
            log(f"auth Secret: generated {key}")
    _write(settings, values)


def ensure(connection: Connection, settings: Settings) -> None:
    """Make group, data plane and credentials unless the Secret holds valid ones."""
    _secret_storage(connection)
    values = _read(settings)
    valid = connection.execute(
        """SELECT 1 FROM dataplane_client_credentials
           WHERE client_id = %s AND client_secret = %s""",
        [values.get(CLIENT_ID), values.get(CLIENT_SECRET)],
    ).fetchone()
    if valid:
        return
    group = _group(connection, settings)
    plane = uuid.uuid4()
    account = uuid.uuid4()
    connection.execute(
        "INSERT INTO service_accounts (id, name, secret, managed) VALUES (%s, %s, %s, true)",
        [account, f"dataplane-{plane}", secrets.token_urlsafe(24)],
    )
    connection.execute(
        """INSERT INTO dataplane (id, dataplane_group_id, name, service_account_id)
           VALUES (%s, %s, %s, %s)""",
        [plane, group, f"dataplane-{plane}", account],
    )
    values[CLIENT_ID], values[CLIENT_SECRET] = str(uuid.uuid4()), secrets.token_urlsafe(24)
    connection.execute(
        """INSERT INTO dataplane_client_credentials (id, dataplane_id, client_id, client_secret)
           VALUES (%s, %s, %s, %s)""",
        [uuid.uuid4(), plane, values[CLIENT_ID], values[CLIENT_SECRET]],
    )
    _write(settings, values)
    log(f"auth Secret: generated credentials of data plane {plane}")


def _group(connection: Connection, settings: Settings) -> Any:  # noqa: ANN401 - a uuid of psycopg
    if versions.numbers(settings.version) < (2, 0):
        rows = connection.execute(
            "SELECT id FROM dataplane_group WHERE NOT tombstone ORDER BY created_at"
        ).fetchall()
        if len(rows) == 1:
            return rows[0]["id"]
    # From 2.0 on the group is found by its configured name; charts render it empty, so a second
    # group appears beside the one the workspaces use, and no workload is ever claimed.
    name = settings.env.get("DEFAULT_DATAPLANE_GROUP_NAME", "")
    if versions.numbers(settings.version) < (2, 0):
        name = name or "AUTO"
    found = connection.execute(
        "SELECT id FROM dataplane_group WHERE lower(name) = lower(%s) AND NOT tombstone", [name]
    ).fetchone()
    if found:
        return found["id"]
    group = uuid.uuid4()
    connection.execute(
        "INSERT INTO dataplane_group (id, organization_id, name) VALUES (%s, %s, %s)",
        [group, ZERO, name],
    )
    log(f"Creating dataplane group {name!r}")
    return group


def adopt_new_workspace(connection: Connection) -> None:
    """A workspace that this run made belongs to the oldest group."""
    connection.execute(
        """UPDATE workspace SET dataplane_group_id =
             (SELECT id FROM dataplane_group ORDER BY created_at LIMIT 1)
           WHERE dataplane_group_id IS NULL"""
    )


def _secret_storage(connection: Connection) -> None:
    connection.execute(
        """INSERT INTO secret_storage (id, scope_type, scope_id, descriptor, storage_type,
             configured_from_environment)
           VALUES (%s, 'organization', %s, 'Default Secret Storage', 'local_testing', true)
           ON CONFLICT (id) DO NOTHING""",
        [ZERO, ZERO],
    )
