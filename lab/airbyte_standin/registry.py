"""The connector registry, which the bootloader and cron import again and again."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from .database import Connection

NAMESPACE = uuid.UUID("5c0f3f39-6f7c-4b5c-9d21-6b5d0c1f8a11")
SOURCE = "source-lab-records"
DESTINATION = "destination-lab-ledger"
CONNECTORS = (
    SOURCE,
    DESTINATION,
    "source-postgres",
    "source-github",
    "source-faker",
    "destination-postgres",
    "destination-local-json",
    "destination-bigquery",
)


def identity(*parts: object) -> uuid.UUID:
    """Return the same id for the same thing, on every machine."""
    return uuid.uuid5(NAMESPACE, "/".join(str(part) for part in parts))


def import_definitions(connection: Connection) -> None:
    """Write every definition and version again; ones in use keep their version."""
    for name in CONNECTORS:
        definition, version = identity("definition", name), identity("version", name)
        kind = name.partition("-")[0]
        connection.execute(
            """INSERT INTO actor_definition (id, name, icon, actor_type, source_type, public)
               VALUES (%s, %s, %s, %s, %s, true)
               ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = now()""",
            [definition, name, f"{name}.svg", kind, "api" if kind == "source" else None],
        )
        connection.execute(
            """INSERT INTO actor_definition_version (id, actor_definition_id, docker_repository,
                 docker_image_tag, spec, protocol_version, release_date, release_stage,
                 support_level, allowed_hosts)
               VALUES (%s, %s, %s, '1.0.0', %s, '0.2.0', '2024-07-01', 'generally_available',
                 'certified', NULL)
               ON CONFLICT (id) DO UPDATE SET spec = excluded.spec, updated_at = now()""",
            [version, definition, f"airbyte/{name}", Jsonb(_spec(name))],
        )
        connection.execute(
            """UPDATE actor_definition SET default_version_id = %s
               WHERE id = %s AND default_version_id IS NULL""",
            [version, definition],
        )


def _spec(name: str) -> dict[str, object]:
    properties = {
        "url": {"type": "string", "title": "Address"},
        "password": {"type": "string", "airbyte_secret": True},
    }
    return {"title": name, "connectionSpecification": {"type": "object", "properties": properties}}
