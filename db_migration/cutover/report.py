"""What a cut-over took, from its journal, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console

from db_migration.cutover.plan import Step
from db_migration.verification.report import print_table

Event = tuple[datetime, str, str, str]
BEGIN = "begin"


def phases(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return each step's seconds, from its first start to its end, over all lives of one try."""
    started: dict[str, datetime] = {}
    found: list[dict[str, Any]] = []
    for at, step, phase, _ in last_try(events):
        if phase == "started":
            started.setdefault(step, at)
        elif phase == "done" and step in started:
            seconds = (at - started[step]).total_seconds()
            found = [known for known in found if known["name"] != step]
            found.append({"name": step, "seconds": round(seconds, 3)})
    return found


def downtime(events: Sequence[Event], until: Step) -> float | None:
    """Return the seconds from the last moment before the fence to the end of `until`."""
    tried = last_try(events)
    fenced = [at for at, step, phase, _ in tried if step == Step.FENCE and phase == "started"]
    ended = [at for at, step, phase, _ in tried if step == until and phase == "done"]
    return round((ended[-1] - fenced[0]).total_seconds(), 3) if fenced and ended else None


def last_try(events: Sequence[Event]) -> list[Event]:
    """Return what was written since the last cut-over was begun."""
    begun = [number for number, event in enumerate(events) if event[1] == BEGIN]
    return list(events[begun[-1] :]) if begun else list(events)


def show(found: dict[str, Any]) -> None:
    """Print what `cutover` found or did, for people."""
    out = Console(markup=False, highlight=False)
    if "gates" in found:
        lines = [
            ["ok" if gate["ok"] else "CLOSED", gate["name"], gate["found"], gate["way_out"]]
            for gate in found["gates"]
        ]
        print_table("gates of the cut-over", ["", "gate", "found", "way out"], lines)
    if found.get("phases"):
        lines = [[phase["name"], f"{phase['seconds']:.2f}"] for phase in found["phases"]]
        print_table("cut-over", ["phase", "seconds"], lines)
    out.print(found["summary"], soft_wrap=True)
