"""The state of the feeds and the audit trail, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import inf
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from db_migration.preflight.checklist import sized

SHOWN = frozenset(
    {
        *("name", "state", "mode", "mode_why", "verified", "lag", "lag_seen", "slot"),
        *("subscription", "working_database", "sequences_ahead", "next", "error", "live"),
        *("age_seconds", "silent", "source_seen", "snapshot", "schema"),
    }
)
"""Keys that have a place of their own; every other one is shown as it is."""
STATE_SHOWN = frozenset({"deployment", "epoch", "feeds", "rehearsals"})
STYLES = {"following": "green", "broken": "bold red", "waiting": "dim", "released": "dim"}


def of_state(state: dict[str, Any]) -> RenderableType:
    """Return a block for each feed: what it does, how far it is, what comes next."""
    parts: list[RenderableType] = [Text(f"{state['deployment']}{_epoch(state.get('epoch'))}")]
    for feed in state["feeds"]:
        mode = f" ({feed['mode']})" if feed.get("mode") else ""
        style = STYLES.get(feed["state"], "")
        parts.append(Text.assemble(feed["name"], ": ", (f"{feed['state']}{mode}", style)))
        grid = Table.grid(padding=(0, 2))
        for label, text in _lines(feed):
            grid.add_row(f"  {label}", Text(text))
        parts.append(grid)
    for one in state.get("rehearsals", ())[:1]:
        held = f"last rehearsal: {one['at']}, " + ("could take over" if one["ok"] else "FAILED")
        parts.append(Text(f"{held}, in {one['rto_seconds'] or 0:.1f} s"))
    parts += [Text(f"{label}: {text}") for label, text in _others(state, STATE_SHOWN)]
    return Group(*parts)


def _lines(feed: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "lag", _behind(feed)
    if feed.get("slot"):
        yield "slot keeps", _slot(feed["slot"])
    elif feed["state"] == "broken" and not feed.get("source_seen", True):
        yield "slot keeps", "not known: the source was not seen"
    # What the agent has said can not be read: it may have verified a minute ago.
    unread = feed["state"] == "broken" and feed.get("age_seconds", 0) is None
    nothing = "not known" if unread else "not yet"
    yield "verified", _verified(feed.get("verified"), nothing)
    working = feed.get("working_database")
    yield "working database", f"{working['age_seconds']:.0f} s old" if working else nothing
    yield "next", str(feed.get("next", ""))
    if error := feed.get("error"):
        yield "error", error["found"]
        yield "needed", error["needed"]
        yield "hint", error["way_out"]
    yield from _others(feed, SHOWN)


def _others(found: dict[str, Any], shown: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield what has no place of its own: by its own `text`, or as it is."""
    for key, value in found.items():
        if key not in shown and value not in (None, {}, []):
            said = value.get("text") if isinstance(value, dict) else value
            text = said if isinstance(said, str) else json.dumps(value, default=str)
            yield key.replace("_", " "), text


def _epoch(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    who = f"database {found['database']}, Airbyte {found['airbyte']}"
    return f": epoch {found['epoch']} ({found['reason']}), {who}"


def _behind(feed: dict[str, Any]) -> str:
    copy, lag = feed.get("snapshot"), feed.get("lag")
    if copy and copy.get("age_seconds") is not None:
        return f"copy is {copy['age_seconds']:.0f} s old"
    if lag and lag["bytes"] is None:
        return f"{lag['seconds']:.0f} s, not measured since {lag['measured_at']}"
    return f"{lag['bytes']:.0f} B, {lag['seconds']:.3f} s" if lag else "-"


def _slot(slot: dict[str, Any]) -> str:
    kept = f"{sized(slot['retained_bytes'])} of {sized(slot['limit_bytes'])}"
    return "LOST" if slot["lost"] else kept


def _verified(found: dict[str, Any] | None, nothing: str) -> str:
    if not found:
        return nothing
    how = "equal" if found["equal"] else "DIFFERS"
    return f"{how}: {found['tables']} tables, {found['rows']} rows, {found['at']}"


def line_of(feed: dict[str, Any]) -> str:
    """Return the state in one line, for somebody who waits: how far a copy is, or what is next."""
    doing = (feed.get("progress") or {}).get("text") or feed["next"]
    error = f" ({feed['error']['found']})" if feed["error"] else ""
    return f"{feed['name']}: {feed['state']}, {doing}{error}"


class News:
    """What is new of each feed, for somebody who waits: no more often than every few seconds."""

    def __init__(self, every: float) -> None:
        """Say how many seconds are to lie between two lines of one feed."""
        self._every = every
        self._told: dict[str, tuple[float, str]] = {}

    def of(self, feeds: list[dict[str, Any]], now: float) -> list[str]:
        """Return the lines that have changed since they were told; the clock is the caller's."""
        lines = []
        for feed in feeds:
            line = line_of(feed)
            at, before = self._told.get(feed["name"], (-inf, ""))
            if line != before and now - at >= self._every:
                self._told[feed["name"]] = (now, line)
                lines.append(line)
        return lines


def print_history(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print who did what when, the newest last, each with what had been seen before."""
    out = Console(markup=False, highlight=False, soft_wrap=True)
    for feed, events in found.items():
        for event in reversed(events):
            at = event["at"].isoformat(timespec="seconds")
            out.print(f"{at} {feed}: {event['step']} {event['phase']} ({event['who'] or 'nobody'})")
            if event["detail"]:
                out.print(f"  because {event['detail']}" if _decided(event) else _indented(event))
            if event["evidence"]:
                out.print(f"  seen: {json.dumps(event['evidence'], default=str)}")


def _decided(event: dict[str, Any]) -> bool:
    return bool(event["phase"] == "started")


def _indented(event: dict[str, Any]) -> str:
    return f"  {event['detail']}"
