"""A database server of the deployment: PostgreSQL, ours or one that exists, and what is in it."""

from dataclasses import dataclass
from typing import ClassVar

import pulumi
import pulumi_docker as docker
import pulumi_postgresql as postgresql

from components import airbyte_databases
from components.airbyte_databases import (
    INSTANCE_ROLES,
    MIGRATION_ROLE,
    TEMPORAL,
    WORKING,
    AirbyteDatabases,
    Passwords,
)
from components.host import Host
from components.postgres_server import (
    ALIAS,
    INSIDE_PORT,
    HbaRule,
    PostgresServer,
    PostgresServerArgs,
    ServerKind,
)

NETWORK = "airbyte-migration"

MAINTENANCE = "postgres"
"""Temporal's setup looks from here whether its databases exist."""

RULES = (
    *(HbaRule(role=role, databases=(WORKING, *TEMPORAL, MAINTENANCE)) for role in INSTANCE_ROLES),
    HbaRule(role=MIGRATION_ROLE, databases=("all",)),
)

ADMIN_CONNECT_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a PostgreSQL server listens."""

    host: str
    port: int
    sslmode: str


@dataclass(frozen=True, kw_only=True)
class DatabaseServerArgs:
    """The server, how to administer it, and its passwords."""

    host: Host
    kind: ServerKind
    image: str | None
    """Needed for a server of ours."""
    port: int
    admin_endpoint: Endpoint
    """As the operator's machine reaches it."""
    admin: str
    admin_password: pulumi.Input[str]
    passwords: Passwords


class DatabaseServer(pulumi.ComponentResource):
    """Server, roles, databases and grants; what is in the databases is the feeds' matter.

    Its name is the one that feeds and epochs call it by.
    """

    TYPE: ClassVar[str]

    host: Host
    network: docker.Network | None
    """Private network of our containers; None beside a server that exists already."""
    local: Endpoint
    """As containers on the same host reach it."""
    private: Endpoint
    """As other hosts reach it."""
    contents: AirbyteDatabases

    def __init__(
        self, name: str, args: DatabaseServerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Make what `args` describe."""
        super().__init__(self.TYPE, name, None, opts)
        self.name, self.host = name, args.host
        # Their names for it are not in its certificate; the operator's may be.
        sslmode = "disable" if args.admin_endpoint.sslmode == "disable" else "require"
        self.private = Endpoint(
            host=args.host.args.private_address, port=args.port, sslmode=sslmode
        )
        server: list[pulumi.Resource] = []
        if args.kind is ServerKind.CONTAINER:
            self.network = docker.Network(
                f"{name}-network", name=NETWORK, opts=args.host.on_docker(self)
            )
            self.local = Endpoint(host=ALIAS, port=INSIDE_PORT, sslmode=sslmode)
            server = [self._server(args, self.network)]
        else:
            self.network = None
            self.local = Endpoint(host="127.0.0.1", port=args.port, sslmode=sslmode)
        provider = postgresql.Provider(
            f"{name}-postgresql",
            host=args.admin_endpoint.host,
            port=args.admin_endpoint.port,
            sslmode=args.admin_endpoint.sslmode,
            username=args.admin,
            password=pulumi.Output.secret(args.admin_password),
            connect_timeout=ADMIN_CONNECT_SECONDS,
            opts=pulumi.ResourceOptions(parent=self, depends_on=server),
        )
        self.contents = airbyte_databases.declare(
            name, args.passwords, parent=self, provider=provider
        )
        self.register_outputs({"address": f"{self.private.host}:{self.private.port}"})

    def _server(self, args: DatabaseServerArgs, network: docker.Network) -> PostgresServer:
        if args.image is None:
            msg = "`image` must be given for a server of ours, got none"
            raise ValueError(msg)
        return PostgresServer(
            f"{self.name}-postgres",
            PostgresServerArgs(
                host=args.host,
                image=args.image,
                port=args.port,
                network=network,
                admin=args.admin,
                admin_password=args.admin_password,
                rules=RULES,
            ),
            pulumi.ResourceOptions(parent=self),
        )
