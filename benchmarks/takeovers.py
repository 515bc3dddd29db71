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
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.statistics import median
from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, Deployment
from tests.support.fix_postgres import PgServer, own_server, wait_for
from tests.support.timeouts import FOLLOW

Servers = tuple[PgServer, PgServer, PgServer]
"""Prod's, the intermediary and core-worker-01."""


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


def failover(found: Servers, folder: Path, dead: str) -> float:
    """Kill a host under load and fail over; return the seconds from the command to a write."""
    world = CrashWorld(*found, folder)
    try:
        world.start_v2()
        world.until_written(20)
        world.kill(dead)
        taken = _when_silent(world)
        word = [] if dead in world.servers else [dead]
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


WAYS: dict[str, tuple[float, Callable[[Servers, Path], float]]] = {
    "cut-over: fence to first right to write": (10, cut_over),
    "prod dies, replica attached: first write": (5, partial(failover, dead="prod")),
    "database dies, mirror promoted: first write": (5, partial(failover, dead=INTERMEDIARY)),
}
"""What is measured, and in at most how many seconds (issue A2, lab targets, database part)."""


def measured(rounds: int) -> dict[str, list[float]]:
    """Measure everything once a round."""
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    with (
        own_server(13, "docker") as prod,
        own_server(17, "postgres") as intermediary,
        own_server(17, "postgres") as keeper,
    ):
        for _ in range(rounds):
            for name, (_, way) in WAYS.items():
                with tempfile.TemporaryDirectory(prefix="takeover-") as folder:
                    taken[name].append(way((prod, intermediary, keeper), Path(folder)))
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
        table.add_row(name, f"{median(seconds):.2f}", span, f"{WAYS[name][0]:g}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    typer.run(main)
