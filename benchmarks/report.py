"""The report: Markdown and plots from the measured numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import plots
from benchmarks.statistics import median, pairs, ratio, spread

OURS, VERIFIED, PGCOPYDB = "ours", "ours, verified", "pgcopydb"
RESTORE = "pg_dump -Z0 -j2, pg_restore -j2"


@dataclass
class Results:
    """Everything that one run of the benchmarks has measured; kept as JSON beside the report."""

    machine: dict[str, str]
    runs: int
    versions: dict[str, str]
    bytes: dict[str, int] = field(default_factory=dict)
    """By dataset, named `<GB> <shape>`."""
    copies: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """Seconds by dataset and method."""
    cpu: dict[str, dict[str, list[list[float]]]] = field(default_factory=dict)
    """CPU seconds of source, target and clients in each run, by dataset and method; one number
    where an older version did not tell them apart.
    """
    verify: dict[str, list[float]] = field(default_factory=dict)
    memory_kib: dict[str, int] = field(default_factory=dict)
    """The most that our process held, by dataset."""
    lags: list[dict[str, float]] = field(default_factory=list)
    slowdown: dict[str, list[float]] = field(default_factory=dict)
    """Median milliseconds of a write, `attached` and `detached`, pair by pair."""
    slowdown_apart: dict[str, list[float]] = field(default_factory=dict)
    """The same with a core and a disk for each of the two servers."""

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Aim:
    """A ratio or number that is to be at most `limit`; `value` None: not measured in this run."""

    what: str
    limit: float
    value: float | None

    @property
    def verdict(self) -> str:
        """Whether it is met."""
        if self.value is None:
            return "not measured"
        return "met" if self.value <= self.limit else "**not met**"


def aims(results: Results) -> list[Aim]:
    """Compare with what the project aims at: on the largest Airbyte-shaped dataset of the run."""
    many = [name for name in results.copies if name.endswith("many")]
    largest = max(many, key=_gigabytes, default="")
    times = results.copies.get(largest, {})
    verified = results.verify.get(largest)
    alone = median(verified) / median(times[OURS]) if verified and times.get(OURS) else None
    at300 = next((lag for lag in results.lags if lag["asked"] == 300), None)
    return [
        Aim("seed of pgcopydb", 0.6, ratio(times, OURS, PGCOPYDB)),
        Aim("seed of pg_dump -Z0 -j2, pg_restore -j2", 0.75, ratio(times, OURS, RESTORE)),
        Aim("verified copy of pgcopydb's unverified one", 0.7, ratio(times, VERIFIED, PGCOPYDB)),
        Aim("verify alone of the seed", 0.4, alone),
        Aim("seconds a byte, largest of smallest size", 1.1, growth(results)),
        Aim("seconds a byte, one table of 90 % of many", 1.0, one_of_many(results)),
        Aim("lag p50 at 300 writes/s, ms", 2, at300["p50"] if at300 else None),
        Aim("lag p99 at 300 writes/s, ms", 10, at300["p99"] if at300 else None),
        Aim("memory of our process, MB", 100, _memory(results)),
        Aim("median write with the feed, of without", 1.05, _cost(results.slowdown)),
        Aim("the same, each server with a core and a disk", 1.05, _cost(results.slowdown_apart)),
    ]


def _cost(slowdown: Mapping[str, Sequence[float]]) -> float | None:
    found = pairs(slowdown, "attached", "detached")
    return median(found) if found else None


def growth(results: Results) -> float | None:
    """Return the seconds a byte of the largest over those of the smallest size."""
    rates = _seconds_a_byte(results, "many")
    return rates[-1][1] / rates[0][1] if len(rates) > 1 else None


def one_of_many(results: Results) -> float | None:
    """Return the seconds a byte of one big table over those of many, at the same size."""
    one, many = (dict(_seconds_a_byte(results, shape)) for shape in ("one", "many"))
    common = sorted(one.keys() & many.keys())
    return one[common[-1]] / many[common[-1]] if common else None


def _seconds_a_byte(results: Results, shape: str) -> list[tuple[float, float]]:
    return sorted(
        (_gigabytes(name), median(times[OURS]) / results.bytes[name])
        for name, times in results.copies.items()
        if name.endswith(shape) and times.get(OURS)
    )


def _gigabytes(dataset: str) -> float:
    return float(dataset.split()[0])


def _memory(results: Results) -> float | None:
    return max(results.memory_kib.values()) * 1024 / 1e6 if results.memory_kib else None


def markdown(results: Results) -> str:
    """Return the report; it names the plots that `drawings` returns."""
    parts = [
        "# Benchmarks",
        "",
        f"PostgreSQL 13 -> 17 on one machine, loopback, no TLS, fsync on; {results.runs} "
        "interleaved runs, medians. Seconds are from outside: the start of each process counts.",
        "",
        *_table(["machine", ""], [[key, value] for key, value in results.machine.items()]),
        *_table(["program", "version"], [[k, v] for k, v in results.versions.items()]),
        "## Aims",
        "",
        *_table(
            ["what", "at most", "measured", ""],
            [
                [aim.what, f"{aim.limit:g}", _number(aim.value), aim.verdict]
                for aim in aims(results)
            ],
        ),
    ]
    for name, times in results.copies.items():
        parts += _copies(name, times, results)
    return "\n".join([*parts, *_following(results)])


def _copies(name: str, times: Mapping[str, Sequence[float]], results: Results) -> list[str]:
    cpu = results.cpu.get(name, {})
    rows = [
        [
            method,
            f"{median(seconds):.2f}",
            f"{min(seconds):.2f} to {max(seconds):.2f}",
            f"{spread(seconds):.0%}",
            _number(ratio(times, method, PGCOPYDB)),
            _cpu(cpu.get(method, [])),
        ]
        for method, seconds in times.items()
        if seconds
    ]
    size = results.bytes[name] / 1e6
    verify = results.verify.get(name)
    said = f" Verify alone: {median(verify):.2f} s." if verify else ""
    return [
        f"## Copy of {size:.0f} MB, {'one table of 90 %' if 'one' in name else 'many tables'}",
        "",
        f"![seconds]({plot_name(name)})",
        "",
        f"Memory of our process: {results.memory_kib.get(name, 0) * 1024 / 1e6:.0f} MB.{said}",
        "",
        *_table(
            ["method", "seconds", "from, to", "spread", "of pgcopydb", "CPU seconds: all "
            "(source + target + clients)"], rows
        ),
    ]  # fmt: skip


def _cpu(runs: Sequence[Sequence[float]]) -> str:
    if not runs:
        return "-"
    parts = [f"{median(part):.1f}" for part in zip(*runs, strict=True)]
    return f"{median([sum(run) for run in runs]):.1f} ({' + '.join(parts)})"


def _following(results: Results) -> list[str]:
    rows = [
        [
            f"{lag['asked']:g}",
            f"{lag['rate']:.0f}",
            *(f"{lag[key]:.1f}" for key in ("p50", "p99", "most")),
            f"{lag['missing']:g}",
        ]
        for lag in results.lags
    ]
    parts = [
        "## Following",
        "",
        "Milliseconds from the commit on prod to the row on the mirror, by the servers' clocks.",
        "",
        *_table(["writes/s asked", "made", "p50", "p99", "most", "missing"], rows),
    ]
    parts += _slowdown(results.slowdown, "Both servers and the writers share the machine's cores.")
    parts += _slowdown(
        results.slowdown_apart,
        "Like two hosts: prod's server and its writers have one core, the copy's server another; "
        "its data lie in memory, so that prod's commits do not wait for its flushes.",
    )
    return parts


def _slowdown(measured: Mapping[str, Sequence[float]], where: str) -> list[str]:
    found = pairs(measured, "attached", "detached")
    if not found:
        return []
    attached, detached = (median(measured[how]) for how in ("attached", "detached"))
    return [
        f"Median write at a fixed rate, {len(found)} pairs: {attached:.2f} ms with the feed, "
        f"{detached:.2f} ms without; by pair {min(found):.2f} to {max(found):.2f}, median "
        f"{median(found):.2f}. {where}",
        "",
    ]


def drawings(results: Results) -> dict[str, str]:
    """Return the plots by file name."""
    drawn = {
        plot_name(name): plots.bars(
            f"Seconds to copy {results.bytes[name] / 1e6:.0f} MB",
            {method: median(seconds) for method, seconds in times.items() if seconds},
            "s",
        )
        for name, times in results.copies.items()
    }
    sizes = {
        method: [
            (results.bytes[name] / 1e9, median(times[method]))
            for name, times in results.copies.items()
            if name.endswith("many") and times.get(method)
        ]
        for method in dict.fromkeys(m for times in results.copies.values() for m in times)
    }
    drawn["growth.svg"] = plots.lines("Seconds by size", sizes, "GB", "s")
    return drawn


def plot_name(dataset: str) -> str:
    """Return the file name of a dataset's plot."""
    return f"copy-{dataset.replace(' ', '-')}.svg"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return ["| " + " | ".join(line) + " |" for line in escaped] + [""]
