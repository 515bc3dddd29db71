"""Command line of the DB Migration Script. Data on stdout, everything else on stderr."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from db_migration import config as configuration
from db_migration import journal
from db_migration.agent.agent import Agent, context_of
from db_migration.agent.plan import Step
from db_migration.cli import rehearse as cli_rehearse
from db_migration.cli import run as cli_run
from db_migration.cli import sides as cli_sides
from db_migration.cli import status as cli_status
from db_migration.cli import verify as cli_verify
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, reported
from db_migration.context import Context
from db_migration.errors import BlockedError, ExitCode
from db_migration.following import release, release_host
from db_migration.following.feed_role import Trace
from db_migration.following.prepare import SOURCE_STEPS
from db_migration.journal import Journal
from db_migration.preflight import preflight
from db_migration.preflight.checklist import counted, exit_code
from db_migration.verification import report

app = typer.Typer(
    name="db-migration",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (cli_run, cli_status, cli_sides, cli_verify, cli_rehearse):
    part.add_to(app)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be undone.")]


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option(envvar="DB_MIGRATION_CONFIG", help="Configuration file (JSON).")
    ] = DEFAULT,
) -> None:
    """Copies Airbyte's database to another server, keeps the copy in step and proves it equal."""
    journal.act_as(context.invoked_subcommand or "nothing")
    names = [command.name for command in app.registered_commands if command.name]
    context.default_map = {name: {"config": str(config)} for name in names}


@app.command("preflight")
def preflight_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Check, without changing anything, whether each feed can work and what a move endangers.

    Exit code 0: every check passed. 5: warnings only. 3: a check failed. 2: the configuration can
    not be used. Rights are tried in transactions that are rolled back.
    """
    with reported(as_json):
        loaded = configuration.load(config)
        found = {feed.name: preflight.preflight(context_of(loaded, feed)) for feed in loaded.feeds}
        checks = [check for of_feed in found.values() for check in of_feed]
        if as_json:
            listed = [
                {"name": name, "counts": counted(of_feed), "checks": [c.as_dict() for c in of_feed]}
                for name, of_feed in found.items()
            ]
            report.print_json({"deployment": loaded.deployment, "feeds": listed})
        else:
            for name, of_feed in found.items():
                report.print_checks(name, of_feed)
        if exit_code(checks) is not ExitCode.OK:
            raise typer.Exit(exit_code(checks))


@app.command("prepare")
def prepare_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Make the source fit for a feed (also after a release): role, wal_level, publication."""
    with reported(as_json):
        loaded = configuration.load(config)
        done = {feed.name: _prepare(context_of(loaded, feed)) for feed in loaded.feeds}
        if as_json:
            report.print_json({"deployment": loaded.deployment, "prepared": done})
        for name, steps in done.items() if not as_json else ():
            Console().print(f"{name}: {', '.join(steps) or 'nothing to do'}")


def _prepare(context: Context) -> list[str]:
    """Do the planner's steps as long as they concern the source only; each at most once, or prod
    would be changed without end.
    """
    agent = Agent(context)
    agent.journal.open()
    agent.journal.intend(release.RELEASED, on=False)
    done: list[str] = []
    while (step := agent.attempt(SOURCE_STEPS, patient=False)) is not Step.WAIT:
        if step.value in done:
            raise BlockedError(
                found=f"`{step}` is due again after it was done",
                needed="a source on which each step of `prepare` holds",
                way_out="look what takes it back (`db-migration history`), and prepare again",
            )
        done.append(step.value)
    return done


@app.command("release")
def release_command(
    config: ConfigPath = DEFAULT, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Undo everything that the feeds did on the source's database server.

    What Pulumi declared on the source's host is listed with the command that removes it.
    """
    with reported(as_json):
        loaded = configuration.load(config)
        found = []
        for feed in loaded.feeds:
            context = context_of(loaded, feed)
            trail = Journal(context.control, feed.name)
            undone = release.traces(context) if dry_run else release.release(context, trail)
            left = [] if dry_run else release.left_over(context)
            traces, host = asdicts(undone), asdicts(release_host.host_traces(context))
            found.append({"name": feed.name, "traces": traces, "left": left, "host": host})
        if as_json:
            report.print_json({"deployment": loaded.deployment, "dry_run": dry_run, "feeds": found})
        else:
            report.print_release(found, dry_run)


def asdicts(traces: list[Trace]) -> list[dict[str, str]]:
    """Return traces for `--json`."""
    return [asdict(trace) for trace in traces]
