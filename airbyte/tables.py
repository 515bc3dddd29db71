"""What is peculiar about the tables of Airbyte's database (0.63.15; airbyte-facts 4).

Knowledge only: the migration reads the live catalog and uses this where a table's meaning matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SCHEMA = "public"

CONNECTIONS = "connection"
"""Every sync; `status` decides whether a scheduler runs it."""

STATUS_ACTIVE = "active"
STATUS_INACTIVE = "inactive"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """SQL and its arguments in psycopg's style."""

    text: str
    arguments: tuple[str, ...] = ()


CONNECTIONS_EXIST = Statement(
    text="SELECT to_regclass(%s) IS NOT NULL", arguments=(f"{SCHEMA}.{CONNECTIONS}",)
)

DEACTIVATE_CONNECTIONS = Statement(
    text=f'UPDATE {SCHEMA}."{CONNECTIONS}" SET status = %s WHERE status = %s',  # noqa: S608
    arguments=(STATUS_INACTIVE, STATUS_ACTIVE),
)
"""A standby must not sync: two schedulers on copies of one database write destinations twice."""

ACTIVE_CONNECTIONS = Statement(
    text=f'SELECT count(*) FROM {SCHEMA}."{CONNECTIONS}" WHERE status::text = %s',  # noqa: S608
    arguments=(STATUS_ACTIVE,),
)

SECRET_COLUMNS: Mapping[str, frozenset[str]] = {
    "secrets": frozenset({"payload"}),
    "actor": frozenset({"configuration"}),
    "actor_oauth_parameter": frozenset({"configuration"}),
    "workspace": frozenset({"webhook_operation_configs", "notifications"}),
    "application": frozenset({"client_id", "client_secret"}),
    "auth_refresh_token": frozenset({"session_id", "value"}),
    "dataplane_client_credentials": frozenset({"client_id", "client_secret"}),
    "service_accounts": frozenset({"secret"}),
    "user_invitation": frozenset({"invite_code"}),
    "secret_storage": frozenset({"configured_from_environment", "descriptor"}),
}
"""Columns that hold, or may hold, a secret (airbyte-facts 4.1, 4.3): never shown, never logged."""
