"""What v1 and v2 are composed of: settings turned into components."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from airbyte.chart_values import ExternalDatabase
from airbyte.images import DB_MIGRATION, POSTGRES
from airbyte.renderings import Rendering
from components import (
    AbctlInstance,
    AirbyteAbctl,
    AirbyteAbctlArgs,
    AirbyteCompose,
    ComposeInstance,
    ComposeSource,
    DatabaseServer,
    DatabaseServerArgs,
    DbMigrationArgs,
    Endpoint,
    FeedArgs,
    Landscape,
    Passwords,
    Schedules,
    ServerKind,
)
from components.airbyte_databases import PROD_ROLE, REPLICA_ROLE, WORKING
from stages import foundation
from stages.database_models import DatabaseSettings
from stages.foundation import Foundation
from stages.models import Abctl, Feed
from stages.settings import CopySettings, FinalSettings, Settings

CORE_WORKER = "core-worker-01"
INTERMEDIARY = "intermediary"
PROD_ABCTL = "airbyte-prod-abctl"
REPLICA = "airbyte-prod-backup-replica-2"
SCRIPT = "db-migration"

ADMIN_PASSWORDS = {
    CORE_WORKER: "coreWorkerAdminPassword",
    INTERMEDIARY: "intermediaryAdminPassword",
}


@dataclass(frozen=True, kw_only=True)
class AbctlWish:
    """One Airbyte on abctl: how it is installed, and what it is as long as there is no epoch."""

    instance: AbctlInstance
    settings: Abctl
    admin_password: str
    """Key of the secret."""
    default: str


def server_args(
    name: str, wanted: DatabaseSettings, settings: Settings, ground: Foundation
) -> DatabaseServerArgs:
    """Return what the database server called `name` is made of."""
    admin = wanted.admin_endpoint
    return DatabaseServerArgs(
        host=ground.hosts[wanted.host],
        kind=ServerKind(wanted.kind),
        image=settings.images.get(POSTGRES),
        port=wanted.port,
        admin_endpoint=Endpoint(host=admin.host, port=admin.port, sslmode=admin.sslmode),
        admin=admin.user,
        admin_password=settings.secret(ADMIN_PASSWORDS[name]),
        passwords=Passwords(
            airbyte=settings.secret("airbyteDatabasePassword"),
            migration=settings.secret("migrationPassword"),
        ),
    )


def compose_instance(settings: Settings, ground: Foundation) -> ComposeInstance:
    """Return prod as it was."""
    password = "prodBasicAuthPassword"  # noqa: S105 - a key
    return ComposeInstance(
        name=foundation.PROD_AIRBYTE,
        host=ground.hosts[settings.prod.host],
        port=settings.prod.port,
        basic_auth_password=settings.secret(password) if settings.has(password) else None,
    )


def schedules(copy: CopySettings) -> Schedules:
    """Return the pace at which syncs begin again."""
    return Schedules(**copy.schedules.model_dump())


def accepted_versions(settings: Settings) -> list[str]:
    """Return the versions of Airbyte that the owner vouches for."""
    prod = settings.prod
    airbytes: list[Abctl] = [settings.copy.replica] if settings.copy else []
    airbytes += [settings.final.prod_abctl] if settings.final else []
    found = {airbyte.chart_airbyte for airbyte in airbytes if airbyte.chart_airbyte}
    return sorted(found | ({prod.version} if prod.accept_version else set()))


def replica(copy: CopySettings, settings: Settings, ground: Foundation) -> AbctlWish:
    """Return the Airbyte that stands by, first of all on core-worker-01."""
    return AbctlWish(
        instance=AbctlInstance(
            name=REPLICA,
            host=ground.hosts[copy.replica.host],
            port=copy.replica.port,
            role=REPLICA_ROLE,
            client_secret=settings.secret("replicaClientSecret"),
        ),
        settings=copy.replica,
        admin_password="replicaAdminPassword",  # noqa: S106 - a key
        default=Rendering.STANDBY.on(CORE_WORKER),
    )


def prod_abctl(final: FinalSettings, settings: Settings, ground: Foundation) -> AbctlWish:
    """Return the Airbyte that becomes prod at the cut-over, and does not run before."""
    return AbctlWish(
        instance=AbctlInstance(
            name=PROD_ABCTL,
            host=ground.hosts[final.prod_abctl.host],
            port=final.prod_abctl.port,
            role=PROD_ROLE,
            client_secret=settings.secret("prodClientSecret"),
        ),
        settings=final.prod_abctl,
        admin_password="prodAdminPassword",  # noqa: S106 - a key
        default=Rendering.PREPARED,
    )


def source(settings: Settings, ground: Foundation, airbyte: AirbyteCompose) -> ComposeSource:
    """Return compose's database as feeds read it."""
    return ComposeSource(
        host=ground.hosts[settings.prod.host],
        network=airbyte.network,
        containers=airbyte.containers,
        owner_password=settings.secret("prodDatabasePassword"),
    )


def script_args(
    landscape: Landscape,
    server: DatabaseServer,
    source: ComposeSource,
    *,
    feeds: Sequence[Feed],
    settings: Settings,
) -> DbMigrationArgs:
    """Return what the script beside a server does: the feeds into it."""
    return DbMigrationArgs(
        landscape=landscape,
        server=server,
        feeds=[_feed(feed) for feed in feeds if feed.target == server.name],
        image=settings.images[DB_MIGRATION],
        source=source,
        migration_password=settings.secret("migrationPassword"),
    )


def _feed(feed: Feed) -> FeedArgs:
    return FeedArgs(
        name=feed.name,
        source=feed.source,
        target=feed.target,
        mode=feed.mode,
        allow_source_restart=feed.allow_source_restart,
        snapshot_interval_seconds=feed.snapshot_interval_seconds,
        refresh_hours=feed.refresh_hours,
        verify_every_seconds=feed.verify_every_seconds,
        rehearse_every_seconds=feed.rehearse_every_seconds,
        ready_seconds=feed.ready_seconds,
    )


def abctl(
    wish: AbctlWish,
    servers: Sequence[DatabaseServer],
    settings: Settings,
    opts: pulumi.ResourceOptions,
) -> AirbyteAbctl:
    """Declare an Airbyte that may run on each of `servers`."""
    wanted, instance = wish.settings, wish.instance
    return AirbyteAbctl(
        instance.name,
        AirbyteAbctlArgs(
            host=instance.host,
            chart=wanted.chart,
            port=wanted.port,
            url=wanted.url,
            low_resource=wanted.low_resource_mode,
            public_host=wanted.public_host,
            more_values=wanted.values,
            databases={
                server.name: ExternalDatabase(
                    host=server.private.host,
                    port=server.private.port,
                    name=WORKING,
                    tls=server.private.sslmode != "disable",
                )
                for server in servers
            },
            default=wish.default,
            prepared=wish.default == Rendering.PREPARED,
            database_user=instance.role,
            database_password=settings.secret("airbyteDatabasePassword"),
            admin_password=settings.secret(wish.admin_password),
            client_secret=instance.client_secret,
            program_sha256=program_sha256(settings),
        ),
        opts,
    )


def program_sha256(settings: Settings) -> dict[str, str]:
    """Return the checksums of abctl's release that the owner gave, by `uname -m`."""
    given = settings.copy.abctl_sha256 if settings.copy else None
    known = {"x86_64": given.amd64, "aarch64": given.arm64} if given else {}
    return {machine: digest for machine, digest in known.items() if digest}
