"""What a move of the database leaves behind: files, images, and names that only compose knew.

Rules only (facts 4.5 and trap 23). They are shown a connector's configuration and say where in it
something is that will not work elsewhere; of its values they repeat none but a host's name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any
from urllib.parse import urlsplit

from airbyte import compose


@unique
class Kind(StrEnum):
    """What is left behind."""

    LOOPBACK = "loopback"
    DOCKER = "docker"
    COMPOSE = "compose"
    SHORT_NAME = "short name"
    PRIVATE_NAME = "private name"
    PRIVATE_ADDRESS = "private address"
    LOCAL_FILE = "local file"
    LOCAL_IMAGE = "local image"
    OTHER_REGISTRY = "other registry"


ADVICE: dict[Kind, str] = {
    Kind.LOOPBACK: "there it is the connector's own pod: name the host by an address that both "
    "hosts reach",
    Kind.DOCKER: "Docker's name for the old host: name that host by its address",
    Kind.COMPOSE: "a name of compose's network, gone after the move: name the new address",
    Kind.SHORT_NAME: "resolved by compose's network or the old host only: name it in full",
    Kind.PRIVATE_NAME: "make sure that the new host resolves it, then test the connector there",
    Kind.PRIVATE_ADDRESS: "make sure that the new host may reach it, then test the connector there",
    Kind.LOCAL_FILE: "lies in the volume `oss_local_root` of the old host: copy it out, and use a "
    "bucket or a database",
    Kind.LOCAL_IMAGE: "push it to a registry that the new host can pull from, or `kind load` it "
    "there",
    Kind.OTHER_REGISTRY: "give `abctl` the registry's credentials (`--docker-server`), if it asks "
    "for any",
}


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A source or destination as it is configured."""

    id: str
    name: str
    repository: str
    tag: str
    configuration: Any


@dataclass(frozen=True, kw_only=True)
class LeftBehind:
    """One thing that does not travel; `where` is a key of the configuration, never its value."""

    kind: Kind
    what: str
    where: str

    @property
    def advice(self) -> str:
        """Return what to do about it."""
        return ADVICE[self.kind]


LOCAL_CONNECTORS = frozenset(
    f"destination-{name}" for name in ("csv", "local-json", "sqlite", "duckdb")
)
"""They write below `/local`, which compose mounts from `oss_local_root`."""

_SECRET_KEY = re.compile(r"pass|secret|token|credential|api_?key|private|auth|cert", re.IGNORECASE)
_HOST_KEY = re.compile(
    r"(^|_)(host|hosts|hostname|server|servers|url|uri|endpoint|address|broker|brokers|cluster)"
    r"($|_)",
    re.IGNORECASE,
)
_FILE_KEY = re.compile(r"(^|_)(path|file|url|folder|directory|dir)($|_)", re.IGNORECASE)
_LOCAL_FILE = re.compile(r"^(file://|/local(/|$)|/tmp/airbyte_local(/|$))")
_HOST_IN_TEXT = re.compile(r"^(?:jdbc:)?[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_NAME = re.compile(r"^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$", re.IGNORECASE)
_COMPOSE_NAMES = frozenset(
    name for service in compose.SERVICES for name in (service.name, service.container_name)
)
_DOCKER_NAMES = frozenset({"host.docker.internal", "gateway.docker.internal", "172.17.0.1"})
_PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".home", ".home.arpa", ".corp", ".docker")


def left_behind(actor: Actor) -> Iterator[LeftBehind]:
    """Yield everything of an actor that a move of the database does not move."""
    image = judge_image(actor.repository, actor.tag)
    if image is not None:
        yield LeftBehind(kind=image, what=f"{actor.repository}:{actor.tag}", where="image")
    if actor.repository.rpartition("/")[2] in LOCAL_CONNECTORS:
        yield LeftBehind(kind=Kind.LOCAL_FILE, what="what it has written", where="connector")
    for where, text in _texts(actor.configuration, ""):
        key = where.rpartition(".")[2]
        if _FILE_KEY.search(key) and _LOCAL_FILE.match(text):
            yield LeftBehind(kind=Kind.LOCAL_FILE, what="a local path", where=where)
        elif _HOST_KEY.search(key):
            for host in hosts(text):
                kind = judge_host(host)
                if kind is not None:
                    yield LeftBehind(kind=kind, what=host, where=where)


def judge_image(repository: str, tag: str) -> Kind | None:
    """Say why a connector's image may not be there on another host; None for Airbyte's own."""
    first, slash, _ = repository.partition("/")
    if not slash or first.partition(":")[0] in {"localhost", "127.0.0.1"}:
        return Kind.LOCAL_IMAGE
    if tag == "dev" or tag.endswith(("-dev", "-local")):
        return Kind.LOCAL_IMAGE  # what Airbyte's own build of a connector is called
    if first == "airbyte" or repository.startswith("docker.io/airbyte/"):
        return None
    return Kind.OTHER_REGISTRY if "." in first or ":" in first else Kind.LOCAL_IMAGE


def judge_host(host: str) -> Kind | None:
    """Say why a host's name may mean another one elsewhere, or none; None when it does not."""
    name = host.lower().rstrip(".")
    if name in _DOCKER_NAMES:
        return Kind.DOCKER
    if name in _COMPOSE_NAMES:
        return Kind.COMPOSE
    try:
        return _judge_address(ipaddress.ip_address(name))
    except ValueError:
        pass
    if name == "localhost" or name.endswith(".localhost"):
        return Kind.LOOPBACK
    if name.endswith(_PRIVATE_SUFFIXES):
        return Kind.PRIVATE_NAME
    return None if "." in name else Kind.SHORT_NAME


def _judge_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Kind | None:
    if address.is_loopback or address.is_unspecified:
        return Kind.LOOPBACK
    return Kind.PRIVATE_ADDRESS if address.is_private else None


def hosts(text: str) -> Iterator[str]:
    """Yield the hosts in a setting: a name, a URL, or several with commas; no user, no password."""
    for part in text.split(","):
        found = _host(part.strip())
        if found:
            yield found


def _host(text: str) -> str | None:
    """Return the host of one name or URL; None for what is neither."""
    try:
        parts = urlsplit(text if _HOST_IN_TEXT.match(text) else f"//{text}")
        host = urlsplit(text.removeprefix("jdbc:")).hostname if "jdbc:" in text else parts.hostname
    except ValueError:
        return None
    if not host:
        return None
    return host if ":" in host or _NAME.match(host) else None


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Yield every text of a configuration with its path; what may be a secret is passed over."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, where)
    elif isinstance(value, dict) and "_secret" not in value:
        for key, inner in value.items():
            if not _SECRET_KEY.search(key):
                yield from _texts(inner, f"{where}.{key}" if where else key)
