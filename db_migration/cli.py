"""Command line of the DB Migration Script. Data on stdout, everything else on stderr."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from db_migration import cli_sides, epoch, log, preflight, release, report, status, verify
from db_migration import config as configuration
from db_migration.agent import Agent, context_of
from db_migration.cli_base import DEFAULT, AsJson, ConfigPath, reported
from db_migration.config import Config
from db_migration.context import Context
from db_migration.errors import DeadlinePassedError, DifferenceFoundError, ExitCode
from db_migration.journal import Journal
from db_migration.plan import Step
from db_migration.postgres import until
from db_migration.prepare import SOURCE_STEPS
from db_migration.watch import watch

app = typer.Typer(
    name="db-migration",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli_sides.add_to(app)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be undone.")]
PROGRESS_SECONDS = 5.0


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option(envvar="DB_MIGRATION_CONFIG", help="Configuration file (JSON).")
    ] = DEFAULT,
) -> None:
    """Copies Airbyte's database to another server, keeps the copy in step and proves it equal."""
    names = [command.name for command in app.registered_commands if command.name]
    context.default_map = {name: {"config": str(config)} for name in names}


@app.command("preflight")
def preflight_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Check, without changing anything, whether each feed can work."""
    with reported(as_json):
        loaded = configuration.load(config)
        found = {feed.name: preflight.preflight(context_of(loaded, feed)) for feed in loaded.feeds}
        if as_json:
            listed = [
                {"name": name, "checks": [check.as_dict() for check in checks]}
                for name, checks in found.items()
            ]
            report.print_json({"deployment": loaded.deployment, "feeds": listed})
        else:
            for name, checks in found.items():
                report.print_checks(name, checks)
        if not all(check.ok for checks in found.values() for check in checks):
            raise typer.Exit(ExitCode.CHECK_FAILED)


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
    """Do the planner's steps as long as they concern the source only."""
    agent = Agent(context)
    agent.journal.open()
    agent.journal.intend(release.RELEASED, on=False)
    done: list[str] = []
    while (step := agent.attempt(SOURCE_STEPS, patient=False)) is not Step.WAIT:
        done.append(step.value)
    return done


@app.command("run")
def run_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Bring every feed to following and keep it there, until SIGTERM.

    What it does is logged on stderr, a line an event: JSON with --json or without a terminal.
    """
    if as_json:
        log.configure(people=False)
    with reported(as_json):
        loaded = configuration.load(config)
        if not loaded.feeds:
            cli_sides.idle(loaded)
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        agents = [Agent(context_of(loaded, feed, stop)) for feed in loaded.feeds]
        threads = [threading.Thread(target=agent.run, name=agent.name) for agent in agents[1:]]
        if loaded.servers:
            threads.append(threading.Thread(target=watch, args=(loaded, stop), name="watch"))
        for thread in threads:
            thread.start()
        agents[0].run()
        for thread in threads:
            thread.join()


@app.command("status")
def status_command(
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
    wait: Annotated[
        str, typer.Option(help="Wait until all feeds are: following,verified,working.")
    ] = "",
    deadline: Annotated[float, typer.Option(help="Give up waiting after so many seconds.")] = 600,
) -> None:
    """Show the state of every feed, or wait for one."""
    with reported(as_json):
        loaded = configuration.load(config)
        goals = [goal for goal in wait.split(",") if goal]
        if unknown := sorted(set(goals) - set(status.GOALS)):
            msg = f"--wait must name some of {', '.join(status.GOALS)}, got {', '.join(unknown)}"
            raise typer.BadParameter(msg)
        missing = _wait(loaded, goals, deadline)
        state = status.read(loaded)
        if as_json or goals:
            report.print_json(state)
        else:
            report.print_status(state)
        if missing:
            raise DeadlinePassedError(
                found=f"not reached after {deadline:g} s: {'; '.join(missing)}",
                needed=f"every feed {', '.join(goals)}",
                way_out="read `next` and `error` above; wait longer with `--deadline`",
            )


def _wait(config: Config, goals: list[str], deadline: float) -> list[str]:
    """Wait for the goals with a line of progress on stderr; return what is missing at the end."""
    missing: list[str] = []
    if not goals:
        return missing
    say = Console(stderr=True, markup=False, highlight=False)

    def reached() -> bool:
        feeds = status.read(config)["feeds"]
        missing[:] = status.reached(feeds, goals)
        for feed in feeds if missing else ():
            error = f" ({feed['error']['found']})" if feed["error"] else ""
            say.print(f"{feed['name']}: {feed['state']}, {feed['next']}{error}", soft_wrap=True)
        return not missing

    until(reached, deadline, every=min(PROGRESS_SECONDS, config.poll_seconds))
    return missing


@app.command("verify")
def verify_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Compare source and mirror now: definitions, rights, sequences, every row."""
    with reported(as_json):
        loaded = configuration.load(config)
        results = []
        for feed in epoch.live_feeds(loaded):
            context = context_of(loaded, feed)
            result = verify.verify_and_record(context, Journal(context.control, feed.name))
            results.append({"name": feed.name, **result})
        if as_json:
            report.print_json({"deployment": loaded.deployment, "feeds": results})
        else:
            report.print_results(results)
        found = sum(len(result["differences"]) for result in results)
        if found:
            raise DifferenceFoundError(
                found=f"{found} difference(s) between source and mirror, named above",
                needed="none",
                way_out="find who writes to the mirror; then drop the feed's subscription there, "
                "and the agent makes a new copy",
            )


@app.command("release")
def release_command(
    config: ConfigPath = DEFAULT, as_json: AsJson = False, dry_run: DryRun = False
) -> None:
    """Undo everything that the feeds did on the source's database server."""
    with reported(as_json):
        loaded = configuration.load(config)
        found = []
        for feed in loaded.feeds:
            context = context_of(loaded, feed)
            journal = Journal(context.control, feed.name)
            undone = release.traces(context) if dry_run else release.release(context, journal)
            left = [] if dry_run else release.left_over(context)
            listed = [{"what": trace.what, "undo": trace.undo} for trace in undone]
            found.append({"name": feed.name, "traces": listed, "left": left})
        if as_json:
            report.print_json({"deployment": loaded.deployment, "dry_run": dry_run, "feeds": found})
        else:
            report.print_release(found, dry_run)
