"""What a feed costs prod: how long its statements take with the subscription and without.

pgbench keeps to a schedule and times each statement from when it was sent; a client in Python would
take more from the cores that it shares with both servers than the feed does.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql

from benchmarks import ours
from benchmarks.following import DRAIN_SECONDS, INSERT
from benchmarks.methods import World, client
from benchmarks.statistics import percentile
from db_migration.postgres import until

CLIENTS = 4
SECONDS = 3
"""Of one measurement: a pair of them is over before the machine's mood changes."""
PROD_CORE, COPY_CORE = 0, 1
"""Of two hosts in one machine."""
UNSTAMPED = "DROP TRIGGER IF EXISTS stamp ON jobs"
"""What tells when a row arrives is no part of a feed, and its work shares the same cores."""


def slowdown(world: World, rate: int, pairs: int) -> dict[str, list[float]]:
    """Return the median milliseconds of a write, with the feed attached and without, in pairs."""
    world.target.run(UNSTAMPED, ours.MIRROR)
    found: dict[str, list[float]] = {"attached": [], "detached": []}
    for number in range(pairs):
        order: Sequence[str] = ("attached", "detached") if number % 2 else ("detached", "attached")
        for how in order:
            with _feed(world, on=how == "attached"):
                found[how].append(percentile(writes(world, rate), 0.5))
    return found


def writes(world: World, rate: int) -> list[float]:
    """Write `rate` rows a second, each in a transaction of its own; return the milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        script.write_text(f"{INSERT};\n")
        where = ("--no-vacuum", "--log", "--log-prefix", f"{folder}/log", "--file", str(script))
        how = ("--client", str(CLIENTS), "--rate", str(rate), "--time", str(SECONDS))
        subprocess.run(
            [client("pgbench"), *where, *how],
            env=world.source.environment(world.database),
            check=True,
            capture_output=True,
            timeout=DRAIN_SECONDS,
        )
        return [took for log in Path(folder).glob("log.*") for took in milliseconds(log)]


def milliseconds(log: Path) -> list[float]:
    """Read a log of pgbench: column 3 is the time since a write was due, 7 how late it was sent,
    both in microseconds (PostgreSQL's documentation, pgbench, "Per-Transaction Logging").
    """
    lines = (line.split() for line in log.read_text().splitlines())
    return [(int(line[2]) - int(line[6])) / 1000 for line in lines]


@contextmanager
def _feed(world: World, *, on: bool) -> Iterator[None]:
    """Have the subscription enabled or not, and leave it enabled and level with prod."""
    alter = sql.SQL("ALTER SUBSCRIPTION {} {}")
    name = sql.Identifier(ours.SLOT)
    with world.target.connect(ours.MIRROR) as connection:
        if not on:
            connection.execute(alter.format(name, sql.SQL("DISABLE")))
            _until(world, "NOT bool_or(active)", "the feed's slot is in use")
        try:
            yield
        finally:
            connection.execute(alter.format(name, sql.SQL("ENABLE")))
            # What was written meanwhile is not to be carried while the next writes are timed.
            lsn = world.source.value("SELECT pg_current_wal_lsn()")
            level = f"bool_and(active AND confirmed_flush_lsn >= '{lsn}')"
            _until(world, level, "the feed does not catch up")


def _until(world: World, condition: str, otherwise: str) -> None:
    query = f"SELECT {condition} FROM pg_replication_slots"  # noqa: S608 - our own conditions
    if not until(lambda: world.source.value(query) is True, DRAIN_SECONDS):
        raise TimeoutError(otherwise)
