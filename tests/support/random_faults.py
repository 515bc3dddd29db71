"""Rounds of random faults, under load, each of which must end in an equal, verified copy.

Run as ``python -m tests.support.random_faults --rounds 100 --seed 1``. What happens in a round
depends on the seed and the number of the round alone: ``--first 37 --rounds 1`` repeats one.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.disk import server_on_a_small_disk
from tests.support.fault_world import FaultWorld
from tests.support.faults import FAULTS, Fault
from tests.support.fix_postgres import own_server

MOST_AT_ONCE = 3
LATEST_START_SECONDS = 1.5
LONGEST_SECONDS = 2.5
SMALL_DISK_MEGABYTES = 256


def schedule(seed: int, number: int) -> list[tuple[float, float, Fault]]:
    """Return what happens in a round: when each fault begins, how long it lasts, which it is."""
    choice = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable, not secret
    names = choice.choices(sorted(FAULTS), k=choice.randint(1, MOST_AT_ONCE))
    return [
        (
            choice.uniform(0, LATEST_START_SECONDS),
            choice.uniform(0.1, LONGEST_SECONDS),
            FAULTS[name](choice),
        )
        for name in dict.fromkeys(names)
    ]


def run_round(world: FaultWorld, seed: int, number: int) -> str:
    """Carry out one round and judge what it leaves; return what happened, in words."""
    planned = schedule(seed, number)
    said = ", ".join(
        f"{fault.name} at {at:.1f} for {length:.1f} s" for at, length, fault in planned
    )
    moments = [(at, fault.begin) for at, _, fault in planned]
    moments += [(at + length, fault.end) for at, length, fault in planned]
    begun = time.monotonic()
    try:
        for at, act in sorted(moments, key=lambda moment: moment[0]):
            world.wait_until(begun + at)
            act(world)
        world.mend()
        world.judge()
    except BaseException as error:
        error.add_note(f"seed {seed}, round {number}: {said}\n{world.tell()}")
        raise
    return said


@contextmanager
def worlds(folder: Path) -> Iterator[FaultWorld]:
    """Two servers of their own (the target on a small disk), a tunnel, an agent and a load."""
    with ExitStack() as opened:
        source = opened.enter_context(own_server(13, "docker"))
        target, disk = opened.enter_context(
            server_on_a_small_disk(17, "postgres", SMALL_DISK_MEGABYTES)
        )
        world = FaultWorld(source, target, disk, folder)
        opened.callback(world.end)
        world.start()
        yield world


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    given = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, worlds(Path(folder)) as world:
        for number in range(given.first, given.first + given.rounds):
            begun = time.monotonic()
            try:
                said = run_round(world, given.seed, number)
                print(f"round {number}: {time.monotonic() - begun:.1f} s: {said}", flush=True)
            except Exception as error:
                failed += 1
                print(
                    f"round {number}: FAILED: {error!r}\n" + "\n".join(error.__notes__), flush=True
                )
                world.mend()
        print(
            f"{given.rounds - failed} of {given.rounds} rounds converged, {world.load.rows} rows "
            f"written, {world.reads} reads of the copy",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
