"""The command `cutover`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from db_migration import config_file
from db_migration.airbytes import connections
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, only_one, reported
from db_migration.cli.options import Drain, DrainSeconds, DryRun, with_drain
from db_migration.config import InstanceConfig
from db_migration.context import over_ssh
from db_migration.cutover import cutover
from db_migration.cutover import report as cutover_report
from db_migration.errors import ConfigError
from db_migration.sides.hosts import HostControl
from db_migration.verification import report


def cutover_command(  # noqa: PLR0913 - each is an option
    config: ConfigPath = DEFAULT,
    hold: Annotated[bool, typer.Option("--hold", help="Only check the gates.")] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Put compose back, if no write has moved on yet.")
    ] = False,
    leave: Annotated[
        bool, typer.Option("--leave", help="Only refuse while an abctl is prod (for a destroy).")
    ] = False,
    drain: Drain = None,
    drain_seconds: DrainSeconds = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Move prod, as planned: drain, fence compose, prove both copies equal, promote, activate.

    Runs beside core-worker-01. Until the new side has taken a write, any failure puts compose back;
    run it again to go on with one that was interrupted.
    """
    mode = cutover.Mode.GO
    for asked, other in (
        (hold, cutover.Mode.HOLD),
        (abort, cutover.Mode.ABORT),
        (leave, cutover.Mode.LEAVE),
        (dry_run, cutover.Mode.DRY_RUN),
    ):
        mode = other if asked else mode
    with reported(as_json):
        only_one(hold=hold, abort=abort, leave=leave, dry_run=dry_run)
        say = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        means = cutover.Means(host=_host, prove=connections.touch_and_prove, say=say.print)
        loaded = with_drain(config_file.load(config), drain, drain_seconds)
        found = cutover.run(loaded, mode, means)
        if as_json:
            report.print_json(found)
        else:
            cutover_report.show(found)


def _host(instance: InstanceConfig) -> HostControl:
    control = over_ssh(instance)
    if control is None:
        raise ConfigError(instance.name, [f"`{instance.name}` has no `host_control`"])
    return control
