"""The DB Migration Script's configuration as its container finds it; secrets are files apart."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from airbyte import chart_secrets, compose
from components.airbyte_databases import (
    AIRBYTE_ROLE,
    CONTROL,
    MIGRATION_ROLE,
    MIRROR,
    TEMPORAL,
    WORKING,
)
from components.database_server import DatabaseServer, Endpoint
from components.host import Host
from components.landscape import (
    AbctlInstance,
    ComposeInstance,
    CutOver,
    FeedArgs,
    Landscape,
    Viewpoint,
)

FOLDER = "/etc/db-migration"
KNOWN_HOSTS_FILE = f"{FOLDER}/known_hosts"
AGENT_KEY_FILE = "/run/db-migration/agent_key"
PROD = "prod"
"""Name of compose's database: a source only."""
METRICS_PORT = 19187
"""On the loopback of the host: /metrics, /healthz, /readyz. Not 9187: postgres_exporter's."""


def known_hosts(hosts: Sequence[Host]) -> str:
    """Return known_hosts for the private addresses, with the keys that the operator trusts."""
    return "".join(
        f"{_bracketed(host.args.private_address, host.args.private_ssh_port)}"
        f" {host.args.ssh.host_key}\n"
        for host in hosts
    )


def render(landscape: Landscape, here: Viewpoint, feeds: Sequence[FeedArgs]) -> str:
    """Return the configuration file."""
    own = here.server or landscape.servers[0]
    document = {
        "deployment": landscape.deployment,
        "here": here.host.name,
        "http": {"host": _listens(here), "port": METRICS_PORT},
        "control": {**_endpoint(_seen(own, here)), "database": CONTROL, **_migration()},
        "feeds": [_feed(feed, landscape, here) for feed in feeds],
        "servers": [_server(server, here) for server in landscape.servers],
        "instances": [
            _compose(landscape.compose),
            *(_abctl(instance) for instance in landscape.abctl),
        ],
        "initial": {"database": PROD, "airbyte": landscape.compose.name},
        "accepted_versions": list(landscape.accepted_versions),
        "schedules": asdict(landscape.schedules),
        **_cut_over(landscape.cut_over),
        **_pace(feeds),
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _listens(here: Viewpoint) -> str:
    """In a network of its own a container is published on the host's loopback; else it is there."""
    own_network = here.server is not None and here.server.network is not None
    return "0.0.0.0" if own_network else "127.0.0.1"  # noqa: S104 - published on the loopback only


def _feed(feed: FeedArgs, landscape: Landscape, here: Viewpoint) -> dict[str, Any]:
    servers = {server.name: server for server in landscape.servers}
    return {
        "name": feed.name,
        "mode": feed.mode,
        "allow_source_restart": feed.allow_source_restart,
        "snapshot_interval_seconds": feed.snapshot_interval_seconds,
        "source": {
            "name": feed.source,
            **(_prod(landscape, here) if feed.source == PROD else _direct(servers, feed, here)),
        },
        "target": {
            "name": feed.target,
            **_endpoint(_seen(servers[feed.target], here)),
            "database": MIRROR,
            **_migration(),
            "owner_role": AIRBYTE_ROLE,
        },
        "working_database": _working(feed, landscape),
    }


def _working(feed: FeedArgs, landscape: Landscape) -> dict[str, Any] | None:
    """Nobody stands by on the copy that the cut-over makes prod's."""
    moves_prod = landscape.cut_over is not None and feed.target == landscape.cut_over.to.database
    if feed.source == PROD and moves_prod:
        return None
    return {
        "name": WORKING,
        "owner_role": AIRBYTE_ROLE,
        "refresh_hours": feed.refresh_hours,
        "reader_host_control": _host_control(landscape.abctl[-1].host) if landscape.abctl else None,
    }


def _prod(landscape: Landscape, here: Viewpoint) -> dict[str, Any]:
    if here.prod is None:
        msg = f"a feed from `{PROD}` must have a tunnel, got none"
        raise ValueError(msg)
    return {
        **_endpoint(here.prod),
        "database": compose.DATABASE_NAME,
        "owner": {"user": compose.DATABASE_OWNER, "password_file": _secret("source_owner")},
        "reader": _migration(),
        "address_for_subscriber": {"host": here.prod.host, "port": here.prod.port},
        "host_control": _host_control(landscape.compose.host),
    }


def _direct(
    servers: Mapping[str, DatabaseServer], feed: FeedArgs, here: Viewpoint
) -> dict[str, Any]:
    source = _seen(servers[feed.source], here)
    return {
        **_endpoint(source),
        "database": WORKING,
        "owner": _migration(),
        "reader": _migration(),
        "address_for_subscriber": {"host": source.host, "port": source.port},
        "host_control": None,
    }


def _server(server: DatabaseServer, here: Viewpoint) -> dict[str, Any]:
    return {
        "name": server.name,
        **_endpoint(_seen(server, here)),
        **_migration(),
        "control_database": CONTROL,
        "database": WORKING,
        "mirror": MIRROR,
        "temporal": list(TEMPORAL),
        "owner_role": AIRBYTE_ROLE,
    }


def _compose(instance: ComposeInstance) -> dict[str, Any]:
    # Without its password the proxy would only say that it is there, not whether Airbyte is well.
    api = {
        "url": f"http://{instance.host.args.private_address}:{instance.port}",
        "client_id": compose.BASIC_AUTH_USER,
        "client_secret_file": f"{FOLDER}/{instance.client_secret_file}",
    }
    return {
        "name": instance.name,
        "kind": "compose",
        "host": instance.host.name,
        "database": PROD,
        "host_control": _host_control(instance.host),
        **(api if instance.basic_auth_password is not None else {}),
    }


def _abctl(instance: AbctlInstance) -> dict[str, Any]:
    return {
        "name": instance.name,
        "kind": "abctl",
        "host": instance.host.name,
        "role": instance.role,
        "host_control": _host_control(instance.host),
        "url": f"http://{instance.host.args.private_address}:{instance.port}",
        "client_id": chart_secrets.CLIENT_ID,
        "client_secret_file": f"{FOLDER}/{instance.client_secret_file}",
    }


def _cut_over(cut_over: CutOver | None) -> dict[str, Any]:
    if cut_over is None:
        return {}
    return {
        "cutover": {
            "database": cut_over.to.database,
            "airbyte": cut_over.to.airbyte,
            "drain": cut_over.drain,
            "drain_seconds": cut_over.drain_seconds,
        }
    }


def _pace(feeds: Sequence[FeedArgs]) -> dict[str, Any]:
    keys = ("verify_every_seconds", "rehearse_every_seconds")
    seconds = {key: [given for feed in feeds if (given := getattr(feed, key))] for key in keys}
    return {key: min(given) for key, given in seconds.items() if given}


def _seen(server: DatabaseServer, here: Viewpoint) -> Endpoint:
    return server.local if server is here.server else server.private


def _migration() -> dict[str, str]:
    return {"user": MIGRATION_ROLE, "password_file": _secret("migration")}


def _secret(name: str) -> str:
    return f"{FOLDER}/secrets/{name}"


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {"host": endpoint.host, "port": endpoint.port, "sslmode": endpoint.sslmode}


def _host_control(host: Host) -> dict[str, Any]:
    return {
        "address": host.args.private_address,
        "port": host.args.private_ssh_port,
        "user": host.args.ssh.user,
        "key_file": AGENT_KEY_FILE,
        "known_hosts_file": KNOWN_HOSTS_FILE,
    }


def _bracketed(address: str, port: int) -> str:
    return address if port == 22 else f"[{address}]:{port}"
