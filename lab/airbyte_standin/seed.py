"""Deterministic content: the same rows on every machine, with every awkward value."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from psycopg.types.json import Jsonb

from .registry import DESTINATION, SOURCE, identity
from .web import HttpError

if TYPE_CHECKING:
    import uuid

    from .database import Connection

LIMITS = {
    "connections": (20, 500),
    "jobs": (5000, 500_000),
    "payload_bytes": (2000, 1_000_000),
    "interval_minutes": (1, 100_000),
    "secrets": (0, 1),
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How much."""

    connections: int
    jobs: int
    payload_bytes: int
    interval_minutes: int
    secrets: int
    """1: the connectors' passwords are in `secrets`, which the first one makes."""

    @classmethod
    def read(cls, body: dict[str, Any]) -> Wanted:
        """Read the request; every number has a default and a most."""
        unknown = sorted(set(body) - set(LIMITS))
        if unknown:
            raise HttpError(422, f"unknown keys {unknown}, known are {sorted(LIMITS)}")
        values = {}
        for key, (default, most) in LIMITS.items():
            value = body.get(key, default)
            if not isinstance(value, int) or not 0 <= value <= most:
                raise HttpError(422, f"{key} must be an integer from 0 to {most}, got {value!r}")
            values[key] = value
        return cls(**values)


def fill(connection: Connection, wanted: Wanted) -> tuple[dict[str, Any], list[str]]:
    """Write what is missing; return a summary and the active connections."""
    workspace = _workspace(connection)
    connections = [_one(connection, workspace, i, wanted) for i in range(wanted.connections)]
    values = {"jobs": wanted.jobs, "payload": wanted.payload_bytes, "workspace": workspace}
    texts = resources.files(__package__).joinpath("sql")
    for part in texts.joinpath("seed.sql").read_text().split(";\n"):
        if part.strip():
            connection.execute(part, values)
    active = [str(one) for i, one in enumerate(connections) if _is_active(i)]
    counted = connection.execute("SELECT count(*) AS n FROM jobs").fetchone()
    return {"connections": len(connections), "jobs": counted["n"] if counted else 0}, active


def _is_active(number: int) -> bool:
    return number % 5 != 4


def _workspace(connection: Connection) -> uuid.UUID:
    row = connection.execute("SELECT id FROM workspace ORDER BY created_at LIMIT 1").fetchone()
    if row is None:
        raise HttpError(409, "there is no workspace: the bootloader has not run")
    return cast("uuid.UUID", row["id"])


def _actor(connection: Connection, workspace: uuid.UUID, name: str, connector: str) -> uuid.UUID:
    new = identity("actor", name)
    kind = connector.partition("-")[0]
    configuration = Jsonb({"url": f"https://{name}.example"})
    connection.execute(
        """INSERT INTO actor
             (id, workspace_id, actor_definition_id, name, configuration, actor_type)
           VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING""",
        [new, workspace, identity("definition", connector), name, configuration, kind],
    )
    return new


def _with_secret(connection: Connection, workspace: uuid.UUID, actor: uuid.UUID) -> None:
    """Put a password into `secrets`, and its coordinate into the actor's configuration."""
    coordinate = f"airbyte_workspace_{workspace}_secret_{actor}_v1"
    store_secret(connection, coordinate, f"password of {actor}")
    connection.execute(
        "UPDATE actor SET configuration = configuration || %s WHERE id = %s",
        [Jsonb({"password": {"_secret": coordinate}}), actor],
    )


def store_secret(connection: Connection, coordinate: str, payload: str) -> None:
    """Store a secret; the first one makes the table, which no migration does."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS secrets (coordinate TEXT PRIMARY KEY, payload TEXT)"
    )
    connection.execute(
        """INSERT INTO secrets (coordinate, payload) VALUES (%s, %s)
           ON CONFLICT (coordinate) DO UPDATE SET payload = excluded.payload""",
        [coordinate, payload],
    )


def _one(connection: Connection, workspace: uuid.UUID, number: int, wanted: Wanted) -> uuid.UUID:
    source = _actor(connection, workspace, f"source-{number:03d}", SOURCE)
    destination = _actor(connection, workspace, f"destination-{number:03d}", DESTINATION)
    for actor in (source, destination) if wanted.secrets else ():
        _with_secret(connection, workspace, actor)
    manual = number % 5 == 3
    basic = {"basicSchedule": {"units": wanted.interval_minutes, "timeUnit": "minutes"}}
    values = {
        "id": identity("connection", number),
        "source": source,
        "destination": destination,
        "name": f"Connection {number:03d} \u2192 \u201cledger\u201d",
        "status": "active" if _is_active(number) else "inactive",
        "schedule_type": "manual" if manual else "basic_schedule",
        "schedule_data": None if manual else Jsonb(basic),
        "manual": manual,
        "prefix": None if number % 2 else "raw_",
        "catalog": Jsonb(
            {"streams": [{"stream": {"name": "records"}, "config": {"selected": True}}]}
        ),
    }
    _insert_connection(connection, values)
    return identity("connection", number)


def _insert_connection(connection: Connection, values: dict[str, Any]) -> None:
    connection.execute(
        """INSERT INTO connection (id, namespace_definition, source_id, destination_id, name,
             prefix, catalog, status, schedule_type, schedule_data, manual)
           VALUES (%(id)s, 'destination', %(source)s, %(destination)s, %(name)s, %(prefix)s,
             %(catalog)s, %(status)s, %(schedule_type)s, %(schedule_data)s, %(manual)s)
           ON CONFLICT (id) DO NOTHING""",
        values,
    )


def load_connection(connection: Connection) -> str:
    """Make the inactive connection that /lab/write writes for."""
    workspace = _workspace(connection)
    new = identity("connection", "lab load")
    values = {
        "id": new,
        "source": _actor(connection, workspace, "source-lab-load", SOURCE),
        "destination": _actor(connection, workspace, "destination-lab-load", DESTINATION),
        "name": "lab load",
        "status": "inactive",
        "schedule_type": "manual",
        "schedule_data": None,
        "manual": True,
        "prefix": None,
        "catalog": Jsonb({"streams": []}),
    }
    _insert_connection(connection, values)
    return str(new)
