"""What a person would see of a feed during an outage, and prod writing meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from tests.support.scenario import Scenario
from tests.support.tunnel import Tunnel

MIRROR = "SELECT oid FROM pg_database WHERE datname = 'airbyte_mirror'"


def through(scenario: Scenario, tunnel: Tunnel) -> None:
    scenario.settings["feeds.0.source.port"] = tunnel.port
    scenario.settings["feeds.0.source.address_for_subscriber.port"] = tunnel.port


def write(scenario: Scenario, rows: int = 1) -> None:
    query = "INSERT INTO jobs (scope, status) SELECT repeat('x', 1000), 'pending' "
    scenario.source.sql(f"{query} FROM generate_series(1, {rows})", database="airbyte")


def says(scenario: Scenario, *words: str) -> Callable[[], bool]:
    """Return whether the state is broken, and its error holds these words and a way out."""

    def said() -> bool:
        state = known(scenario)
        error: dict[str, Any] = state["error"] or {}
        text = " ".join(error.values())
        return state["state"] == "broken" and all(word in text for word in words)

    return said


def known(scenario: Scenario) -> dict[str, Any]:
    """Return the feed's state; a full disk may end the target, which tells nothing meanwhile."""
    with suppress(psycopg.OperationalError):
        return scenario.state()
    return {"state": None, "error": None}


def well(scenario: Scenario) -> bool:
    state = known(scenario)
    return state["state"] == "following" and state["error"] is None
