"""Commands that look: status, history."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from db_migration import config_file
from db_migration.cli.base import (
    DEFAULT,
    LONGEST,
    AsJson,
    ConfigPath,
    feeds_of,
    finite,
    only_one,
    reported,
    stop_by_signal,
)
from db_migration.config import Config
from db_migration.context import Context
from db_migration.errors import DeadlinePassedError
from db_migration.journal import Journal
from db_migration.postgres import until
from db_migration.reporting import status
from db_migration.reporting import view as status_view
from db_migration.verification import report

PROGRESS_SECONDS = 5.0
CHANGES = ("cut-over", "failover", "rebuild", "rehearsal")
"""Whose lines the audit trail may hold, too."""


def status_command(  # noqa: PLR0913 - each is an option
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
    wait: Annotated[
        str | None, typer.Option(help="Wait until all feeds are: following,verified,working.")
    ] = None,
    deadline: Annotated[
        float,
        typer.Option(
            min=0, max=LONGEST, callback=finite, help="Give up waiting after so many seconds."
        ),
    ] = 600,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again.")] = False,
    every: Annotated[
        float,
        typer.Option(min=0.2, max=LONGEST, callback=finite, help="Seconds between two looks."),
    ] = 2,
) -> None:
    """Show the state of every feed, wait for one, or watch.

    With --json one document, or one a line with --watch; docs/reference/db-migration.md has its
    keys. Exit code 4: what --wait asked for was not reached. 3: there is no feed to wait for.
    """
    with reported(as_json):
        only_one(watch=watch, wait=wait is not None)
        loaded, goals = config_file.load(config), _goals(wait)
        if watch:
            _watch(loaded, every, as_json=as_json)
            return
        missing = _wait(loaded, goals, deadline)
        state = status.read(loaded)
        if as_json or goals:
            report.print_json(state)
        else:
            Console(highlight=False).print(status_view.of_state(state))
        if missing:
            raise DeadlinePassedError(
                found=f"not reached after {deadline:g} s: {'; '.join(missing)}",
                needed=f"every feed {', '.join(goals)}",
                way_out="read `next` and `error` above; wait longer with `--deadline`",
            )


def _goals(wait: str | None) -> list[str]:
    """Return what is to be waited for; of nothing at all everybody would say at once: reached."""
    goals = wait.split(",") if wait is not None else []
    if unknown := sorted(set(goals) - set(status.GOALS)):
        msg = f"--wait must name some of {', '.join(status.GOALS)}, got `{', '.join(unknown)}`"
        raise typer.BadParameter(msg)
    return goals


def _watch(config: Config, every: float, *, as_json: bool) -> None:
    """Look until SIGINT or SIGTERM; on a terminal in place."""
    stop = stop_by_signal()
    console = Console(highlight=False)
    if as_json or not console.is_terminal:
        while True:
            state = status.read(config)
            if as_json:
                report.print_json_line(state)
            else:
                console.print(status_view.of_state(state))
            if stop.wait(every):
                return
    with Live(status_view.of_state(status.read(config)), console=console, auto_refresh=False) as at:
        while not stop.wait(every):
            at.update(status_view.of_state(status.read(config)), refresh=True)


def _wait(config: Config, goals: list[str], deadline: float) -> list[str]:
    """Wait for the goals, saying on stderr how it goes; return what is missing at the end."""
    missing: list[str] = []
    if not goals:
        return missing
    feeds_of(config)
    say = Console(stderr=True, markup=False, highlight=False)
    news = status_view.News(PROGRESS_SECONDS)

    def reached() -> bool:
        feeds = status.read(config)["feeds"]
        missing[:] = status.reached(feeds, goals)
        for line in news.of(feeds, time.monotonic()) if missing else ():
            say.print(line, soft_wrap=True)
        return not missing

    until(reached, deadline, every=min(PROGRESS_SECONDS, config.poll_seconds))
    return missing


def history_command(
    config: ConfigPath = DEFAULT,
    feed: Annotated[
        list[str] | None,
        typer.Option(help=f"Of this only (repeatable): a feed, {', '.join(CHANGES)}."),
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="So many lines of each.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the audit trail: who did what when, and what had been seen before each step.

    Of feeds into this host's server, and of changes of sides that were noted on it.
    `DB_MIGRATION_OPERATOR` in a verb's environment says who types it.
    """
    with reported(as_json):
        loaded = config_file.load(config)
        control = Context.control_of(loaded)
        noted = Journal(control, "").names()
        known = sorted({*noted, *CHANGES, *(one.name for one in loaded.feeds)})
        if unknown := sorted(set(feed or ()) - set(known)):
            msg = f"--feed must name one of {', '.join(known)}, got {', '.join(unknown)}"
            raise typer.BadParameter(msg)
        names = feed or noted
        found = {name: Journal(control, name).history(last) for name in names}
        if as_json:
            listed = [{"name": name, "events": events} for name, events in found.items()]
            report.print_json({"deployment": loaded.deployment, "feeds": listed})
        else:
            status_view.print_history(found)
