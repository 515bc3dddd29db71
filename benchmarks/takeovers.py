"""`python -m benchmarks.takeovers`: how long nobody can write, at a cut-over and after a death.

Three real servers on loopback (PostgreSQL 13, 17, 17), the agents, and Airbytes that are writers:
the database part alone, without the time that containers take to stop and start. What a whole
Airbyte adds, `make demo` measures.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.statistics import median
from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, Deployment
from tests.support.fix_postgres import PgServer, make_server, wait_for
from tests.support.timeouts import FOLLOW

AIMS = {
    "cut-over: fence to first right to write": 10.0,
    "prod dies, replica attached: first write": 5.0,
    "database dies, mirror promoted: first write": 5.0,
}
"""At most so many seconds (issue A2, lab targets, database part)."""

Servers = tuple[PgServer, PgServer, PgServer]


@contextmanager
def servers() -> Iterator[Servers]:
    """Make prod's server, the intermediary and core-worker-01."""
    with ExitStack() as opened:

        def made(major: int, user: str) -> PgServer:
            home = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="takeover-")))
            home.chmod(0o755)
            server = make_server(home, major, user)
            opened.callback(server.kill)
            return server

        yield made(13, "docker"), made(17, "postgres"), made(17, "postgres")


def cut_over(found: Servers, folder: Path) -> float:
    """Cut over under load; return the report's seconds from the fence to the admission."""
    world = Deployment(*found, folder)
    world.reset()
    try:
        world.start_agents()
        world.start_writers()
        world.until_following()
        return float(world.cut_over()["database_seconds"])
    finally:
        world.end()


def failover(found: Servers, folder: Path, *dead: str) -> float:
    """Kill a host under load and fail over; return the seconds from the command to a write."""
    world = CrashWorld(*found, folder)
    try:
        world.start_v2()
        world.until_written(20)
        world.kill(*dead)
        taken = _when_silent(world)
        word = [name for name in dead if name not in world.servers]
        commanded = time.monotonic()
        work = threading.Thread(target=world.failover, args=word)
        work.start()
        wait_for(lambda: len(world.acknowledged_ids) > taken, FOLLOW, every=0.005)
        seconds = time.monotonic() - commanded
        work.join()
        return seconds
    finally:
        world.end()


def _when_silent(world: CrashWorld) -> int:
    """Return the number of acknowledged writes once the last one that was under way is counted."""
    seen = [-1]

    def silent() -> bool:
        seen.append(len(world.acknowledged_ids))
        return seen[-1] == seen[-2]

    wait_for(silent, FOLLOW, every=0.2)
    return seen[-1]


def measured(rounds: int) -> dict[str, list[float]]:
    """Measure everything once a round."""
    ways: dict[str, Callable[[Servers, Path], float]] = {
        "cut-over: fence to first right to write": cut_over,
        "prod dies, replica attached: first write": lambda s, f: failover(s, f, "prod"),
        "database dies, mirror promoted: first write": lambda s, f: failover(s, f, INTERMEDIARY),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with servers() as found:
        for _ in range(rounds):
            for name, way in ways.items():
                with tempfile.TemporaryDirectory(prefix="takeover-") as folder:
                    taken[name].append(way(found, Path(folder)))
    return taken


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Measure the database part of cut-over and failover; medians of some rounds."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    taken = measured(rounds)
    if as_json:
        sys.stdout.write(json.dumps(taken) + "\n")
        return
    table = Table("seconds without a write", "median", "from, to", "at most")
    for name, seconds in taken.items():
        span = f"{min(seconds):.2f} to {max(seconds):.2f}"
        table.add_row(name, f"{median(seconds):.2f}", span, f"{AIMS[name]:g}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    typer.run(main)
