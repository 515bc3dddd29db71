"""What is peculiar about the tables of Airbyte's database (0.63.15; airbyte-facts 4).

Knowledge only: the migration reads the live catalog and uses this where a table's meaning matters.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "public"

CONNECTIONS = "connection"
"""Every sync; `status` decides whether a scheduler runs it."""

STATUS_ACTIVE = "active"
STATUS_INACTIVE = "inactive"

KEYLESS = ("actor_definition_workspace_grant", "stream_reset")
"""No primary key; their unique indexes have nullable columns and can not serve as identity."""

LAZY = ("secrets",)
"""Made by the application when the first secret is stored, not by Flyway."""

SEQUENCES = ("jobs_id_seq", "attempts_id_seq")
"""All other keys are UUIDs or text."""

NEVER_MIGRATED = ("temporal", "temporal_visibility")
"""Databases whose content belongs to one Temporal installation and is made anew."""


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

COUNT_ACTIVE_CONNECTIONS = Statement(
    text=f'SELECT count(*) FROM {SCHEMA}."{CONNECTIONS}" WHERE status = %s',  # noqa: S608
    arguments=(STATUS_ACTIVE,),
)
