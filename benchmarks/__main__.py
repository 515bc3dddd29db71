"""`python -m benchmarks`: generate, run all methods in turn, write the report."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import structlog
import typer

from benchmarks import asked, dataset, following, methods, ours_setup, report, slowdown
from benchmarks.methods import METHODS, World
from benchmarks.report import Results
from benchmarks.servers import DISK, IN_MEMORY, on_cores, server
from benchmarks.statistics import interleaved

RESULTS = Path(__file__).parent / "results"
RATES = (50, 300, 1000)
WRITES = 300
"""A second, while prod's statements are timed."""
TOUCHED = 3
"""Times the database's size: what a copy, its indexes and its log take of the memory."""
PAIRS = 15
"""Of writes with the feed and without: one pair alone may say anything."""

app = typer.Typer(add_completion=False, help=__doc__)
log = structlog.get_logger()


@app.command()
def main(  # noqa: PLR0913 - each is an option
    sizes: Annotated[
        str, typer.Option(help="gigabytes (8: an hour), with commas; may be empty")
    ] = "0.1,0.5",
    runs: Annotated[int, typer.Option(min=1, help="of every method, interleaved")] = 3,
    only: Annotated[list[str] | None, typer.Option(help="this method (repeatable)")] = None,
    shapes: Annotated[str, typer.Option(help="many, one, or both")] = ",".join(dataset.SHAPES),
    seconds: Annotated[float, typer.Option(help="of writing at each rate; 0: no following")] = 20,
    out: Annotated[Path, typer.Option(help="folder of the report")] = RESULTS,
    keep: Annotated[bool, typer.Option("--keep", help="add to what the folder holds")] = False,
) -> None:
    """Measure; the report's plots and numbers are written beside it."""
    # A plain SIGTERM would leave two servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # All of it before anything is measured: the first thing saved replaces the committed results.
    gigabytes = asked.sizes(sizes)
    kinds = asked.some_of("--shapes", shapes.split(","), dataset.SHAPES)
    wanted = asked.some_of("--only", only or list(METHODS), METHODS)
    asked.programs(wanted if gigabytes else [])
    seconds = asked.seconds(seconds)
    results = asked.kept(out) if keep else None
    asked.folder(out)
    results = results or Results(machine(), runs, versions())
    if seconds:
        follow(results, seconds)
        save(results, out)
    for size in gigabytes:
        for shape in kinds:
            measure(results, size, shape, wanted, out)
            save(results, out)
    typer.echo(str(out / "report.md"))


@contextmanager
def world(size: float, shape: str, results: Results, *, apart: bool = False) -> Iterator[World]:
    """Make both servers and the database, with our roles and publication.

    `apart`: like two hosts, each server has a core and a disk for itself (the target's is memory).
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        with on_cores({slowdown.PROD_CORE}) if apart else nullcontext():
            source = stack.enter_context(server(13, "docker"))
        with on_cores({slowdown.COPY_CORE}) if apart else nullcontext():
            target = stack.enter_context(server(17, "postgres", IN_MEMORY if apart else DISK))
        log.info("generating", gigabytes=size, shape=shape)
        results.bytes[f"{size:g} {shape}"] = dataset.generate(source, "airbyte", size, shape)
        config = ours_setup.set_up(folder, source, target, "airbyte")
        yield World(source, target, "airbyte", folder, config)


def measure(results: Results, size: float, shape: str, wanted: list[str], out: Path) -> None:
    """Time every method on one dataset, then verify alone."""
    name = f"{size:g} {shape}"
    with world(size, shape, results) as found:
        touch_memory(found.folder, TOUCHED * results.bytes[name])
        times = results.copies.setdefault(name, {method: [] for method in wanted})
        for method in interleaved(wanted, results.runs):
            found.target.run("CHECKPOINT")  # nobody pays for what the one before has left
            before = cpu_seconds(found)
            run = METHODS[method](found)
            times[method].append(run.seconds)
            spent = results.cpu.setdefault(name, {}).setdefault(method, [])
            spent.append([now - then for now, then in zip(cpu_seconds(found), before, strict=True)])
            held = max(results.memory_kib.get(name, 0), run.memory_kib)
            results.memory_kib[name] = held
            save(results, out)  # what ends early has measured something all the same
            log.info("measured", dataset=name, method=method, seconds=round(run.seconds, 2))
        if shape == "many":
            results.verify[name] = verify_alone(found, results.runs)


def touch_memory(folder: Path, size: int) -> None:
    """Use memory once before anything is timed: a virtual machine gets it from its host only then.

    Whichever method was first paid for it: 8 of 57 CPU seconds of a seed of 1.6 GB.
    """
    touched, block = folder / "touched", bytes(2**20)
    with touched.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
    touched.unlink()


def cpu_seconds(found: World) -> list[float]:
    """Return what sessions on source and target and all clients have spent; it hardly knows other
    load.
    """
    clients = os.times()
    spent = clients.children_user + clients.children_system
    return [found.source.cpu_seconds(), found.target.cpu_seconds(), spent]


def verify_alone(found: World, runs: int) -> list[float]:
    """Time verifications of a mirror that follows and is equal."""
    following.follow(found.config)
    took = []
    for _ in range(runs):
        began = time.monotonic()
        methods.our(found.config, "verify")
        took.append(time.monotonic() - began)
        log.info("verified", seconds=round(took[-1], 2))
    return took


def follow(results: Results, seconds: float) -> None:
    """Measure lag at each rate, and what the feed costs the writer."""
    with world(0.1, "many", results) as found:
        following.follow(found.config)
        results.lags.clear()
        for rate in RATES:
            lag = following.lag_at(found, rate, seconds)
            results.lags.append(asdict(lag))
            log.info("lag", **asdict(lag))
        results.slowdown = slowdown.slowdown(found, WRITES, PAIRS)
    if os.sched_getaffinity(0) >= {slowdown.PROD_CORE, slowdown.COPY_CORE}:
        with world(0.1, "many", results, apart=True) as found:
            following.follow(found.config)
            with on_cores({slowdown.PROD_CORE}):
                results.slowdown_apart = slowdown.slowdown(found, WRITES, PAIRS)


def machine() -> dict[str, str]:
    """Say what this was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    told = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    model = next((line.split(":")[1].strip() for line in told if line.startswith("model name")), "")
    return {
        "processor": f"{os.cpu_count()} cores, {model or platform.machine()}",
        "memory": f"{memory:.0f} GiB",
        "system": platform.platform(),
        "measured at": datetime.now(UTC).isoformat(timespec="minutes"),
        "load before": f"{os.getloadavg()[0]:.1f} (1 minute)",
    }


def versions() -> dict[str, str]:
    """Say which programs were compared."""
    found = {
        "pg_dump, pg_restore": _first_line([methods.client("pg_dump"), "--version"]),
        "psql": _first_line(["psql", "--version"]),
    }
    if shutil.which("pgcopydb"):
        found["pgcopydb"] = _first_line(["pgcopydb", "--version"])
    return found


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def save(results: Results, out: Path) -> None:
    """Write numbers, plots and the report."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results.to_dict(), indent=1) + "\n")
    for name, drawing in report.drawings(results).items():
        (out / name).write_text(drawing)
    (out / "report.md").write_text(report.markdown(results))


if __name__ == "__main__":
    app()
