"""The command `run`: an agent for each feed, the watch, and what Prometheus and probes ask."""

from __future__ import annotations

import threading

import structlog
import typer

from db_migration import config_file, log
from db_migration.agent.agent import Agent
from db_migration.cli import idle as cli_idle
from db_migration.cli import rehearse as cli_rehearse
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, reported, stop_by_signal
from db_migration.config import Config
from db_migration.context import context_of
from db_migration.errors import ExitCode
from db_migration.preflight import probes
from db_migration.reporting.board import Board
from db_migration.sides.watch import watch

WAKE_SECONDS = 0.5
logger = structlog.get_logger()


def run_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Bring every feed to following and keep it there, until SIGTERM.

    What it does is logged on stderr, a line an event: JSON with --json or without a terminal.
    Answers /metrics, /healthz and /readyz at the configuration's `http`.
    """
    with reported(as_json):
        if as_json:
            log.configure(people=False)
        loaded = config_file.load(config)
        if not loaded.feeds:
            cli_idle.idle(loaded)
            return
        stop = stop_by_signal()
        if not run(loaded, stop):
            raise typer.Exit(ExitCode.UNEXPECTED)


def run(loaded: Config, stop: threading.Event) -> bool:
    """Run every agent until `stop`; return False when one of them has ended by itself.

    Then the whole process ends: a container that runs without one of its feeds looks healthy.
    """
    board, failed = Board(), threading.Event()

    def guarded(agent: Agent) -> None:
        try:
            agent.run()
        except Exception:
            logger.exception("an agent has ended", feed=agent.name)
            failed.set()
        finally:
            stop.set()

    threads = []
    for feed in loaded.feeds:
        agent = Agent(context_of(loaded, feed, stop), board)
        thread = threading.Thread(target=guarded, args=(agent,), name=feed.name)
        board.join(feed.name, thread.is_alive)
        threads.append(thread)
    if loaded.servers:
        threads.append(threading.Thread(target=watch, args=(loaded, stop), name="watch"))
        clock = cli_rehearse.by_the_clock
        threads.append(threading.Thread(target=clock, args=(loaded, stop), name="rehearsals"))
    with probes.serving(loaded.http, board):
        for thread in threads:
            thread.start()
        # Without a limit it would sleep through a signal that another thread was handed.
        while not stop.wait(WAKE_SECONDS):
            continue
        for thread in threads:
            thread.join()
    return not failed.is_set()
