"""The DB Migration Script's containers as v1 and v2 have them, for the tests about them."""

import json
from typing import Any

from airbyte import compose
from components import (
    AbctlInstance,
    Active,
    ComposeInstance,
    ComposeSource,
    CutOver,
    DatabaseServer,
    DbMigration,
    DbMigrationArgs,
    FeedArgs,
    Host,
    Landscape,
    OperatorTools,
    OperatorToolsArgs,
    Schedules,
    ServerKind,
)
from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.components import hosts

OWNER, MIGRATION, CLIENT = "planted-owner", "planted-migration", "planted-client"
BASIC_AUTH = "planted-basic-auth"
SCRIPTS = ("db-migration", "db-migration-intermediary", "db-migration-replica")


def feed(source: str, target: str) -> FeedArgs:
    return FeedArgs(
        name=f"{source}-to-{target}",
        source=source,
        target=target,
        mode="auto",
        allow_source_restart=source == "prod",
        snapshot_interval_seconds=600,
        refresh_hours=24,
        verify_every_seconds=300,
        ready_seconds=900,
    )


def landscape(
    prod: Host, replica: Host | None, servers: list[DatabaseServer], *, final: bool
) -> Landscape:
    """v1's, or with everything that v2 adds."""

    def abctl(name: str, on: Host, port: int, role: str) -> AbctlInstance:
        return AbctlInstance(
            name=name, host=on, port=port, role=role, client_secret=hosts.secret(CLIENT)
        )

    standby = [abctl("standby", replica, 8000, "airbyte_replica")] if replica else []
    moved = [abctl("prod-abctl", prod, 8100, "airbyte_prod")] if final else []
    to = Active(database="intermediary", airbyte="prod-abctl")
    return Landscape(
        deployment="lab",
        servers=servers,
        compose=ComposeInstance(
            name="airbyte-prod",
            host=prod,
            port=8000,
            basic_auth_password=hosts.secret(BASIC_AUTH) if final else None,
        ),
        abctl=[*moved, *standby],
        cut_over=CutOver(to=to, drain="cancel", drain_seconds=60) if final else None,
        schedules=Schedules(running_at_most=3, touch_every_seconds=20, prove_seconds=600),
        accepted_versions=["0.62.4"],
    )


def declare(kind: ServerKind, *, final: bool = False, reader: bool = True) -> Recorder:
    return mocks.declare(lambda: _declare(kind, final=final, reader=reader))


def _declare(kind: ServerKind, *, final: bool, reader: bool) -> None:
    prod, target = hosts.host("prod", 1), hosts.host("core-worker-01", 3)
    replica = hosts.host("replica", 2) if reader else None
    worker = hosts.core_worker(target, kind)
    between = hosts.intermediary(hosts.host("intermediary", 4)) if final else None
    known = landscape(prod, replica, [worker, *([between] if between else [])], final=final)
    source = ComposeSource(
        host=prod,
        network="mine_airbyte_internal",
        containers=compose.STOP_ORDER,
        owner_password=hosts.secret(OWNER),
    )
    back = [feed("intermediary", "core-worker-01")] if final else []
    feeds = [feed("prod", "core-worker-01"), *back]
    first = DbMigration(SCRIPTS[0], _args(known, worker, source, feeds))
    if between is None or replica is None:
        return
    feeds = [feed("prod", "intermediary"), feed("core-worker-01", "intermediary")]
    DbMigration(SCRIPTS[1], _args(known, between, source.through(first.gateway), feeds))
    tools = OperatorToolsArgs(
        landscape=known,
        host=replica,
        image=hosts.IMAGE,
        migration_password=hosts.secret(MIGRATION),
    )
    OperatorTools(SCRIPTS[2], tools)


def _args(
    known: Landscape, server: DatabaseServer, source: ComposeSource, feeds: list[FeedArgs]
) -> DbMigrationArgs:
    return DbMigrationArgs(
        landscape=known,
        server=server,
        feeds=feeds,
        image=hosts.IMAGE,
        source=source,
        migration_password=hosts.secret(MIGRATION),
    )


def files(recorded: Recorder, script: str = "db-migration") -> dict[str, Any]:
    """The script's files by their path in the container."""
    host = "/var/lib/airbyte-migration/db-migration"
    (folder,) = [
        volume["containerPath"]
        for volume in recorded.named(f"{script}-agent").inputs["volumes"]
        if volume["hostPath"] == host
    ]
    return {
        f"{folder}/{command.inputs['create'].split()[2].removeprefix('db-migration/')}": command
        for command in recorded.of("Command")
        if " put db-migration/" in command.inputs["create"]
        and recorded.by_urn(command.parent).name == script
    }


def config(recorded: Recorder, script: str = "db-migration") -> dict[str, Any]:
    document = json.loads(files(recorded, script)["/etc/db-migration/config.json"].inputs["stdin"])
    assert isinstance(document, dict)
    return document
