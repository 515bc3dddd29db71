"""Reading a compose Airbyte that runs already: what is asked of Docker, and what to make of it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airbyte import compose
from airbyte.compose import SERVICES

FORMAT = (
    '{"name":{{json .Name}},"image":{{json .Config.Image}},"running":{{json .State.Running}},'
    '"restart":{{json .HostConfig.RestartPolicy.Name}},"mounts":{{json .Mounts}},'
    '"networks":{{json .NetworkSettings.Networks}},'
    '"version":{{range .Config.Env}}{{$pair := split . "="}}'
    '{{if eq (index $pair 0) "AIRBYTE_VERSION"}}{{json (index $pair 1)}},"versioned":{{end}}{{end}}'
    "null}"
)
"""Template for `docker inspect`: of a container's environment it prints AIRBYTE_VERSION alone."""

CONTAINERS: tuple[str, ...] = tuple(
    service.container_name
    for service in SERVICES
    if not service.one_shot and service.name != "docker-proxy"
)
"""Containers whose names the compose file fixes and that run all the time."""


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """A running Airbyte as it was found."""

    version: str
    network: str
    """Network on which `airbyte-db` is reachable."""
    database_volume: str
    containers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that keeps a running Airbyte from being adopted."""

    found: str
    needed: str
    way_out: str


def read(text: str) -> list[dict[str, Any]]:
    """Parse what the host printed: one JSON object a line."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def judge(inspected: Iterable[dict[str, Any]], *, version: str) -> Adopted | list[Finding]:
    """Return the Airbyte that was found, or every reason why it can not be taken as it is."""
    by_name = {item["name"].lstrip("/"): item for item in inspected}
    problems = [*_absent(by_name), *_other_version(by_name, version)]
    database = by_name.get(compose.DATABASE_CONTAINER, {})
    networks = sorted(database.get("networks") or {})
    volumes = [
        mount["Name"] if mount.get("Type") == "volume" else mount["Source"]
        for mount in database.get("mounts") or []
        if mount.get("Destination") == "/var/lib/postgresql/data"
    ]
    if database and not volumes:
        problems.append(
            Finding(
                found=f"`{compose.DATABASE_CONTAINER}` keeps its data in the container",
                needed="a volume on /var/lib/postgresql/data",
                way_out="move it to the volume `airbyte_db`: it dies with the container",
            )
        )
    if problems:
        return problems
    return Adopted(
        version=version,
        network=_preferred(networks),
        database_volume=volumes[0],
        containers=tuple(sorted(by_name)),
    )


def _preferred(networks: list[str]) -> str:
    internal = [name for name in networks if name.endswith(compose.INTERNAL_NETWORK)]
    return (internal or networks)[0]


def _absent(by_name: dict[str, dict[str, Any]]) -> list[Finding]:
    return [
        Finding(
            found=f"container `{name}` " + ("is stopped" if name in by_name else "does not exist"),
            needed="every container of the compose file running",
            way_out="start Airbyte (`docker compose up -d` in its folder), or `prod.mode: create`",
        )
        for name in CONTAINERS
        if not by_name.get(name, {}).get("running")
    ]


def _other_version(by_name: dict[str, dict[str, Any]], version: str) -> list[Finding]:
    server = by_name.get("airbyte-server")
    if server is None:
        return []
    found = server.get("version") or server["image"].rpartition(":")[2]
    if found == version:
        return []
    return [
        Finding(
            found=f"`airbyte-server` runs Airbyte {found}",
            needed=f"prod.version, which is {version}",
            way_out=f"pulumi config set --path airbyte-migration:prod.version {found}",
        )
    ]
