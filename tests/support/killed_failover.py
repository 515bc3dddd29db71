"""A process that starts failovers and rebuilds, and kills each with SIGKILL where it is told.

Run as ``python -m tests.support.killed_failover FOLDER HERE PROD INTERMEDIARY KEEPER``; requests
and answers as in `tests.support.killed_agent`. An action is `failback`, `rebuild`, `rehearse`,
`clear` (what a rehearsal has left), `cutover MODE`, `outwait SECONDS` (a failover behind time), or
`failover HOST…` with the hosts of which the operator says that they are down.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from db_migration.cutover.cutover import Mode
from tests.support.crash_world import CrashWorld
from tests.support.deployment import KEEPER
from tests.support.fix_postgres import PgServer
from tests.support.killed_agent import Life, lives, serve


@contextmanager
def killer_of(world: CrashWorld, here: str = KEEPER) -> Iterator[Life]:
    """Yield what runs one action in a process of its own, killed at an effect or to its end."""
    servers_of = (world.prod, world.intermediary, world.keeper)
    arguments = [str(world.folder), here, *(server.dump() for server in servers_of)]
    log = world.folder / "killed.log"
    with lives("tests.support.killed_failover", *arguments, log_file=log) as run:
        yield run


def main() -> None:
    folder, here = Path(sys.argv[1]), sys.argv[2]
    prod, intermediary, keeper = (PgServer(**json.loads(text)) for text in sys.argv[3:6])
    world = CrashWorld(prod, intermediary, keeper, folder)

    def act(action: str) -> object:
        verb, *words = action.split()
        verbs: dict[str, Callable[[], object]] = {
            "rehearse": lambda: world.rehearsal(here=here).run(),
            "clear": lambda: world.rehearsal(here=here).clear(),
            "cutover": lambda: world.cut_over(Mode(*words)),
            "rebuild": lambda: world.rebuild(here=here),
            "failback": lambda: world.failback(here=here).run(),
            "failover": lambda: world.failover(*words, here=here),
            "outwait": lambda: world.observe(longest_sync=float(*words), here=here).run(),
        }
        return verbs[verb]()

    serve(act)


if __name__ == "__main__":
    main()
