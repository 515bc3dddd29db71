"""The DB Migration Script as a service: its path to the source, its keys, its container."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

from airbyte import compose
from components import containers, db_migration_config
from components.containers import Place
from components.core_worker import CoreWorker, Endpoint
from components.db_migration_config import FeedArgs, Sides
from components.host import HOSTCTL, STATE_FOLDER, Host, Script

AGENT = "db-migration"
GATEWAY = "airbyte-migration-gateway"
TUNNEL = "airbyte-migration-tunnel-prod"
SOURCE_ALIAS = "prod-database"
"""Name of the source on the private network: the tunnel's container."""
GATEWAY_PORT = 15432
"""On the loopback of the source's host, and of the target's where its server is not ours."""

TUNNEL_KEY = "tunnel"
AGENT_KEY = "agent"
TUNNEL_OPTIONS = f'restrict,port-forwarding,permitopen="127.0.0.1:{GATEWAY_PORT}"'
AGENT_OPTIONS = f'restrict,command="{HOSTCTL} forced"'
TUNNEL_KEY_FILE = "/run/tunnel_key"
TUNNEL_KNOWN_HOSTS = "/etc/tunnel_known_hosts"


@dataclass(frozen=True, kw_only=True)
class DbMigrationArgs:
    """One feed from a compose Airbyte's database to a server's mirror."""

    deployment: str
    feed: FeedArgs
    image: str
    """Reference by digest."""
    source: Host
    source_network: pulumi.Input[str]
    """Docker network on which the source's database is reachable."""
    source_containers: Sequence[str]
    """What runs on the source's host besides the database, users first."""
    target: Host
    core_worker: CoreWorker
    reader: Host | None
    source_owner_password: pulumi.Input[str]
    migration_password: pulumi.Input[str]


class DbMigration(pulumi.ComponentResource):
    """The feed, running; done when it follows, is verified, and the working database is there."""

    TYPE = "airbyte-migration:index:DbMigration"

    status: pulumi.Output[str]
    """The script's own status as JSON, taken when the feed was ready."""
    following: remote.Command

    def __init__(
        self, name: str, args: DbMigrationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Lay the path that `args` describe, start the script and wait for the feed."""
        super().__init__(self.TYPE, name, None, opts)
        self._name, self._args = name, args
        tunnel_key = self._key(TUNNEL_KEY)
        agent_key = self._key(AGENT_KEY)
        before: list[pulumi.Resource] = [
            self._authorized(TUNNEL_KEY, TUNNEL_OPTIONS, tunnel_key, args.source),
            self._authorized(AGENT_KEY, AGENT_OPTIONS, agent_key, args.source),
            *self._services(),
        ]
        if args.reader is not None:
            before.append(self._authorized(AGENT_KEY, AGENT_OPTIONS, agent_key, args.reader))
        gateway = self._gateway()
        image = containers.image(f"{name}-image", args.image, self._near())
        tunnel = self._tunnel(image, depends_on=[*before, gateway])
        agent = self._agent(image, depends_on=[*before, tunnel, *self._databases()])
        self.following = self._wait(agent)
        self.status = self.following.stdout
        self.register_outputs({"status": self.status})

    def _wait(self, agent: docker.Container) -> remote.Command:
        wait = "status --json --wait following,verified,working"
        script = pulumi.Output.concat(
            f"docker exec {AGENT} {AGENT} {wait} --deadline {self._args.feed.ready_seconds} # ",
            agent.id,
        )
        return self._args.target.run(
            f"{self._name}-following",
            Script(run=script, logging=remote.Logging.STDERR),
            parent=self,
            depends_on=[agent],
        )

    def _near(self) -> Place:
        """Beside the target."""
        return Place(host=self._args.target, parent=self)

    def _databases(self) -> list[pulumi.Resource]:
        worker = self._args.core_worker
        return [*worker.databases.values(), *worker.grants.values()]

    def _key(self, key: str) -> remote.Command:
        """Make a key pair on the target's host; only the public half leaves it."""
        return self._args.target.run(
            f"{self._name}-{key}-key",
            Script(run=f"{HOSTCTL} keys ensure {key}"),
            parent=self,
            depends_on=[self._args.target.hostctl],
        )

    def _authorized(
        self, key: str, options: str, made: remote.Command, host: Host
    ) -> remote.Command:
        return host.run(
            f"{self._name}-{key}-authorized-{host.name}",
            Script(
                run=f"{HOSTCTL} authorize {key} '{options}'",
                stdin=made.stdout,
                delete=f"{HOSTCTL} unauthorize {key}",
            ),
            parent=self,
            depends_on=[host.hostctl],
        )

    def _services(self) -> list[pulumi.Resource]:
        """Tell the source's host which containers `stop airbyte` and `stop database` mean."""
        names = {
            "airbyte": self._args.source_containers,
            "database": [compose.DATABASE_CONTAINER],
        }
        return [
            self._args.source.put(
                f"{self._name}-service-{service}",
                f"services/{service}",
                f"containers {' '.join(members)}\n",
                parent=self,
            )
            for service, members in names.items()
        ]

    def _gateway(self) -> docker.Container:
        """Bring the unpublished database to the loopback of its host, and no further."""
        label = f"{self._name}-gateway"
        place = Place(host=self._args.source, parent=self)
        image = containers.image(f"{label}-image", self._args.image, place)
        return containers.container(
            label,
            place,
            of=image,
            name=GATEWAY,
            restart="unless-stopped",
            entrypoints=["socat"],
            command=[
                "TCP-LISTEN:5432,fork,reuseaddr,keepalive",
                f"TCP:{compose.DATABASE_CONTAINER}:{compose.DATABASE_PORT},keepalive",
            ],
            ports=[docker.ContainerPortArgs(internal=5432, external=GATEWAY_PORT, ip="127.0.0.1")],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=self._args.source_network)
            ],
        )

    def _tunnel(
        self, image: docker.RemoteImage, *, depends_on: list[pulumi.Resource]
    ) -> docker.Container:
        listen = self.source_endpoint if self._args.core_worker.network is None else None
        source = self._args.source.args
        return containers.container(
            f"{self._name}-tunnel",
            self._near(),
            of=image,
            depends_on=depends_on,
            name=TUNNEL,
            restart="unless-stopped",
            entrypoints=["ssh"],
            command=tunnel_command(
                listen=f"{listen.host}:{listen.port}" if listen else "0.0.0.0:5432",
                to=f"{source.ssh.user}@{source.private_address}",
                port=source.private_ssh_port,
            ),
            volumes=[_key_mount(TUNNEL_KEY, TUNNEL_KEY_FILE)],
            uploads=[
                containers.plain_file(
                    TUNNEL_KNOWN_HOSTS, db_migration_config.known_hosts([self._args.source])
                )
            ],
            **self._network(aliases=[SOURCE_ALIAS]),
        )

    def _agent(
        self, image: docker.RemoteImage, *, depends_on: list[pulumi.Resource]
    ) -> docker.Container:
        args = self._args
        sides = Sides(
            deployment=args.deployment,
            source=args.source,
            reader=args.reader,
            source_endpoint=self.source_endpoint,
            target_endpoint=args.core_worker.local,
        )
        trusted = [args.source, *([args.reader] if args.reader else [])]
        return containers.container(
            f"{self._name}-agent",
            self._near(),
            of=image,
            depends_on=depends_on,
            stop_seconds=30,
            name=AGENT,
            restart="unless-stopped",
            volumes=[_key_mount(AGENT_KEY, db_migration_config.AGENT_KEY_FILE)],
            uploads=[
                containers.plain_file(
                    db_migration_config.CONFIG_FILE, db_migration_config.render(sides, args.feed)
                ),
                containers.plain_file(
                    db_migration_config.KNOWN_HOSTS_FILE, db_migration_config.known_hosts(trusted)
                ),
                containers.secret_file(
                    db_migration_config.OWNER_PASSWORD_FILE, args.source_owner_password
                ),
                containers.secret_file(
                    db_migration_config.MIGRATION_PASSWORD_FILE, args.migration_password
                ),
            ],
            **self._network(aliases=[AGENT]),
        )

    @property
    def source_endpoint(self) -> Endpoint:
        """The source at the near end of the tunnel."""
        if self._args.core_worker.network is None:
            return Endpoint(host="127.0.0.1", port=GATEWAY_PORT, sslmode="prefer")
        return Endpoint(host=SOURCE_ALIAS, port=5432, sslmode="prefer")

    def _network(self, *, aliases: list[str]) -> dict[str, Any]:
        """Beside our own server on its network; beside an existing one, on the host's."""
        network = self._args.core_worker.network
        if network is None:
            return {"network_mode": "host"}
        joined = docker.ContainerNetworksAdvancedArgs(name=network.name, aliases=aliases)
        return {"networks_advanced": [joined]}


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


def _key_mount(key: str, path: str) -> docker.ContainerVolumeArgs:
    return docker.ContainerVolumeArgs(
        container_path=path, host_path=f"{STATE_FOLDER}/keys/{key}", read_only=True
    )
