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
