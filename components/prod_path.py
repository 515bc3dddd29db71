"""The way to prod's unpublished database: a gateway on its host, a tunnel on each subscriber's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi
import pulumi_docker as docker

from airbyte import compose
from components import containers, db_migration_config
from components.containers import Place
from components.database_server import DatabaseServer, Endpoint
from components.host import Host
from components.script_container import Station
from components.script_keys import Key

GATEWAY = "airbyte-migration-gateway"
TUNNEL = "airbyte-migration-tunnel-prod"
SOURCE_ALIAS = "prod-database"
"""Name of the source on the private network: the tunnel's container."""
GATEWAY_PORT = 15432
"""On the loopback of the source's host, and of the target's where its server is not ours."""

TUNNEL_KEY = "tunnel"
TUNNEL_OPTIONS = f'restrict,port-forwarding,permitopen="127.0.0.1:{GATEWAY_PORT}"'
TUNNEL_KEY_FILE = "/run/tunnel_key"
TUNNEL_KNOWN_HOSTS = "/etc/tunnel_known_hosts"


@dataclass(frozen=True, kw_only=True)
class ComposeSource:
    """Compose's database and its host."""

    host: Host
    network: pulumi.Input[str]
    """Docker network on which the database is reachable."""
    containers: Sequence[str]
    """What runs on the host besides the database, users first."""
    owner_password: pulumi.Input[str]
    gateway: docker.Container | None = None
    """The one that another script made; None: it is made here."""

    def through(self, gateway: docker.Container) -> "ComposeSource":
        """Return the same source, reached by a gateway that is there."""
        return replace(self, gateway=gateway)


def services(name: str, source: ComposeSource, parent: pulumi.Resource) -> list[pulumi.Resource]:
    """Tell the source's host which containers `stop airbyte` and `stop database` mean."""
    names = {"airbyte": source.containers, "database": [compose.DATABASE_CONTAINER]}
    return [
        source.host.put(
            f"{name}-service-{service}",
            f"services/{service}",
            f"containers {' '.join(members)}\n",
            parent=parent,
        )
        for service, members in names.items()
    ]


def gateway(
    name: str, source: ComposeSource, image: str, parent: pulumi.Resource
) -> docker.Container:
    """Bring the unpublished database to the loopback of its host, and no further."""
    label = f"{name}-gateway"
    place = Place(host=source.host, parent=parent)
    return containers.container(
        label,
        place,
        of=containers.image(f"{label}-image", image, place),
        name=GATEWAY,
        restart="unless-stopped",
        entrypoints=["socat"],
        command=[
            "TCP-LISTEN:5432,fork,reuseaddr,keepalive",
            f"TCP:{compose.DATABASE_CONTAINER}:{compose.DATABASE_PORT},keepalive",
        ],
        ports=[docker.ContainerPortArgs(internal=5432, external=GATEWAY_PORT, ip="127.0.0.1")],
        networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=source.network)],
    )


def near_end(server: DatabaseServer) -> Endpoint:
    """Return the source as the script beside `server`, and `server` itself, reach it."""
    if server.network is None:
        return Endpoint(host="127.0.0.1", port=GATEWAY_PORT, sslmode="prefer")
    return Endpoint(host=SOURCE_ALIAS, port=5432, sslmode="prefer")


def tunnel(
    station: Station, source: ComposeSource, key: Key, *, depends_on: list[pulumi.Resource]
) -> docker.Container:
    """Bring the gateway to the network of the server beside `station`."""
    end, server = station.here.prod, station.here.server
    if end is None or server is None:
        msg = f"a tunnel must end beside a database server, got `{station.name}` without one"
        raise ValueError(msg)
    to = source.host.args
    return containers.container(
        f"{station.name}-tunnel",
        station.place,
        of=station.image,
        depends_on=depends_on,
        name=TUNNEL,
        restart="unless-stopped",
        entrypoints=["ssh"],
        command=tunnel_command(
            listen=f"{end.host if server.network is None else '0.0.0.0'}:{end.port}",  # noqa: S104
            to=f"{to.ssh.user}@{to.private_address}",
            port=to.private_ssh_port,
        ),
        volumes=[key.mounted(TUNNEL_KEY_FILE)],
        uploads=[
            containers.plain_file(
                TUNNEL_KNOWN_HOSTS, db_migration_config.known_hosts([source.host])
            )
        ],
        **containers.beside(server.network, alias=SOURCE_ALIAS),
    )


def tunnel_command(*, listen: str, to: str, port: int) -> list[str]:
    """Return ssh's arguments: it ends when the other side is gone, and Docker starts it again."""
    options = (
        "BatchMode=yes",
        "ConnectTimeout=10",
        "ExitOnForwardFailure=yes",
        "IdentitiesOnly=yes",
        "ServerAliveCountMax=3",
        "ServerAliveInterval=10",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={TUNNEL_KNOWN_HOSTS}",
    )
    flags = [part for option in options for part in ("-o", option)]
    forward = f"{listen}:127.0.0.1:{GATEWAY_PORT}"
    return ["-N", "-i", TUNNEL_KEY_FILE, *flags, "-L", forward, "-p", str(port), to]
