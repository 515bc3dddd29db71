"""core-worker-01: the PostgreSQL server that holds the mirror and the working database."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
import pulumi_postgresql as postgresql

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
AIRBYTE_ROLE = "airbyte"
MIGRATION_ROLE = "airbyte_migration"
MIRROR = "airbyte_mirror"
WORKING = "airbyte"
CONTROL = "airbyte_migration"
TEMPORAL = ("temporal", "temporal_visibility")

MIGRATION_MEMBERSHIPS = (AIRBYTE_ROLE, "pg_create_subscription")
"""It makes tables in the name of `airbyte`, and subscribes without being a superuser."""

MAINTENANCE = "postgres"
"""Temporal's setup looks from here whether its databases exist."""

RULES = (
    HbaRule(role=AIRBYTE_ROLE, databases=(WORKING, *TEMPORAL, MAINTENANCE)),
    HbaRule(role=MIGRATION_ROLE, databases=("all",)),
)

ADMIN_CONNECT_SECONDS = 30
FENCED = ["login", "connectionLimit", "validUntil"]
"""Attributes of a role that a fence changes: `pulumi up` must not lift it."""
PROMOTED = ["allowConnections", "connectionLimit", "isTemplate", "owner"]
"""Attributes of a database that seeding, promotion and a fence change."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a PostgreSQL server listens."""

    host: str
    port: int
    sslmode: str


@dataclass(frozen=True, kw_only=True)
class CoreWorkerArgs:
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
    airbyte_password: pulumi.Input[str]
    migration_password: pulumi.Input[str]


class CoreWorker(pulumi.ComponentResource):
    """Server, roles, databases and grants; what is in the databases is the feed's matter."""

    TYPE = "airbyte-migration:index:CoreWorker"

    network: docker.Network | None
    """Private network of our containers; None beside a server that exists already."""
    local: Endpoint
    """As containers on the same host reach it."""
    private: Endpoint
    """As other hosts reach it."""

    def __init__(
        self, name: str, args: CoreWorkerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Make what `args` describe."""
        super().__init__(self.TYPE, name, None, opts)
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
            server = [self._server(name, args, self.network)]
        else:
            self.network = None
            self.local = Endpoint(host="127.0.0.1", port=args.port, sslmode=sslmode)
        self._provider = postgresql.Provider(
            f"{name}-postgresql",
            host=args.admin_endpoint.host,
            port=args.admin_endpoint.port,
            sslmode=args.admin_endpoint.sslmode,
            username=args.admin,
            password=pulumi.Output.secret(args.admin_password),
            connect_timeout=ADMIN_CONNECT_SECONDS,
            opts=pulumi.ResourceOptions(parent=self, depends_on=server),
        )
        roles = self._roles(name, args)
        self.databases = self._databases(name, roles)
        self.grants = self._grants(name, self.databases)
        self.register_outputs({"address": f"{self.private.host}:{self.private.port}"})

    def _server(self, name: str, args: CoreWorkerArgs, network: docker.Network) -> PostgresServer:
        if args.image is None:
            msg = "`image` must be given for a server of ours, got none"
            raise ValueError(msg)
        return PostgresServer(
            f"{name}-postgres",
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

    def _options(
        self, *, depends_on: list[pulumi.Resource], ignore: list[str], keep: bool = True
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            provider=self._provider,
            depends_on=depends_on,
            ignore_changes=ignore,
            protect=keep,
            retain_on_delete=keep,
        )

    def _roles(self, name: str, args: CoreWorkerArgs) -> dict[str, postgresql.Role]:
        # Kept like the databases: they own what is in the volume, and could not be made twice.
        airbyte = postgresql.Role(
            f"{name}-role-{AIRBYTE_ROLE}",
            name=AIRBYTE_ROLE,
            login=True,
            password=pulumi.Output.secret(args.airbyte_password),
            opts=self._options(depends_on=[], ignore=FENCED),
        )
        migration = postgresql.Role(
            f"{name}-role-{MIGRATION_ROLE}",
            name=MIGRATION_ROLE,
            login=True,
            create_database=True,
            roles=sorted(MIGRATION_MEMBERSHIPS),
            password=pulumi.Output.secret(args.migration_password),
            opts=self._options(depends_on=[airbyte], ignore=FENCED),
        )
        return {AIRBYTE_ROLE: airbyte, MIGRATION_ROLE: migration}

    def _databases(
        self, name: str, roles: dict[str, postgresql.Role]
    ) -> dict[str, postgresql.Database]:
        owners = {
            MIRROR: MIGRATION_ROLE,
            CONTROL: MIGRATION_ROLE,
            WORKING: AIRBYTE_ROLE,
            **dict.fromkeys(TEMPORAL, AIRBYTE_ROLE),
        }
        return {
            database: postgresql.Database(
                f"{name}-database-{database}",
                name=database,
                owner=owner,
                opts=self._options(depends_on=[*roles.values()], ignore=PROMOTED),
            )
            for database, owner in owners.items()
        }

    def _grants(
        self, name: str, databases: dict[str, postgresql.Database]
    ) -> dict[str, postgresql.Grant]:
        """Shut the databases for everybody but their owner: `airbyte` can not open the mirror."""
        return {
            database: postgresql.Grant(
                f"{name}-closed-{database}",
                database=database,
                object_type="database",
                role="public",
                privileges=[],
                opts=self._options(depends_on=[databases[database]], ignore=[], keep=False),
            )
            for database in (MIRROR, CONTROL, WORKING)
        }
