"""Commands that change prod's database server: prepare, and release, which undoes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from db_migration import config_file
from db_migration.agent.agent import Agent
from db_migration.agent.plan import Step
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, feeds_of, reported, say_error
from db_migration.config import FeedConfig
from db_migration.context import Context, context_of
from db_migration.errors import BlockedError, MigrationError
from db_migration.following import release, release_fence, release_host
from db_migration.following.prepare import SOURCE_STEPS
from db_migration.following.reader_role import PREPARED
from db_migration.following.trace import Trace
from db_migration.journal import Journal
from db_migration.reporting.error_text import of_verb
from db_migration.verification import report

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be undone.")]


def prepare_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Make the source fit for a feed (also after a release): role, wal_level, publication."""
    with reported(as_json):
        loaded = config_file.load(config)
        done = {feed.name: _prepare(context_of(loaded, feed)) for feed in feeds_of(loaded)}
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
    for noted in (release_fence.RELEASED, PREPARED):
        agent.journal.intend(noted, on=False)
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


def release_command(
    config: ConfigPath = DEFAULT, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Undo everything that the feeds did on the source's database server.

    What Pulumi declared on the source's host is listed with the command that removes it.
    """
    with reported(as_json):
        loaded = config_file.load(config)
        found: list[dict[str, Any]] = []
        failed: list[MigrationError] = []
        gone: list[FeedConfig] = []
        for feed in feeds_of(loaded):
            context = context_of(loaded, feed)
            told: dict[str, Any] = {"name": feed.name, "traces": [], "left": [], "host": []}
            try:
                server = feed.source.host, feed.source.port
                here = [one for one in gone if (one.source.host, one.source.port) == server]
                told |= _released(context, here, dry_run=dry_run)
                gone.append(feed)
            except MigrationError as error:
                if len(loaded.feeds) == 1:
                    raise
                # The others are released all the same: a dead source must not keep them.
                failed.append(error)
                told["error"] = of_verb(error)
            found.append(told)
        if as_json:
            report.print_json({"deployment": loaded.deployment, "dry_run": dry_run, "feeds": found})
        else:
            report.print_release(found, dry_run)
        for each in failed:
            say_error(of_verb(each))
        if failed:
            raise typer.Exit(max(each.exit_code for each in failed))


def _released(context: Context, gone: list[FeedConfig], *, dry_run: bool) -> dict[str, Any]:
    """Release a feed, or say what that would undo; `gone` are released already."""
    trail = Journal(context.control, context.feed.name)
    undone = release.traces(context, gone) if dry_run else release.release(context, trail)
    left = [] if dry_run else release.left_over(context)
    host = asdicts(release_host.host_traces(context))
    return {"traces": asdicts(undone), "left": left, "host": host}


def asdicts(traces: list[Trace]) -> list[dict[str, Any]]:
    """Return traces for `--json`."""
    return [asdict(trace) for trace in traces]
