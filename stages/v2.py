"""v2 final: prod on abctl with its database on the intermediary, a copy of it, and a standby."""

from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from airbyte.images import DB_MIGRATION
from components import (
    Active,
    AirbyteAbctl,
    AirbyteCompose,
    ComposeSource,
    CoreWorker,
    CutOver,
    DatabaseServer,
    DbMigration,
    DbMigrationArgs,
    Intermediary,
    Landscape,
    OperatorTools,
    OperatorToolsArgs,
    Script,
    execute,
)
from stages import foundation, outputs, parts, v0
from stages.foundation import Foundation
from stages.models import CutOverWish
from stages.outputs import StageOutputs
from stages.parts import AbctlWish
from stages.settings import CopySettings, FinalSettings, Settings

CUT_OVER = "cut-over"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings of v2 and what everything in it stands on."""

    settings: Settings
    copy: CopySettings
    final: FinalSettings
    ground: Foundation


@dataclass(frozen=True, kw_only=True)
class World:
    """What there is, beside the scripts that move data between it."""

    airbyte: AirbyteCompose
    worker: CoreWorker
    intermediary: Intermediary
    prod: AbctlWish
    standby: AbctlWish

    @property
    def servers(self) -> list[DatabaseServer]:
        """The copy's first: the operator's tools take its journal for theirs."""
        return [self.worker, self.intermediary]


def build(settings: Settings) -> StageOutputs:
    """Declare v2."""
    if settings.copy is None or settings.final is None:
        msg = "settings of v2 must have the copy and the final keys, got less"
        raise ValueError(msg)
    plan = Plan(
        settings=settings,
        copy=settings.copy,
        final=settings.final,
        ground=foundation.lay(settings),
    )
    world = _world(plan)
    landscape = _landscape(plan, world)
    feed, feed_of_prod = _feeds(plan, world, landscape)
    after = plan.ground.after
    prod = parts.abctl(world.prod, world.servers, settings, after(world.intermediary))
    replica = parts.abctl(world.standby, world.servers, settings, after(feed.following))
    tools = _tools(plan, world, landscape)
    cut_over = _cut_over(plan, [feed, feed_of_prod, prod, replica, *tools])
    return _outputs(plan, world, [feed, feed_of_prod], [prod, replica], cut_over)


def _world(plan: Plan) -> World:
    settings, ground = plan.settings, plan.ground
    worker = parts.server_args(parts.CORE_WORKER, plan.copy.core_worker, settings, ground)
    between = parts.server_args(parts.INTERMEDIARY, plan.final.intermediary, settings, ground)
    return World(
        airbyte=foundation.prod(settings, ground),
        worker=CoreWorker(parts.CORE_WORKER, worker, ground.after()),
        intermediary=Intermediary(parts.INTERMEDIARY, between, ground.after()),
        prod=parts.prod_abctl(plan.final, settings, ground),
        standby=parts.replica(plan.copy, settings, ground),
    )


def _landscape(plan: Plan, world: World) -> Landscape:
    return Landscape(
        deployment=plan.settings.deployment,
        servers=world.servers,
        compose=parts.compose_instance(plan.settings, plan.ground),
        abctl=[world.prod.instance, world.standby.instance],
        cut_over=CutOver(
            to=Active(database=world.intermediary.name, airbyte=world.prod.instance.name),
            drain=plan.final.drain.policy,
            drain_seconds=plan.final.drain.seconds,
        ),
        schedules=parts.schedules(plan.copy),
        accepted_versions=parts.accepted_versions(plan.settings),
    )


def _feeds(plan: Plan, world: World, landscape: Landscape) -> tuple[DbMigration, DbMigration]:
    """Declare the script beside each server, one after the other: both prepare prod's database."""

    def script(server: DatabaseServer, source: ComposeSource) -> DbMigrationArgs:
        feeds = plan.copy.feeds
        return parts.script_args(landscape, server, source, feeds=feeds, settings=plan.settings)

    source = parts.source(plan.settings, plan.ground, world.airbyte)
    there = (world.airbyte.ready, *world.servers)
    first = DbMigration(parts.SCRIPT, script(world.worker, source), plan.ground.after(*there))
    second = DbMigration(
        f"{parts.SCRIPT}-{world.intermediary.name}",
        script(world.intermediary, source.through(first.gateway)),
        plan.ground.after(*there, first),
    )
    return first, second


def _tools(plan: Plan, world: World, landscape: Landscape) -> list[OperatorTools]:
    """Declare the operator's tools, unless a script with feeds is on that host already."""
    host = world.standby.instance.host
    if host is world.worker.host:
        return []
    args = OperatorToolsArgs(
        landscape=landscape,
        host=host,
        image=plan.settings.images[DB_MIGRATION],
        migration_password=plan.settings.secret("migrationPassword"),
    )
    return [OperatorTools(f"{parts.SCRIPT}-replica", args, plan.ground.after(*world.servers))]


def _cut_over(plan: Plan, after: list[pulumi.Resource]) -> remote.Command:
    """Move prod, or only look whether it could be moved; then tell who is active."""
    hold = plan.final.cutover is CutOverWish.HOLD
    seconds = max(feed.ready_seconds for feed in plan.copy.feeds)
    command = remote_command(hold=hold, ready_seconds=seconds)
    # It comes last, so it is the first that a destroy takes away: refused before anything is gone.
    leave = execute("cutover --leave >&2")
    host = plan.ground.hosts[plan.copy.core_worker.host]
    resource = host.run(
        CUT_OVER,
        Script(run=command, delete=leave, logging=remote.Logging.STDERR),
        parent=None,
        depends_on=[*plan.ground.markers, *after],
    )
    if hold:
        pulumi.info("cutover: hold. Prod stays where it is; `go` moves it", resource)
    return resource


def remote_command(*, hold: bool, ready_seconds: int) -> str:
    """Return the words of the cut-over; what it has done already it does not do again.

    It ends when the copy of the new prod is in step: until then no host may die.
    """
    wait = f"status --json --wait following,verified --deadline {ready_seconds}"
    return execute("cutover --hold >&2" if hold else "cutover >&2", wait)


def _outputs(
    plan: Plan,
    world: World,
    feeds: list[DbMigration],
    airbytes: list[AirbyteAbctl],
    cut_over: remote.Command,
) -> StageOutputs:
    where = plan.copy.core_worker.host
    urls = {
        foundation.PROD_AIRBYTE: world.airbyte.url,
        parts.PROD_ABCTL: airbytes[0].url,
        parts.REPLICA: airbytes[1].url,
    }
    sources = {feed.name: feed.source for feed in plan.copy.feeds}
    hold = plan.final.cutover is CutOverWish.HOLD
    return StageOutputs(
        stage=plan.settings.stage,
        deployment=plan.settings.deployment,
        airbyte={
            name: pulumi.Output.all(cut_over.stdout, name, url).apply(
                lambda told: outputs.role_of(*told)
            )
            for name, url in urls.items()
        },
        databases={
            "prod": v0.database(plan.settings),
            **{s.name: f"{s.private.host}:{s.private.port}" for s in world.servers},
        },
        next=cut_over.stdout.apply(
            lambda status: outputs.next_of_move(status, hold=hold, compose=foundation.PROD_AIRBYTE)
        ),
        active=cut_over.stdout.apply(lambda status: outputs.active_of(status, where=where)),
        feeds=pulumi.Output.all(cut_over.stdout, feeds[1].status.apply(outputs.states_of)).apply(
            lambda told: outputs.feeds_of(told[0], sources, told[1])
        ),
    )
