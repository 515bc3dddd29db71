"""What a stage tells people: where things are, how the feed is, what to do next. No secret."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

LIVE_STATUS = "docker exec db-migration db-migration status"
NEXT_V0 = "stagectl promote v0 v1, then: pulumi up --stack v1"


@dataclass(frozen=True, kw_only=True)
class StageOutputs:
    """The outputs of a stack."""

    stage: str
    deployment: str
    airbyte: Mapping[str, pulumi.Input[str]]
    """Name -> where it is and what it does."""
    databases: Mapping[str, pulumi.Input[str]]
    next: pulumi.Input[str]
    feed: pulumi.Input[Mapping[str, Any]] | None = field(default=None)

    def exports(self) -> dict[str, pulumi.Input[Any]]:
        """Return what `pulumi stack output` shows."""
        shown: dict[str, pulumi.Input[Any]] = {
            "stage": self.stage,
            "deployment": self.deployment,
            "airbyte": dict(self.airbyte),
            "databases": dict(self.databases),
            "next": self.next,
        }
        if self.feed is not None:
            shown["feed"] = self.feed
        return shown


def feed_of(status: str, *, refresh_hours: float, where: str) -> dict[str, Any]:
    """Return the feed's state as it was when `pulumi up` last waited for it."""
    try:
        feeds = json.loads(status)["feeds"]
        feed = feeds[0]
    except (ValueError, KeyError, IndexError, TypeError):
        return {"state": "unknown", "now": f"on {where}: {LIVE_STATUS}"}
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
        "now": f"on {where}: {LIVE_STATUS}",
    }


def next_of(status: str) -> str:
    """Return what the DB Migration Script asks people to do."""
    try:
        return str(json.loads(status)["feeds"][0]["next"])
    except (ValueError, KeyError, IndexError, TypeError):
        return f"look at the feed: {LIVE_STATUS}"
