"""The state of every feed as it was saved, for people and for programs that wait for it.

Reads only, and imports little: it is asked again and again, each time by a new process.
"""

from __future__ import annotations

from typing import Any

import psycopg

from db_migration.config import Config, FeedConfig
from db_migration.context import Context
from db_migration.errors import MigrationError
from db_migration.following import slots
from db_migration.journal import Journal
from db_migration.rehearsal import history as rehearse_history
from db_migration.sides import epoch
from db_migration.snapshots import look as snapshot_look

GOALS = ("following", "verified", "working")
STALE_SECONDS = 60


def read(config: Config) -> dict[str, Any]:
    """Read the epoch, and the last state of every feed from the journal."""
    active = _active(config)
    feeds = []
    for feed in config.feeds:
        live = active is None or feed.source.name == active["database"]
        feeds.append({**_feed(config, feed), "live": live})
    return {
        "deployment": config.deployment,
        "epoch": active,
        "feeds": feeds,
        "rehearsals": rehearse_history.shortly(config),
    }


def _active(config: Config) -> dict[str, Any] | None:
    """Return the epoch; None where none are kept, or when no server answers."""
    if not config.servers:
        return None
    try:
        return epoch.current(config).as_dict()
    except MigrationError:
        return None


def _feed(config: Config, feed: FeedConfig) -> dict[str, Any]:
    try:
        journal = Journal(Context(config, feed).control, feed.name)
        said = last(journal, feed.name, config.poll_seconds)
        return {**said, **_on_source(Context(config, feed))} if said["silent"] else said
    except MigrationError as error:
        return {**unknown(feed.name, error), **_on_source(Context(config, feed))}


def _on_source(context: Context) -> dict[str, Any]:
    """Ask the source itself what it keeps, where nobody can be asked what the agent has seen.

    One that is silent as well is not the reason for that, and left out.
    """
    try:
        with context.owner.connect() as connection:
            slot = slots.look(connection, context.feed.slot)
    except (MigrationError, psycopg.Error):
        return {}
    found = slots.as_dict(context.feed, slot) if slot is not None else None
    return {"source_seen": True, "slot": found}


def last(journal: Journal, name: str, poll_seconds: float) -> dict[str, Any]:
    """Return the state that a feed's agent has saved last, as it counts by now.

    An agent that has been silent for too long is dead, unless it holds the feed's lock: then it is
    at a step, and one may take hours.
    """
    found = journal.state()
    if found is None:
        return unknown(name, None)
    state, age = snapshot_look.aged(*found), found[1]
    if age > STALE_SECONDS + poll_seconds and not journal.is_held():
        return silent(state, age)
    return {**state, "silent": False, "age_seconds": age}


def silent(state: dict[str, Any], age: float) -> dict[str, Any]:
    """Return the state of a feed whose agent is dead: what it said last holds no longer."""
    error = {
        "found": f"the agent has said nothing for {age:.0f} s",
        "needed": "an agent that runs and says how the feed is",
        "way_out": "start it on the target's host: `docker start db-migration`; "
        "`docker logs db-migration` says why it ended",
    }
    now = {"state": "broken", "silent": True, "lag": None, "age_seconds": age}
    now |= {"source_seen": False, "slot": None, "subscription": None}
    return {**state, **now, "next": "the agent has to run, see `error`", "error": error}


def unknown(name: str, error: MigrationError | None) -> dict[str, Any]:
    """Return the state of a feed of which nothing is known yet."""
    return {
        "name": name,
        "state": "broken" if error else "preparing",
        "mode": None,
        "mode_why": None,
        "snapshot": None,
        "verified": None,
        "lag": None,
        "schema": None,
        "source_seen": False,
        "slot": None,
        "subscription": None,
        "working_database": None,
        "sequences_ahead": False,
        "age_seconds": None,
        "silent": False,
        "next": "what the agent has said can not be read, see `error`"
        if error
        else "the agent has not reported yet: start it with `db-migration run`",
        "error": error.as_dict() if error else None,
    }


def reached(feeds: list[dict[str, Any]], goals: list[str]) -> list[str]:
    """Return what is still missing, as `feed: goal`.

    Of a feed that is not live nothing is asked; one whose agent is silent has reached nothing.
    """
    missing = []
    for feed in feeds:
        if not feed.get("live", True):
            continue
        verified = feed["verified"]
        holds = {
            "following": feed["state"] == "following",
            "verified": bool(verified and verified["equal"]),
            "working": feed["working_database"] is not None,
        }
        missing += [
            f"{feed['name']}: {goal}" for goal in goals if feed.get("silent") or not holds[goal]
        ]
    return missing
