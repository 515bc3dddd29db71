"""A PostgreSQL server: a container of ours on a host, or one that exists there already."""

from dataclasses import dataclass
from enum import StrEnum, unique

import pulumi
import pulumi_docker as docker

from components import containers
from components.containers import Place
from components.host import HOSTCTL, STATE_FOLDER, Host, Script

INSIDE_PORT = 5432
TLS_FOLDER = "/etc/postgresql-tls"
HBA_FILE = "/etc/pg_hba.conf"
PASSWORD_FILE = "/run/admin-password"  # noqa: S105 - a path
READY_SECONDS = 120
STOP_SECONDS = 60
SHARED_MEMORY_MB = 256
ALIAS = "postgres"
"""Name of the server on the private Docker network."""


@unique
class ServerKind(StrEnum):
    """Whose server it is."""

    CONTAINER = "container"
    EXISTING = "existing"


@dataclass(frozen=True, kw_only=True)
class HbaRule:
    """One role that may come in over TLS, and where to."""

    role: str
    databases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PostgresServerArgs:
    """A server of ours."""

    host: Host
    image: str
    """Reference by digest."""
    port: int
    """Port on all addresses of the host."""
    network: docker.Network
    admin: str
    admin_password: pulumi.Input[str]
    rules: tuple[HbaRule, ...]


class PostgresServer(pulumi.ComponentResource):
    """PostgreSQL with TLS, SCRAM and a narrow pg_hba; done when it accepts connections."""

    TYPE = "airbyte-migration:index:PostgresServer"

    container: docker.Container
    data: docker.Volume

    def __init__(
        self, name: str, args: PostgresServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Run the server that `args` describe."""
        super().__init__(self.TYPE, name, None, opts)
        place = Place(host=args.host, parent=self)
        image = containers.image(f"{name}-image", args.image, place)
        folder = f"{STATE_FOLDER}/{name}/tls"
        certificate = args.host.run(
            f"{name}-tls",
            Script(run=f"{HOSTCTL} tls ensure {folder} {args.image}"),
            parent=self,
            depends_on=[args.host.hostctl, image],
        )
        self.data = containers.volume(f"{name}-data", f"{name}-data", place)
        self.container = containers.container(
            f"{name}-container",
            place,
            of=image,
            depends_on=[certificate],
            stop_seconds=STOP_SECONDS,
            name=name,
            restart="unless-stopped",
            command=server_command(),
            envs=[f"POSTGRES_PASSWORD_FILE={PASSWORD_FILE}", f"POSTGRES_USER={args.admin}"],
            shm_size=SHARED_MEMORY_MB,
            volumes=[
                docker.ContainerVolumeArgs(
                    container_path="/var/lib/postgresql/data", volume_name=self.data.name
                ),
                docker.ContainerVolumeArgs(
                    container_path=TLS_FOLDER, host_path=folder, read_only=True
                ),
            ],
            uploads=[
                # Read by user postgres, and nobody else lives in this container.
                containers.secret_file(PASSWORD_FILE, args.admin_password, permissions="0444"),
                containers.plain_file(HBA_FILE, pg_hba(args.admin, args.rules)),
            ],
            ports=[docker.ContainerPortArgs(internal=INSIDE_PORT, external=args.port)],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=args.network.name, aliases=[ALIAS])
            ],
            # By TCP: the temporary server of the first start listens on its socket alone.
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD-SHELL", f"pg_isready -q -h 127.0.0.1 -U {args.admin}"],
                interval="5s",
                timeout="3s",
                retries=12,
            ),
            wait=True,
            wait_timeout=READY_SECONDS,
        )
        self.register_outputs({"volume": self.data.name, "certificate": certificate.stdout})


def pg_hba(admin: str, rules: tuple[HbaRule, ...]) -> str:
    """Return pg_hba.conf: TLS and SCRAM for named roles; the socket for who is in the container."""
    lines = ["local all all trust", f"hostssl all {admin} all scram-sha-256"]
    lines += [f"hostssl {','.join(rule.databases)} {rule.role} all scram-sha-256" for rule in rules]
    return "\n".join(lines) + "\n"


def server_command() -> list[str]:
    """Return the server's command line."""
    settings = {
        "ssl": "on",
        "ssl_cert_file": f"{TLS_FOLDER}/server.crt",
        "ssl_key_file": f"{TLS_FOLDER}/server.key",
        "hba_file": HBA_FILE,
        "password_encryption": "scram-sha-256",
        # A failed CREATE ROLE or CREATE SUBSCRIPTION would leave its password in the log.
        "log_min_error_statement": "panic",
        # So that a copy that was promoted can feed the next one without a restart.
        "wal_level": "logical",
        # A reader that is gone for good must not fill the disk: its copy is made again.
        "max_slot_wal_keep_size": "8GB",
        "max_connections": "200",
    }
    return [
        "postgres",
        *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
    ]
