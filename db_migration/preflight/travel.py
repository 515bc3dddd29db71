"""What does not travel with the database, listed by connection, with what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airbyte.left_behind import Actor, Kind, LeftBehind, left_behind
from db_migration.postgres import Connection
from db_migration.preflight.checklist import UNKNOWN, Check, Result
from db_migration.preflight.facts import careful

_ACTORS = """
SELECT coalesce(jsonb_agg(jsonb_build_object('id', a.id::text, 'name', a.name,
    'repository', v.docker_repository, 'tag', v.docker_image_tag,
    'configuration', a.configuration) ORDER BY a.name), '[]')
FROM public.actor a JOIN public.actor_definition d ON d.id = a.actor_definition_id
JOIN public.actor_definition_version v
    ON v.id = coalesce(a.default_version_id, d.default_version_id)
WHERE NOT a.tombstone
"""
_CONNECTIONS = """
SELECT coalesce(jsonb_agg(jsonb_build_object('id', id::text, 'name', name, 'status', status::text,
    'actors', jsonb_build_array(source_id::text, destination_id::text)) ORDER BY name), '[]')
FROM public.connection WHERE status::text <> 'deprecated'
"""
_LOGS = "SELECT count(*) FROM public.attempts WHERE log_path IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class Travellers:
    """Actors, the connections between them, and how many attempts have a log."""

    actors: list[Actor] | None
    connections: list[dict[str, Any]]
    logs: int | None


def read(connection: Connection) -> Travellers:
    """Read the configurations; they stay in this process, only their findings leave it."""
    found = careful(connection, _ACTORS)
    return Travellers(
        actors=None if found is None else [Actor(**item) for item in found],
        connections=careful(connection, _CONNECTIONS) or [],
        logs=careful(connection, _LOGS),
    )


@dataclass(frozen=True)
class _Topic:
    id: str
    title: str
    kinds: tuple[Kind, ...]
    why: str


_TOPICS = (
    _Topic(
        "travel.hosts",
        "Names of hosts in connectors' configurations",
        (Kind.LOOPBACK, Kind.DOCKER, Kind.COMPOSE, Kind.SHORT_NAME),
        "after the move a connector runs in a pod on another host: these mean nothing there, or "
        "something else",
    ),
    _Topic(
        "travel.networks",
        "Private networks that connectors reach",
        (Kind.PRIVATE_NAME, Kind.PRIVATE_ADDRESS),
        "the new host may stand elsewhere in the network",
    ),
    _Topic(
        "travel.files",
        "Local files",
        (Kind.LOCAL_FILE,),
        "`/local` is a volume of the old host; in the cluster it is a pod's own disk",
    ),
    _Topic(
        "travel.images",
        "Connectors' images",
        (Kind.LOCAL_IMAGE, Kind.OTHER_REGISTRY),
        "an image that was built on the old host is in its Docker only",
    ),
)


def checks(found: Travellers) -> Iterator[Check]:
    """List what stays behind; nothing of it hinders the feed."""
    listed = [(actor, item) for actor in found.actors or () for item in left_behind(actor)]
    for topic in _TOPICS:
        of_topic = [(actor, item) for actor, item in listed if item.kind in topic.kinds]
        affected = tuple(_lines(of_topic, found.connections))
        yield Check(
            id=topic.id,
            title=topic.title,
            result=Result.WARNING if of_topic or found.actors is None else Result.PASS,
            found=UNKNOWN if found.actors is None else _summary(affected),
            needed="none",
            why=topic.why,
            way_out="see each connection below",
            affected=affected,
        )
    yield _logs(found.logs)


def _summary(lines: Iterable[dict[str, str]]) -> str:
    actors = {line["actor_id"] for line in lines}
    connections = {line["connection_id"] for line in lines} - {""}
    if not actors:
        return "none"
    return f"{len(actors)} connector(s), used by {len(connections)} connection(s)"


def _lines(
    found: Iterable[tuple[Actor, LeftBehind]], connections: list[dict[str, Any]]
) -> Iterator[dict[str, str]]:
    """Yield a line for each finding and connection; one without a connection is listed, too."""
    nobody = {"id": "", "name": "(no connection)", "status": ""}
    for actor, item in found:
        users = [one for one in connections if actor.id in one["actors"]] or [nobody]
        for user in users:
            yield {
                "connection_id": user["id"],
                "connection": user["name"],
                "status": user["status"] or "",
                "actor_id": actor.id,
                "actor": actor.name,
                "connector": actor.repository,
                "kind": item.kind.value,
                "what": item.what,
                "where": item.where,
                "do": item.advice,
            }


def _logs(number: int | None) -> Check:
    return Check(
        id="travel.logs",
        title="Logs of old jobs",
        result=Result.PASS if number == 0 else Result.WARNING,
        found=UNKNOWN if number is None else f"{number} attempt(s) have one",
        needed="none that is still wanted",
        why="the history travels, the texts lie in the volume `airbyte_workspace` of the old host",
        way_out="copy the volume before the old host is removed, if anybody wants to read them",
    )
