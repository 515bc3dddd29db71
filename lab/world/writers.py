"""Who wrote when (pure): at every moment only one Airbyte may write for a connection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

Entry = dict[str, Any]
SHOWN = 20


@dataclass(kw_only=True)
class Run:
    """One connector run: from its start until the last batch that arrived."""

    connection: str
    writer: str
    began: float
    ended: float


@dataclass(kw_only=True)
class Period:
    """Batches of one writer, over all connections, with no other writer's between them."""

    writer: str
    began: float
    ended: float
    batches: int
    connections: int


def writer_of(entry: Entry) -> str:
    """Name who wrote: the instance, and the address it came from."""
    return f"{entry['instance']}@{entry['peer']}"


def judge(entries: list[Entry]) -> dict[str, Any]:
    """Judge batches in the order of their arrival.

    `overlaps`: two writers had a run of one connection at the same time. `returns`: a writer that
    wrote again after another one had; right only after a planned change back, which is judged by
    itself (`since`). Two Airbytes on one store of Temporal never overlap, but return.
    """
    overlaps = _overlaps(_runs(entries))
    periods = _periods(entries)
    names = [period.writer for period in periods]
    returns = sorted({name for name in names if names.count(name) > 1})
    return {
        "one_writer": not overlaps and not returns,
        "periods": [asdict(period) for period in periods],
        "overlaps": overlaps[:SHOWN],
        "returns": returns,
    }


def _runs(entries: list[Entry]) -> list[Run]:
    runs: dict[tuple[Any, ...], Run] = {}
    for entry in entries:
        at, writer = float(entry["at"]), writer_of(entry)
        began = min(at, float(entry.get("began") or at))
        key = (entry["connection"], writer, entry.get("job"), entry.get("attempt"))
        run = runs.setdefault(
            key, Run(connection=entry["connection"], writer=writer, began=began, ended=at)
        )
        run.began, run.ended = min(run.began, began), max(run.ended, at)
    return sorted(runs.values(), key=lambda run: run.began)


def _overlaps(runs: list[Run]) -> list[dict[str, Any]]:
    found = []
    latest: dict[str, list[Run]] = {}
    for run in runs:
        open_runs = [one for one in latest.get(run.connection, []) if one.ended >= run.began]
        found += [
            {
                "connection": run.connection,
                "writers": [one.writer, run.writer],
                "began": run.began,
                "ended": min(one.ended, run.ended),
            }
            for one in open_runs
            if one.writer != run.writer
        ]
        latest[run.connection] = [*open_runs, run]
    return found


def _periods(entries: list[Entry]) -> list[Period]:
    periods: list[Period] = []
    seen: set[str] = set()
    for entry in entries:
        at, writer = float(entry["at"]), writer_of(entry)
        if not periods or periods[-1].writer != writer:
            seen = set()
            periods.append(Period(writer=writer, began=at, ended=at, batches=0, connections=0))
        seen.add(entry["connection"])
        last = periods[-1]
        last.ended, last.batches, last.connections = at, last.batches + 1, len(seen)
    return periods
