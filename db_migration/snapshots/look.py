"""What is to be said of copies in snapshot mode: age, next one, cost; changes nothing."""

from __future__ import annotations

import json
from typing import Any

from db_migration.agent import state
from db_migration.config import FeedConfig
from db_migration.postgres import Connection
from db_migration.snapshots import plan as snapshot_plan

STEP = "snapshot"
COST = "cost"
"""Step and phase of the lines in the journal that say what each copy has cost."""
RUNS_SHOWN = 20
RUNS = """
SELECT detail FROM migration.event WHERE feed = %s AND step = %s AND phase = %s
ORDER BY id DESC LIMIT %s
"""
AGE = "SELECT extract(epoch FROM now() - %(at)s::timestamptz)::float8"
AT = "SELECT date_trunc('second', now() + make_interval(secs => %(left)s))::text"


def look(feed: FeedConfig, connection: Connection, mirror: state.Database) -> dict[str, Any]:
    """Return what `status` shows of the copies; `connection` is the control database's."""
    runs = history(connection, feed.name)
    mark = snapshot_plan.taken(mirror)
    shown = mark.snapshot if mark is not None else None
    age = _ask(connection, AGE, at=shown.taken_at) if shown is not None else None
    left = snapshot_plan.seconds_left(
        feed.snapshot_interval_seconds, age, runs[0]["seconds"] if runs else 0.0
    )
    return {
        "taken_at": shown.taken_at if shown is not None else None,
        "age_seconds": age,
        "source_lsn": mark.lsn if mark is not None else None,
        "interval_seconds": feed.snapshot_interval_seconds,
        "next_at": _ask(connection, AT, left=left),
        "next_in_seconds": left,
        "longest_held_seconds": max((run["held_seconds"] for run in runs), default=None),
        "runs": runs,
    }


def in_words(found: dict[str, Any]) -> str:
    """Say how old the mirror is, which is what would be lost, and when the next copy comes."""
    if found["taken_at"] is None:
        return "no copy yet"
    age = f"the mirror shows the source as of {found['taken_at']}, {found['age_seconds']:.0f} s ago"
    return f"{age}; next copy at {found['next_at']}"


def aged(state: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return a state that was kept so many seconds ago as it is by now."""
    copies = {key: found for key in ("snapshot", "working_database") if (found := state.get(key))}
    older = {
        key: {**found, "age_seconds": round(found["age_seconds"] + seconds, 1)}
        for key, found in copies.items()
        if found.get("age_seconds") is not None
    }
    return {**state, **older}


def _ask(connection: Connection, query: str, **args: object) -> Any:  # noqa: ANN401
    """Ask the target's clock: the one that every mark was made by."""
    found = connection.execute(query.encode(), args).fetchone()
    return found[0] if found else None


def history(connection: Connection, feed: str) -> list[dict[str, Any]]:
    """Return what the last copies have cost the source, the newest first."""
    found = connection.execute(RUNS, (feed, STEP, COST, RUNS_SHOWN)).fetchall()
    return [json.loads(detail) for (detail,) in found]
