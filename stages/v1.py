"""v1 enhanced: v0, a live copy on core-worker-01, and an Airbyte standing by on it."""

from dataclasses import dataclass

import pulumi

from components import AirbyteAbctl, AirbyteCompose, CoreWorker, DbMigration, Landscape
from components.airbyte_databases import MIRROR, WORKING
from stages import foundation, outputs, parts, v0
from stages.outputs import StageOutputs
from stages.settings import CopySettings, Settings


@dataclass(frozen=True, kw_only=True)
class World:
    """What there is."""

    airbyte: AirbyteCompose
    worker: CoreWorker
    feed: DbMigration
    replica: AirbyteAbctl


def build(settings: Settings) -> StageOutputs:
    """Declare v1."""
    copy = settings.copy
    if copy is None:
        msg = "settings of v1 must have the copy, got none"
        raise ValueError(msg)
    ground = foundation.lay(settings)
    airbyte = foundation.prod(settings, ground)
    worker = CoreWorker(
        parts.CORE_WORKER,
        parts.server_args(parts.CORE_WORKER, copy.core_worker, settings, ground),
        ground.after(),
    )
    standby = parts.replica(copy, settings, ground)
    landscape = Landscape(
        deployment=settings.deployment,
        servers=[worker],
        compose=parts.compose_instance(settings, ground),
        abctl=[standby.instance],
        cut_over=None,
        schedules=parts.schedules(copy),
        accepted_versions=parts.accepted_versions(settings),
    )
    source = parts.source(settings, ground, airbyte)
    feed = DbMigration(
        parts.SCRIPT,
        parts.script_args(landscape, worker, source, feeds=copy.feeds, settings=settings),
        ground.after(airbyte.ready),
    )
    # Its bootloader writes at once: the working database must be a clone of the mirror by then.
    replica = parts.abctl(standby, [worker], settings, ground.after(feed.following))
    world = World(airbyte=airbyte, worker=worker, feed=feed, replica=replica)
    return _outputs(settings, copy, world)


def _outputs(settings: Settings, copy: CopySettings, world: World) -> StageOutputs:
    address = f"{world.worker.private.host}:{world.worker.private.port}"
    return StageOutputs(
        stage=settings.stage,
        deployment=settings.deployment,
        airbyte={
            foundation.PROD_AIRBYTE: f"{world.airbyte.url} (prod: syncs)",
            parts.REPLICA: f"{world.replica.url} (stands by: its connections are inactive)",
        },
        databases={
            "prod": v0.database(settings),
            "mirror": f"{address}, database {MIRROR}",
            "working": f"{address}, database {WORKING}",
        },
        next=world.feed.status.apply(outputs.next_of),
        feed=_feed(world.feed, copy),
    )


def _feed(feed: DbMigration, copy: CopySettings) -> pulumi.Output[dict[str, object]]:
    hours, where = copy.feeds[0].refresh_hours, copy.core_worker.host
    return feed.status.apply(
        lambda status: outputs.feed_of(status, refresh_hours=hours, where=where)
    )
