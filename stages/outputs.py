"""What a stage tells people: where things are, how the feeds are, what to do next. No secret."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

LIVE_STATUS = "docker exec db-migration db-migration status"
NEXT_V0 = "stagectl promote v0 v1, then: pulumi up --stack v1"
UNKNOWN = "unknown"
WAITING = "waiting"

NEXT_HOLD = "pulumi config set airbyte-migration:cutover go --stack v2, then: pulumi up --stack v2"

Shown = pulumi.Input[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StageOutputs:
    """The outputs of a stack."""

    stage: str
    deployment: str
    airbyte: Mapping[str, pulumi.Input[str]]
    """Name -> where it is and what it does."""
    databases: Mapping[str, pulumi.Input[str]]
    next: pulumi.Input[str]
    feed: Shown | None = field(default=None)
    feeds: Shown | None = field(default=None)
    active: Shown | None = field(default=None)
    """Which Airbyte works on which database."""

    def exports(self) -> dict[str, pulumi.Input[Any]]:
        """Return what `pulumi stack output` shows."""
        shown: dict[str, pulumi.Input[Any]] = {
            "stage": self.stage,
            "deployment": self.deployment,
            "airbyte": dict(self.airbyte),
            "databases": dict(self.databases),
            "next": self.next,
        }
        told = {"feed": self.feed, "feeds": self.feeds, "active": self.active}
        return shown | {key: value for key, value in told.items() if value is not None}


def live(where: str) -> str:
    """Return how to ask the script for what is true now."""
    return f"on {where}: {LIVE_STATUS}"


def feed_of(status: str, *, refresh_hours: float, where: str) -> dict[str, Any]:
    """Return the feed's state as it was when `pulumi up` last waited for it."""
    feeds = _feeds(status)
    if not feeds:
        return {"state": UNKNOWN, "now": live(where)}
    feed = feeds[0]
    working = feed.get("working_database") or {}
    verified = feed.get("verified") or {}
    return {
        "name": feed.get("name"),
        "state": feed.get("state"),
        "mode": feed.get("mode"),
        "verified": verified.get("at"),
        "rows": verified.get("rows"),
        "equal": verified.get("equal"),
        "workingDatabase": {
            "name": working.get("name"),
            "madeAt": working.get("made_at"),
            "refreshedEveryHours": refresh_hours,
        },
        "now": live(where),
    }


def feeds_of(status: str, sources: Mapping[str, str], states: Mapping[str, str]) -> dict[str, str]:
    """Return the state of each feed in `sources`: one whose source is not active waits.

    `states` are those that other hosts told before `status`, which says what is active, was taken.
    """
    active = _epoch(status)["database"]
    known = {**states, **{feed["name"]: feed.get("state") for feed in _feeds(status)}}
    return {
        name: str(known.get(name, UNKNOWN)) if active in (source, UNKNOWN) else WAITING
        for name, source in sources.items()
    }


def states_of(status: str) -> dict[str, str]:
    """Return the state of each feed as a script told it."""
    return {str(feed.get("name")): str(feed.get("state")) for feed in _feeds(status)}


def active_of(status: str, *, where: str) -> dict[str, Any]:
    """Return which Airbyte works on which database, as of the last `pulumi up` that asked."""
    return {**_epoch(status), "now": live(where)}


def role_of(status: str, name: str, url: str) -> str:
    """Return where an Airbyte is and whether it is the one that works."""
    airbyte = _epoch(status)["airbyte"]
    if airbyte == UNKNOWN:
        return url
    return f"{url} ({'active: syncs' if airbyte == name else 'not active'})"


def next_of(status: str) -> str:
    """Return what the DB Migration Script asks people to do about the feed that is live."""
    feeds = [feed for feed in _feeds(status) if feed.get("live", True)]
    return str(feeds[0]["next"]) if feeds and "next" in feeds[0] else f"look: {LIVE_STATUS}"


def next_of_move(status: str, *, hold: bool, compose: str) -> str:
    """Return what to do next in v2: move prod, if it is still the `compose` one and may."""
    return NEXT_HOLD if hold and _epoch(status)["airbyte"] == compose else next_of(status)


def _feeds(status: str) -> list[dict[str, Any]]:
    feeds = _document(status).get("feeds")
    return [feed for feed in feeds if isinstance(feed, dict)] if isinstance(feeds, list) else []


def _epoch(status: str) -> dict[str, Any]:
    epoch = _document(status).get("epoch")
    found = epoch if isinstance(epoch, dict) else {}
    return {key: found.get(key, UNKNOWN) for key in ("epoch", "database", "airbyte", "reason")}


def _document(status: str) -> dict[str, Any]:
    try:
        document = json.loads(status)
    except (ValueError, TypeError):
        return {}
    return document if isinstance(document, dict) else {}
