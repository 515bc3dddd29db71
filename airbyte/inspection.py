"""A compose Airbyte that runs already: which containers make it up, and what is known of it."""

import json
from dataclasses import dataclass

from airbyte.compose import SERVICES

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


def read(text: str) -> Adopted:
    """Parse what components/files/adopt printed on the host."""
    found = json.loads(text)
    return Adopted(
        version=found["version"],
        network=found["network"],
        database_volume=found["databaseVolume"],
    )
