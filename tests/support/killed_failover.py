"""A process that starts failovers and rebuilds, and kills each with SIGKILL where it is told.

Run as ``python -m tests.support.killed_failover FOLDER HERE PROD INTERMEDIARY KEEPER``; requests
and answers as in `tests.support.killed_agent`. An action is `rebuild`, `rehearse`, or
`failover HOST…` with the hosts of which the operator says that they are down.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from db_migration.effects import Effect
from tests.support.crash_world import CrashWorld
from tests.support.deployment import KEEPER
from tests.support.fix_postgres import PgServer
from tests.support.killed_agent import serve
from tests.support.scenario import ROOT

Killer = Callable[..., None]


@contextmanager
def killer_of(world: CrashWorld, here: str = KEEPER) -> Iterator[Killer]:
    """Yield what runs one action in a process of its own, killed at an effect or to its end."""
    servers_of = (world.prod, world.intermediary, world.keeper)
    command = [sys.executable, "-m", "tests.support.killed_failover", str(world.folder), here]
    log = world.folder / "killed.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, *(server.dump() for server in servers_of)],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):

        def run(action: str, effect: Effect | None = None, when: str = "") -> None:
            assert process.stdin is not None
            assert process.stdout is not None
            request = {"effect": effect, "when": when, "action": action}
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            expected = 9 if effect else 0
            assert answer["ended"] == expected, f"{effect} {when}: {log.read_text()[-3000:]}"

        yield run


def main() -> None:
    folder, here = Path(sys.argv[1]), sys.argv[2]
    prod, intermediary, keeper = (PgServer(**json.loads(text)) for text in sys.argv[3:6])
    world = CrashWorld(prod, intermediary, keeper, folder)

    def act(action: str) -> object:
        verb, *down = action.split()
        if verb == "rehearse":
            return world.rehearsal(here=here).run()
        if verb == "rebuild":
            return world.rebuild(here=here)
        return world.failover(*down, here=here)

    serve(act)


if __name__ == "__main__":
    main()
