"""The DB Migration Script's configuration file, as its container finds it. No secret is in it."""

import json
from dataclasses import dataclass
from typing import Any

from airbyte import compose
from components.core_worker import AIRBYTE_ROLE, CONTROL, MIGRATION_ROLE, MIRROR, WORKING, Endpoint
from components.host import Host

CONFIG_FILE = "/etc/db-migration/config.json"
KNOWN_HOSTS_FILE = "/etc/db-migration/known_hosts"
SECRETS_FOLDER = "/run/db-migration/secrets"
AGENT_KEY_FILE = f"{SECRETS_FOLDER}/agent_key"
MIGRATION_PASSWORD_FILE = f"{SECRETS_FOLDER}/migration"
OWNER_PASSWORD_FILE = f"{SECRETS_FOLDER}/source_owner"


@dataclass(frozen=True, kw_only=True)
class FeedArgs:
    """One continuous copy, as the settings want it."""

    name: str
    source: str
    """Name of the source database, for people and for the journal."""
    target: str
    """Name of the target server; the slot on the source is called after it."""
    mode: str
    allow_source_restart: bool
    refresh_hours: float
    verify_every_seconds: int
    ready_seconds: int
    """How long `pulumi up` waits until the feed follows and is verified."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Who is at the two ends of a feed."""

    deployment: str
    source: Host
    reader: Host | None
    """Host of the Airbyte that runs on the working database."""
    source_endpoint: Endpoint
    """The source as agent and target's server reach it: the tunnel."""
    target_endpoint: Endpoint


def known_hosts(hosts: list[Host]) -> str:
    """Return known_hosts for the private addresses, with the keys that the operator trusts."""
    return "".join(
        f"{_bracketed(host.args.private_address, host.args.private_ssh_port)}"
        f" {host.args.ssh.host_key}\n"
        for host in hosts
    )


def render(sides: Sides, feed: FeedArgs) -> str:
    """Return the configuration file."""
    migration = {"user": MIGRATION_ROLE, "password_file": MIGRATION_PASSWORD_FILE}
    control = {**_endpoint(sides.target_endpoint), "database": CONTROL, **migration}
    document = {
        "deployment": sides.deployment,
        "control": control,
        "feeds": [
            {
                "name": feed.name,
                "mode": feed.mode,
                "allow_source_restart": feed.allow_source_restart,
                "source": {"name": feed.source, **_source(sides, migration)},
                "target": {
                    "name": feed.target,
                    **_endpoint(sides.target_endpoint),
                    "database": MIRROR,
                    **migration,
                    "owner_role": AIRBYTE_ROLE,
                },
                "working_database": {
                    "name": WORKING,
                    "owner_role": AIRBYTE_ROLE,
                    "refresh_hours": feed.refresh_hours,
                    "reader_host_control": _host_control(sides.reader) if sides.reader else None,
                },
            }
        ],
        "verify_every_seconds": feed.verify_every_seconds,
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _source(sides: Sides, migration: dict[str, str]) -> dict[str, Any]:
    endpoint = sides.source_endpoint
    return {
        **_endpoint(endpoint),
        "database": compose.DATABASE_NAME,
        "owner": {"user": compose.DATABASE_OWNER, "password_file": OWNER_PASSWORD_FILE},
        "reader": migration,
        "address_for_subscriber": {"host": endpoint.host, "port": endpoint.port},
        "host_control": _host_control(sides.source),
    }


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
