"""v1 enhanced: v0, a live copy on core-worker-01, and an Airbyte standing by on it."""

from airbyte.chart_values import ExternalDatabase
from airbyte.images import DB_MIGRATION, POSTGRES
from airbyte.versions import CHARTS
from components import (
    AirbyteAbctl,
    AirbyteAbctlArgs,
    AirbyteCompose,
    CoreWorker,
    CoreWorkerArgs,
    DbMigration,
    DbMigrationArgs,
    Endpoint,
    FeedArgs,
    ServerKind,
)
from components.core_worker import AIRBYTE_ROLE, MIRROR, WORKING
from stages import foundation, outputs, v0
from stages.foundation import Foundation
from stages.outputs import StageOutputs
from stages.settings import CopySettings, Settings

CORE_WORKER = "core-worker-01"
REPLICA = "airbyte-prod-backup-replica-2"
FEED = "db-migration"


def build(settings: Settings) -> StageOutputs:
    """Declare v1."""
    copy = settings.copy
    if copy is None:
        msg = "settings of v1 must have the copy, got none"
        raise ValueError(msg)
    ground = foundation.lay(settings)
    airbyte = foundation.prod(settings, ground)
    worker = _core_worker(settings, copy, ground)
    feed = _feed(settings, copy, ground, airbyte, worker)
    replica = _replica(settings, copy, ground, worker, feed)
    where = copy.core_worker.host
    return StageOutputs(
        stage=settings.stage,
        deployment=settings.deployment,
        airbyte={
            foundation.PROD_AIRBYTE: f"{airbyte.url} (prod: syncs)",
            REPLICA: f"{replica.url} (stands by: its connections are inactive)",
        },
        databases={
            "prod": v0.database(settings),
            "mirror": f"{worker.private.host}:{worker.private.port}, database {MIRROR}",
            "working": f"{worker.private.host}:{worker.private.port}, database {WORKING}",
        },
        next=feed.status.apply(outputs.next_of),
        feed=feed.status.apply(
            lambda status: outputs.feed_of(
                status, refresh_hours=copy.feed.refresh_hours, where=where
            )
        ),
    )


def _core_worker(settings: Settings, copy: CopySettings, ground: Foundation) -> CoreWorker:
    admin = copy.core_worker.admin_endpoint
    return CoreWorker(
        CORE_WORKER,
        CoreWorkerArgs(
            host=ground.hosts[copy.core_worker.host],
            kind=ServerKind(copy.core_worker.kind),
            image=settings.images.get(POSTGRES),
            port=copy.core_worker.port,
            admin_endpoint=Endpoint(host=admin.host, port=admin.port, sslmode=admin.sslmode),
            admin=admin.user,
            admin_password=settings.secret("coreWorkerAdminPassword"),
            airbyte_password=settings.secret("airbyteDatabasePassword"),
            migration_password=settings.secret("migrationPassword"),
        ),
        ground.after(),
    )


def _feed(
    settings: Settings,
    copy: CopySettings,
    ground: Foundation,
    airbyte: AirbyteCompose,
    worker: CoreWorker,
) -> DbMigration:
    feed = copy.feed
    return DbMigration(
        FEED,
        DbMigrationArgs(
            deployment=settings.deployment,
            feed=FeedArgs(
                name=feed.name,
                source=feed.source,
                target=feed.target,
                mode=feed.mode,
                allow_source_restart=feed.allow_source_restart,
                refresh_hours=feed.refresh_hours,
                verify_every_seconds=feed.verify_every_seconds,
                ready_seconds=feed.ready_seconds,
            ),
            image=settings.images[DB_MIGRATION],
            source=ground.hosts[settings.prod.host],
            source_network=airbyte.network,
            source_containers=airbyte.containers,
            target=ground.hosts[copy.core_worker.host],
            core_worker=worker,
            reader=ground.hosts[copy.replica.host],
            source_owner_password=settings.secret("prodDatabasePassword"),
            migration_password=settings.secret("migrationPassword"),
        ),
        ground.after(airbyte.ready),
    )


def _replica(
    settings: Settings,
    copy: CopySettings,
    ground: Foundation,
    worker: CoreWorker,
    feed: DbMigration,
) -> AirbyteAbctl:
    return AirbyteAbctl(
        REPLICA,
        AirbyteAbctlArgs(
            host=ground.hosts[copy.replica.host],
            chart=CHARTS[copy.replica.chart_version],
            port=copy.replica.port,
            url=copy.replica.url,
            low_resource=copy.replica.low_resource_mode,
            public_host=copy.replica.public_host,
            database=ExternalDatabase(
                host=worker.private.host,
                port=worker.private.port,
                name=WORKING,
                tls=worker.private.sslmode != "disable",
            ),
            database_user=AIRBYTE_ROLE,
            database_password=settings.secret("airbyteDatabasePassword"),
            admin_password=settings.secret("replicaAdminPassword"),
            client_secret=settings.secret("replicaClientSecret"),
        ),
        # Its bootloader writes at once: the working database must be a clone of the mirror by then.
        ground.after(feed.following),
    )
