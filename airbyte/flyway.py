"""Which schema a version of Airbyte has: the newest migrations of its two Flyway histories.

Numbers of migrations are not numbers of applications; facts 6 has where each was read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CONFIGS_HISTORY = "airbyte_configs_migrations"
JOBS_HISTORY = "airbyte_jobs_migrations"

NEWEST_CONFIGS: dict[str, str] = {
    "0.63.15": "0.57.4.013",
    "0.63.19": "0.57.4.014",
    "1.0.0": "0.58.00.001",
    "1.8.0": "1.6.0.024",
    "2.0.0": "2.1.0.004",
    "2.2.0": "2.1.0.038",
}
"""Application -> newest migration of the configuration tables; those between lie between."""

MAIN_TABLES = (
    *("workspace", "organization", "user", "permission", "actor", "actor_definition"),
    *("actor_definition_version", "connection", "state", "jobs", "attempts", "airbyte_metadata"),
)
"""Tables that every Airbyte from 0.63 on has: facts 4.1."""


@dataclass(frozen=True)
class Span:
    """What the newest migration of an application may be; `None` is no limit known."""

    lowest: str | None
    highest: str | None

    def __str__(self) -> str:
        """Say it for people."""
        if self.lowest is not None and self.lowest == self.highest:
            return self.lowest
        return f"{self.lowest or 'any'} to {self.highest or 'any'}"

    def holds(self, migration: str) -> bool:
        """Tell whether `migration` is one that this application can have ended with."""
        found = numbers(migration)
        return (self.lowest is None or numbers(self.lowest) <= found) and (
            self.highest is None or found <= numbers(self.highest)
        )


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers, to be compared: `0.57.4.013` -> (0, 57, 4, 13)."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


def span(application: str) -> Span:
    """Return between which migrations the schema of `application` ends."""
    known = sorted(NEWEST_CONFIGS, key=numbers)
    before = [version for version in known if numbers(version) <= numbers(application)]
    after = [version for version in known if numbers(version) >= numbers(application)]
    return Span(
        lowest=NEWEST_CONFIGS[before[-1]] if before else None,
        highest=NEWEST_CONFIGS[after[0]] if after else None,
    )
