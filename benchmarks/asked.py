"""What was asked for on the command line, checked before anything is measured or written."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import typer

from benchmarks.report import Results


def sizes(text: str) -> list[float]:
    """Read gigabytes with commas between them; none is allowed."""
    try:
        found = [float(size) for size in text.split(",") if size]
    except ValueError:
        found = [math.nan]
    if not all(math.isfinite(size) and size > 0 for size in found):
        msg = f"--sizes must be gigabytes over 0 with commas between them, got `{text}`"
        raise typer.BadParameter(msg)
    return found


def some_of(option: str, named: Sequence[str], there_are: Collection[str]) -> list[str]:
    """Return the choices that were named, in their own order."""
    if unknown := sorted(set(named) - set(there_are)):
        choices = ", ".join(f"`{name}`" for name in there_are)
        msg = f"{option} must name some of {choices}, got `{'`, `'.join(unknown)}`"
        raise typer.BadParameter(msg)
    return [name for name in there_are if name in named]


def programs(wanted: Collection[str]) -> None:
    """Refuse to begin without a program that will be compared with, or that fills a copy."""
    needed = {"psql", "pgcopydb"} & {"psql", *wanted}
    if missing := sorted(name for name in needed if shutil.which(name) is None):
        msg = f"`{'`, `'.join(missing)}` must be installed (as root on Debian `make benchmarks` "
        msg += "does that)"
        if "psql" not in missing:
            msg += ", or methods be named that need nothing of it: --only"
        raise typer.BadParameter(msg)


def seconds(number: float) -> float:
    """Refuse what is no time to write for."""
    if not math.isfinite(number) or number < 0:
        msg = f"--seconds must be 0 or more, got {number}"
        raise typer.BadParameter(msg)
    return number


def kept(out: Path) -> Results:
    """Read what an earlier run has measured."""
    path = out / "results.json"
    try:
        return Results(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        msg = f"--keep needs the results of an earlier run in `{path}`: {error}"
        raise typer.BadParameter(msg) from None


def folder(out: Path) -> None:
    """Make the report's folder, or refuse one that can not be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"--out must be a folder, `{out}`: {error.strerror}"
        raise typer.BadParameter(msg) from None
    if not os.access(out, os.W_OK):
        msg = f"--out must be a folder that may be written, got `{out}`"
        raise typer.BadParameter(msg)
