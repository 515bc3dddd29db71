"""Workspaces, organizations and connections of the API."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.types.json import Jsonb

from . import syncing, versions
from .web import HttpError, Json, Request, Router

if TYPE_CHECKING:
    from psycopg.rows import DictRow

    from .database import Connection, Pool
    from .scheduling import Scheduler
    from .settings import Settings

SCHEDULES = {"manual": "manual", "basic": "basic_schedule", "cron": "cron"}
STATUSES = ("active", "inactive", "deprecated")
READ: LiteralString = """SELECT c.id::text AS id, c.name, c.source_id::text, c.destination_id::text,
    c.status::text, c.schedule_type::text, c.schedule_data, c.prefix, c.namespace_definition::text,
    c.catalog, a.workspace_id::text, extract(epoch FROM c.created_at)::bigint AS created
    FROM connection c JOIN actor a ON a.id = c.source_id"""
# An application older than its database asks for a column that is gone, and breaks.
READ_BEFORE_1_8: LiteralString = READ.replace("c.catalog,", "c.catalog, c.geography::text,")


def _text(row: DictRow) -> Json:
    back = {stored: name for name, stored in SCHEDULES.items()}
    return {
        "connectionId": row["id"],
        "name": row["name"],
        "sourceId": row["source_id"],
        "destinationId": row["destination_id"],
        "status": row["status"],
        "scheduleType": back.get(row["schedule_type"] or "manual"),
        "scheduleData": row["schedule_data"],
        "prefix": row["prefix"],
        "namespaceDefinition": row["namespace_definition"],
        "syncCatalog": row["catalog"],
        "operationIds": [],
        "createdAt": row["created"],
    }


class Connections:
    """The routes."""

    def __init__(self, settings: Settings, pool: Pool, scheduler: Scheduler) -> None:
        """Keep what they need."""
        self._settings = settings
        self._pool = pool
        self._scheduler = scheduler
        old = versions.numbers(settings.version) < (1, 8)
        self._read: LiteralString = READ_BEFORE_1_8 if old else READ

    def add_to(self, router: Router) -> None:
        """Register."""
        for path, route in (
            ("workspaces/list", self.workspaces),
            ("organizations/get", self.organization),
            ("organizations/update", self.update_organization),
            ("connections/list", self.list),
            ("connections/get", self.get),
            ("connections/create", self.create),
            ("connections/update", self.update),
            ("connections/sync", self.sync),
            ("connections/reset", self.reset),
            ("state/get", self.state),
        ):
            router.add("POST", f"/api/v1/{path}", route)

    def workspaces(self, _request: Request) -> Json:
        """List the workspaces."""
        rows = self._pool.rows(
            """SELECT id::text AS "workspaceId", name, slug, email,
                 initial_setup_complete AS "initialSetupComplete",
                 organization_id::text AS "organizationId"
               FROM workspace WHERE tombstone IS NOT TRUE ORDER BY created_at"""
        )
        return {"workspaces": rows}

    def organization(self, request: Request) -> Json:
        """Read an organization, of which the login's email is a part."""
        rows = self._pool.rows(
            """SELECT id::text AS "organizationId", name AS "organizationName", email
               FROM organization WHERE id = %s""",
            [_identity(request, "organizationId")],
        )
        return _only(rows)

    def update_organization(self, request: Request) -> Json:
        """Set an organization's email."""
        self._pool.execute(
            "UPDATE organization SET email = %s, updated_at = now() WHERE id = %s",
            [request.body.get("email", ""), _identity(request, "organizationId")],
        )
        return self.organization(request)

    def list(self, request: Request) -> Json:
        """List a workspace's connections that are not deleted."""
        rows = self._pool.rows(
            self._read
            + " WHERE a.workspace_id = %s AND c.status <> 'deprecated' ORDER BY c.created_at",
            [_identity(request, "workspaceId")],
        )
        return {"connections": [_text(row) for row in rows]}

    def get(self, request: Request) -> Json:
        """Read one connection."""
        rows = self._pool.rows(
            self._read + " WHERE c.id = %s", [_identity(request, "connectionId")]
        )
        return _text(_only(rows))

    def create(self, request: Request) -> Json:
        """Make a connection; this starts its workflow."""
        body = request.body
        new = str(uuid.uuid4())
        with self._pool.transaction() as connection:
            connection.execute(
                """INSERT INTO connection (id, namespace_definition, source_id, destination_id,
                     name, catalog, status, schedule_type, schedule_data, manual)
                   VALUES (%s, 'destination', %s, %s, %s, %s, %s, %s, %s, %s)""",
                [
                    new,
                    _identity(request, "sourceId"),
                    _identity(request, "destinationId"),
                    body.get("name", "source -> destination"),
                    Jsonb(body.get("syncCatalog", {"streams": []})),
                    _choice(body.get("status", "active"), STATUSES, "status"),
                    SCHEDULES[
                        _choice(body.get("scheduleType", "manual"), SCHEDULES, "scheduleType")
                    ],
                    Jsonb(body["scheduleData"]) if body.get("scheduleData") else None,
                    body.get("scheduleType", "manual") == "manual",
                ],
            )
        self._scheduler.touch(new)
        return self.get(_about(request, new))

    def update(self, request: Request) -> Json:
        """Change a connection, or nothing of it; either way its workflow is there afterwards."""
        connection_id = _identity(request, "connectionId")
        before = self.get(request)
        body = {"status": before["status"], "name": before["name"]} | request.body
        schedule = request.body.get("scheduleType", before["scheduleType"])
        data = request.body.get("scheduleData", before["scheduleData"])
        with self._pool.transaction() as connection:
            connection.execute(
                """UPDATE connection SET status = %s, name = %s, schedule_type = %s,
                     schedule_data = %s, updated_at = now() WHERE id = %s""",
                [
                    _choice(body["status"], STATUSES, "status"),
                    body["name"],
                    SCHEDULES[_choice(schedule, SCHEDULES, "scheduleType")],
                    Jsonb(data) if data else None,
                    connection_id,
                ],
            )
            _event(connection, connection_id, "CONNECTION_SETTINGS_UPDATE")
        if body["status"] == "deprecated":
            self._scheduler.forget(connection_id)
        else:
            self._scheduler.touch(connection_id)
        return self.get(request)

    def sync(self, request: Request) -> Json:
        """Ask for a sync now."""
        self.get(request)
        self._scheduler.touch(_identity(request, "connectionId"), "submit_manual_sync")
        return {"accepted": True}

    def reset(self, request: Request) -> Json:
        """Forget the cursors; Airbyte deletes from a table without a primary key to do so."""
        connection_id = _identity(request, "connectionId")
        self.get(request)
        with self._pool.transaction() as connection:
            syncing.queue_reset(connection, connection_id)
            job = syncing.create_job(connection, connection_id, "reset_connection")
            attempt = syncing.start_attempt(connection, job, 0)
            syncing.finish_reset(connection, connection_id, job, attempt)
        self._scheduler.touch(connection_id)
        return {"job": {"id": job, "configType": "reset_connection", "status": "succeeded"}}

    def state(self, request: Request) -> Json:
        """Read a connection's cursors."""
        rows = self._pool.rows(
            """SELECT stream_name AS name, namespace, state FROM state
               WHERE connection_id = %s ORDER BY stream_name""",
            [_identity(request, "connectionId")],
        )
        return {"stateType": "stream" if rows else "not_set", "streamState": rows}


def _event(connection: Connection, connection_id: str, kind: str) -> None:
    connection.execute(
        """INSERT INTO connection_timeline_event (id, connection_id, event_type, summary)
           VALUES (gen_random_uuid(), %s, %s, '{}')""",
        [connection_id, kind],
    )


def _identity(request: Request, key: str) -> str:
    try:
        return str(uuid.UUID(str(request.body[key])))
    except (KeyError, ValueError) as error:
        raise HttpError(422, f"{key} must be a UUID, got {request.body.get(key)!r}") from error


def _about(request: Request, connection_id: str) -> Request:
    return Request(
        path=request.path,
        query={},
        body={"connectionId": connection_id},
        headers=request.headers,
        peer=request.peer,
    )


def _only(rows: list[DictRow]) -> dict[str, Any]:
    if not rows:
        raise HttpError(404, "Object not found.")
    return rows[0]


def _choice(value: object, choices: object, key: str) -> str:
    if not isinstance(value, str) or value not in (known := list(choices)):  # type: ignore[call-overload]
        raise HttpError(422, f"{key} must be one of {known}, got {value!r}")
    return value
