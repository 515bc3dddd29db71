"""What is looked at on a rehearsal's clone: nothing may have been lost on the way (facts 4, 6)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from db_migration.postgres import Connection, Query, rows, value

VERSION = "SELECT value FROM public.airbyte_metadata WHERE key = 'airbyte_version'"
ACTORS = "SELECT id::text FROM public.actor WHERE tombstone IS NOT TRUE"
CONNECTIONS = (
    "SELECT id::text, status::text FROM public.connection WHERE status::text <> 'deprecated'"
)
COORDINATES = """
SELECT DISTINCT found[1] FROM public.actor, regexp_matches(
    configuration::text, '"_secret" *: *"([^"]+)"', 'g') found WHERE tombstone IS NOT TRUE
"""
"""A connector's configuration names its secrets; the payloads are in `secrets` (facts 4.3)."""

SECRETS = "SELECT coordinate FROM public.secrets WHERE payload <> ''"
WITHOUT_PLANE = """
SELECT w.id::text FROM public.workspace w WHERE NOT EXISTS (SELECT FROM public.dataplane d
    WHERE d.dataplane_group_id = w.dataplane_group_id AND d.enabled AND NOT d.tombstone)
"""
"""Syncs of such a workspace are queued for ever: facts 6, the data-plane group trap."""

NAMED = 3


@dataclass(frozen=True)
class Facts:
    """What a database of Airbyte holds."""

    version: str
    actors: frozenset[str]
    connections: dict[str, str]
    coordinates: frozenset[str]
    secrets: frozenset[str]
    without_plane: frozenset[str] = frozenset()
    """Workspaces whose data-plane group has no data plane."""


@dataclass(frozen=True)
class Airbyte:
    """What the rehearsed Airbyte says."""

    healthy: bool
    version: str
    connections: frozenset[str]
    runs_workers: bool = False


@dataclass(frozen=True)
class Check:
    """One question, and what was found."""

    name: str
    ok: bool
    found: str
    needed: str

    def as_dict(self) -> dict[str, Any]:
        """Return the check for `--json`."""
        return asdict(self)


def read(connection: Connection) -> Facts:
    """Read a database; a table that this version of Airbyte does not have holds nothing."""
    return Facts(
        version=_one(connection, "airbyte_metadata", VERSION),
        actors=_set(connection, "actor", ACTORS),
        connections=dict(_rows(connection, "connection", CONNECTIONS)),
        coordinates=_set(connection, "actor", COORDINATES),
        secrets=_set(connection, "secrets", SECRETS),
        without_plane=_set(connection, "dataplane", WITHOUT_PLANE),
    )


def judge(before: Facts, after: Facts, airbyte: Airbyte) -> list[Check]:
    """Compare the clone as it was made with what the Airbyte on it has made of it. Pure."""
    active = [one for one, status in after.connections.items() if status == "active"]
    return [
        Check("healthy", airbyte.healthy, "yes" if airbyte.healthy else "no", "a healthy API"),
        _version(before, after, airbyte),
        _same("actors", before.actors, after.actors),
        _complete("secrets readable", after.coordinates, after.secrets),
        _same("connections", before.connections, after.connections),
        _same("connections in the API", after.connections, airbyte.connections),
        _none("connections inactive", active, "no active connection on a copy"),
        _none("data-plane group", after.without_plane, "a data plane for every workspace"),
        Check(
            "nothing syncs",
            not airbyte.runs_workers,
            "workers run" if airbyte.runs_workers else "worker, launcher and cron are at 0",
            "worker, launcher and cron at 0",
        ),
    ]


def _version(before: Facts, after: Facts, airbyte: Airbyte) -> Check:
    found = f"{before.version or 'none'} -> {after.version or 'none'}, API {airbyte.version}"
    ok = airbyte.version == after.version and _numbers(after.version) >= _numbers(before.version)
    return Check("version", ok, found, "the application's version in its database, no downgrade")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _same(name: str, before: Collection[str], after: Collection[str]) -> Check:
    missing, more = set(before) - set(after), set(after) - set(before)
    found = f"{len(after)}" + _listed("; missing", missing) + _listed("; more", more)
    return Check(name, not missing and not more, found, f"the {len(before)} that prod has")


def _complete(name: str, wanted: frozenset[str], there: frozenset[str]) -> Check:
    missing = wanted - there
    found = f"{len(wanted) - len(missing)} of {len(wanted)}" + _listed("; missing", missing)
    return Check(name, not missing, found, "each secret that a connector's configuration names")


def _none(name: str, wrong: Collection[str], needed: str) -> Check:
    return Check(name, not wrong, _listed("wrong:", wrong) or "yes", needed)


def _listed(what: str, names: Collection[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{what} {', '.join(sorted(names)[:NAMED])}{more}"


def _one(connection: Connection, table: str, query: Query) -> str:
    found = _rows(connection, table, query)
    return str(found[0][0]) if found else ""


def _set(connection: Connection, table: str, query: Query) -> frozenset[str]:
    return frozenset(name for (name,) in _rows(connection, table, query))


def _rows(connection: Connection, table: str, query: Query) -> list[tuple[Any, ...]]:
    there = value(connection, "SELECT to_regclass(%s) IS NOT NULL", (f"public.{table}",))
    return rows(connection, query) if there else []
