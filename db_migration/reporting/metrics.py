"""Prometheus metrics of the agents in this process; made from the board when they are asked for.

docs/reference/db-migration.md lists them; a test keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from db_migration.reporting.board import Board, Entry

STATES = ("preparing", "seeding", "following", "waiting", "paused", "released", "broken")
SLOT_STATES = ("none", "kept", "lost")
PREFIX = "db_migration"

GAUGES: dict[str, tuple[str, str]] = {
    # name: (help, where it stands in a feed's state)
    "lag_bytes": ("WAL that the mirror lacks.", "lag.bytes"),
    "lag_seconds": ("Age of the oldest change that the mirror lacks.", "lag.seconds"),
    "retained_wal_bytes": ("WAL that the source keeps for our slot.", "slot.retained_bytes"),
    "retained_wal_limit_bytes": ("What it may keep until the slot is dropped.", "slot.limit_bytes"),
    "worker_up": (
        "Whether the subscription's worker runs and is connected to the source.",
        "subscription.worker",
    ),
    "apply_errors": ("Errors of that worker since its statistics began.", "subscription.errors"),
    "verification_equal": ("Whether the last verification found no difference.", "verified.equal"),
    "verification_rows": ("Rows that the last verification compared.", "verified.rows"),
    "verification_timestamp_seconds": ("When the last verification ended.", "verified.at"),
    "working_database_age_seconds": (
        "Age of what the standby Airbyte runs on.",
        "working_database.age_seconds",
    ),
    "snapshot_age_seconds": ("Age of the copy in snapshot mode.", "snapshot.age_seconds"),
    "copy_share": ("Of a copy in the making, from 0 to 1.", "progress.share"),
    "copy_left_seconds": ("What the rest of it will take.", "progress.left_seconds"),
    "sequences_ahead": ("Whether the mirror's sequences are ahead of prod's.", "sequences_ahead"),
    "live": ("Whether the feed's source is the active database.", "live"),
    "error": ("Whether the feed's state holds an error.", "error"),
}


class Feeds(Collector):
    """Turns the board into metrics."""

    def __init__(self, board: Board) -> None:
        """Read from this board."""
        self._board = board

    def collect(self) -> Iterable[Metric]:
        """Return every metric as of now."""
        entries = self._board.entries()
        for name, (text, path) in GAUGES.items():
            yield _gauge(name, text, {feed: _at(entry, path) for feed, entry in entries.items()})
        yield _one_of("state", "State of the feed.", STATES, entries, _state)
        yield _one_of("slot_state", "Our slot on the source.", SLOT_STATES, entries, _slot)
        yield from _of_the_loop(entries)
        yield from self._sides()

    def _sides(self) -> Iterator[Metric]:
        active = self._board.active
        number = GaugeMetricFamily(f"{PREFIX}_epoch", "Number of the last change of sides.")
        sides = GaugeMetricFamily(
            f"{PREFIX}_active",
            "1 for the active database server and the active Airbyte.",
            labels=["database", "airbyte"],
        )
        if active is not None:
            number.add_metric([], active["epoch"])
            sides.add_metric([active["database"], active["airbyte"]], 1)
        yield number
        yield sides


def registry(board: Board) -> CollectorRegistry:
    """Return a registry of its own, so that two boards in one process do not meet."""
    found = CollectorRegistry(auto_describe=False)
    found.register(Feeds(board))
    return found


def _gauge(name: str, text: str, values: dict[str, float | None]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=["feed"])
    for feed, found in values.items():
        if found is not None:
            family.add_metric([feed], found)
    return family


def _at(entry: Entry, path: str) -> float | None:
    """Return what stands at a path of the state as a number; None when there is nothing."""
    if not entry.state:  # its agent has not spoken yet
        return None
    found: Any = entry.by_now()
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if path == "error":
        return float(found is not None)
    if path == "live":
        return float(_state(entry) != "waiting")
    if isinstance(found, str):
        try:
            return datetime.fromisoformat(found).timestamp()
        except ValueError:
            return None
    return float(found) if isinstance(found, int | float) else None


def _one_of(
    name: str,
    text: str,
    values: Iterable[str],
    entries: dict[str, Entry],
    read: Any,  # noqa: ANN401
) -> GaugeMetricFamily:
    """Return an enumeration: 1 for the value that holds, 0 for the others; no sample of a feed of
    which none is known.
    """
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=["feed", name])
    for feed, entry in entries.items():
        holds = read(entry)
        for known in values if holds is not None else ():
            family.add_metric([feed, known], float(holds == known))
    return family


def _state(entry: Entry) -> str:
    return str(entry.state.get("state"))


def _slot(entry: Entry) -> str | None:
    slot = entry.state.get("slot")
    if not slot:
        return "none" if entry.state.get("source_seen") else None
    return "lost" if slot.get("lost") else "kept"


def _of_the_loop(entries: dict[str, Entry]) -> Iterator[Metric]:
    steps = CounterMetricFamily(
        f"{PREFIX}_steps",
        "Steps of the plan, by how they ended.",
        labels=["feed", "step", "result"],
    )
    seeds = CounterMetricFamily(
        f"{PREFIX}_seeds", "New copies that were completed.", labels=["feed"]
    )
    errors = CounterMetricFamily(
        f"{PREFIX}_errors", "Turns that ended with an error.", labels=["feed"]
    )
    loops = CounterMetricFamily(f"{PREFIX}_loops", "Turns of the agent's loop.", labels=["feed"])
    for feed, entry in entries.items():
        for (step, result), number in sorted(entry.steps.items()):
            steps.add_metric([feed, step, result], number)
        done = sum(entry.steps[step, "done"] for step in SEEDING)
        seeds.add_metric([feed], done)
        errors.add_metric([feed], entry.errors)
        loops.add_metric([feed], entry.loops)
    yield from (steps, seeds, errors, loops)
    took = {feed: entry.loop_seconds for feed, entry in entries.items()}
    yield _gauge("loop_seconds", "How long the last turn of the loop took.", took)
    saw = {feed: entry.saved_at for feed, entry in entries.items()}
    yield _gauge("state_timestamp_seconds", "When the agent last told its state.", saw)


SEEDING = ("seed", "snapshot")
