"""A process that starts real agents and kills each with SIGKILL at the side effect it is told.

Run as ``python -m tests.support.killed_agent CONFIG SERVER``. Each line on stdin is a request, each
line on stdout how the agent's process ended. The agents are forked from here, so that importing
happens once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from db_migration import config_file, effects, log
from db_migration.agent.agent import Agent
from db_migration.context import Context, context_of
from db_migration.effects import Effect
from db_migration.following import release
from db_migration.journal import Journal
from tests.support.fix_postgres import PgServer
from tests.support.scenario import ROOT, LocalHost

R = TypeVar("R")
DEADLINE_SECONDS = 60


Life = Callable[..., int]


@contextmanager
def lives(module: str, *arguments: str, log_file: Path) -> Iterator[Life]:
    """Start `module`; yield what has it run one action, killed at an effect or to its end.

    What is yielded returns the signal that the action's process ended with.
    """
    with (
        log_file.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):

        def run(action: str, effect: Effect | None = None, when: str = "") -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            request = {"effect": effect, "when": when, "action": action}
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            expected = 9 if effect else 0
            said = log_file.read_text()[-3000:]
            assert answer["ended"] == expected, f"{effect} {when}: {answer}\n{said}"
            return int(answer["signal"])

        yield run


class ReaderHost:
    """A standby Airbyte that is a file: there while it runs."""

    def __init__(self, flag: Path) -> None:
        self._flag = flag

    def run(self, verb: str) -> str:
        if verb == "start abctl":
            self._flag.touch()
        else:
            self._flag.unlink(missing_ok=True)
        return ""


def main() -> None:
    config_path, server = Path(sys.argv[1]), PgServer(**json.loads(sys.argv[2]))
    serve(lambda action: act(action, context(config_path, server)))


def serve(act: Callable[[str], object]) -> None:
    """Answer requests until stdin ends."""
    log.configure()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.alarm(DEADLINE_SECONDS)
            kill_at(request["effect"], request["when"])
            act(request["action"])
            while request["effect"]:  # it may come at a later look, as of the logs' notes
                act(request["action"])
            os._exit(0)
        _, ended = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps({"signal": os.WTERMSIG(ended), "ended": ended}) + "\n")
        sys.stdout.flush()


def context(path: Path, server: PgServer) -> Context:
    config = config_file.load(path)
    found = context_of(config, config.feeds[0])
    reader = ReaderHost(path.with_name("reader"))
    return replace(found, source_host=LocalHost(server), reader_host=reader)


def act(action: str, found: Context) -> None:
    if action == "release":
        release.release(found, Journal(found.control, found.feed.name))
        return
    agent = Agent(found)
    while not (agent.once() == "wait" and follows(agent)):
        continue


def follows(agent: Agent) -> bool:
    state = agent.journal.state()
    return state is not None and state[0]["state"] in {"following", "released"}


def kill_at(effect: str | None, when: str) -> None:
    """Die before or after the first time that this process meets the effect."""
    if effect is None:
        return
    wanted = Effect(effect)
    lock = threading.Lock()

    def perform(name: Effect, function: Callable[[], R]) -> R:
        if name is not wanted:
            return function()
        with lock:
            if when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function()
            os.kill(os.getpid(), signal.SIGKILL)
            return result

    effects.perform = perform


if __name__ == "__main__":
    main()
