"""Versions: how they compare, what a database of each looks like, where an upgrade must stop."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Databases older than one of these must first be upgraded to it, whatever the target is.
REQUIRED_STOPS = ("0.32.0-alpha", "0.37.0-alpha")


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers, without its suffix: `1.8.5-rc1` -> (1, 8, 5)."""
    found = re.findall(r"\d+", version.partition("-")[0])
    return tuple(int(part) for part in found) or (0,)


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One row of a Flyway history, and the statements behind it."""

    history: str
    version: str
    description: str
    since: str
    files: tuple[str, ...] = ()


CONFIGS = "airbyte_configs_migrations"
JOBS = "airbyte_jobs_migrations"

# 0.63.15's last versions are the real ones; of those between, the lab keeps a few.
MIGRATIONS = (
    Migration(
        history=CONFIGS,
        version="0.30.22.001",
        description="Store last sync state",
        since="0",
        files=("configs_0_63_15.sql",),
    ),
    Migration(history=CONFIGS, version="0.35.59.002", description="Add workspace grant", since="0"),
    Migration(history=CONFIGS, version="0.39.1.001", description="Create stream reset", since="0"),
    Migration(history=CONFIGS, version="0.50.19.001", description="Create default org", since="0"),
    Migration(history=CONFIGS, version="0.57.4.013", description="Last of 0.63.15", since="0"),
    Migration(
        history=JOBS,
        version="0.29.15.001",
        description="Add temporal workflow id",
        since="0",
        files=("jobs_0_63_15.sql",),
    ),
    Migration(history=JOBS, version="0.40.28.001", description="Add stream stats", since="0"),
    Migration(history=JOBS, version="0.57.2.005", description="Last of 0.63.15", since="0"),
    Migration(
        history=CONFIGS, version="0.57.4.014", description="Last of 0.63.19", since="0.63.19"
    ),
    Migration(
        history=CONFIGS,
        version="1.6.0.024",
        description="Last of 1.8",
        since="1.8",
        files=("to_1_8_5.sql",),
    ),
    Migration(
        history=CONFIGS,
        version="2.1.0.004",
        description="Last of 2.0",
        since="2.0",
        files=("to_2_0.sql",),
    ),
    Migration(
        history=CONFIGS,
        version="2.1.0.038",
        description="Last of 2.2",
        since="2.2",
        files=("to_2_2.sql",),
    ),
)


def migrations_of(app_version: str) -> list[Migration]:
    """Return what an application of this version carries, in order."""
    return [m for m in MIGRATIONS if numbers(m.since) <= numbers(app_version)]


def blocked_by(database_version: str | None, app_version: str) -> str | None:
    """Return the version this database must be upgraded to first, if any.

    There is no protection against a database newer than the application.
    """
    if database_version is None:
        return None
    for stop in REQUIRED_STOPS:
        if numbers(database_version) < numbers(stop) < numbers(app_version):
            return stop
    return None
