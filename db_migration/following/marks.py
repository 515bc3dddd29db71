"""Our comments on databases and roles: what is seen again even if the control database is lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from psycopg import sql

from db_migration.agent.state import Log, Logs, Mark, Snapshot
from db_migration.catalog import NORMAL_OBJECTS, copied_so_far
from db_migration.config import PUBLICATION
from db_migration.postgres import Connection, rows, run, value

KEY = "airbyte_migration"
DATABASES = "databases"
OF_DATABASE = frozenset({"identity_was", "had", "granted", "defaults", "connect"})
"""What of a role's note is about one database; all else is about the role and the server."""

GRANTED_IN = """
SELECT DISTINCT d.dbid::text FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND r.rolname = %s AND d.deptype = 'a'
  AND d.classid IN ('pg_class'::regclass, 'pg_namespace'::regclass) AND d.objid::text = ANY(%s)
  AND d.objid >= %s
"""
"""What initdb made has the same OID in every database: `public` says nothing."""


@dataclass(frozen=True)
class WorkingMark:
    """Comment on a working database."""

    made_at: str
    source_lsn: str
    complete: bool


def decode(comment: str | None) -> dict[str, Any] | None:
    """Return what we wrote, None for anything else."""
    try:
        found = json.loads(comment or "")
    except ValueError:
        return None
    inner = found.get(KEY) if isinstance(found, dict) else None
    return inner if isinstance(inner, dict) else None


def mirror_mark(comment: str | None) -> Mark | None:
    """Read the mark of a complete copy."""
    found = decode(comment)
    if found is None or found.get("kind") != "mirror":
        return None
    taken = Snapshot(**found["snapshot"]) if found.get("snapshot") else None
    return Mark(
        lsn=found["lsn"],
        tables=found["tables"],
        types=found["types"],
        snapshot=taken,
        begun=found.get("begun", {}),
        keys=found.get("keys", {}),
        bodies=found.get("bodies", {}),
        listings=found.get("listings", {}),
        noted=tuple(logs(noted) for noted in found.get("noted", ())),
        followed=found.get("followed", False),
    )


def logs(noted: dict[str, Any] | None) -> Logs | None:
    """Read how far both logs were when that was noted."""
    return Logs(**{side: Log(**log) for side, log in noted.items()}) if noted else None


def working_mark(comment: str | None) -> WorkingMark | None:
    """Read the mark of a working database."""
    found = decode(comment)
    if found is None or found.get("kind") != "working":
        return None
    return WorkingMark(found["made_at"], found["source_lsn"], bool(found["complete"]))


def of_database(connection: Connection, database: str) -> str | None:
    """Return the comment on a database of this server; None if it has none or is not there."""
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    found: str | None = value(connection, query, (database,))
    return found


def of_databases(connection: Connection) -> dict[str, str | None]:
    """Return the name of every database of this server with its comment."""
    query = "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
    return dict(rows(connection, query))


def active_epoch(comment: str | None) -> int | None:
    """Read for which epoch a database was promoted; None if it was not."""
    found = decode(comment)
    if found is None or found.get("kind") != "active":
        return None
    return int(found["epoch"])


def is_strange(comment: str | None) -> bool:
    """Tell whether a comment is somebody else's; a database without any may be ours, unfinished."""
    return comment is not None and decode(comment) is None


def write_unfinished(connection: Connection, database: str) -> None:
    """Mark `database` as ours and not complete yet."""
    named = sql.SQL("DATABASE {}").format(sql.Identifier(database))
    _comment(connection, named, {"kind": "unfinished"})


def active_lacks(comment: str | None) -> list[str]:
    """Read what a database lacked of its source when it was promoted."""
    return list((decode(comment) or {}).get("lacks", []))


def write_active(
    connection: Connection, database: str, epoch: int, reason: str, lacks: Sequence[str] = ()
) -> None:
    """Mark `database` as promoted for an epoch."""
    body: dict[str, Any] = {"kind": "active", "epoch": epoch, "reason": reason}
    if lacks:
        body["lacks"] = list(lacks)
    _comment(connection, sql.SQL("DATABASE {}").format(sql.Identifier(database)), body)


def write_mirror(connection: Connection, database: str, mark: Mark) -> None:
    """Mark `database` as a complete copy."""
    body: dict[str, Any] = {"kind": "mirror", "lsn": mark.lsn, "types": mark.types}
    body["tables"] = dict(mark.tables)
    if mark.begun:
        body |= {"begun": dict(mark.begun), "keys": dict(mark.keys)}
    if mark.bodies:
        body["bodies"] = dict(mark.bodies)
    if mark.listings:
        body["listings"] = dict(mark.listings)
    if mark.noted:
        body["noted"] = [noted and asdict(noted) for noted in mark.noted]
    if mark.followed:
        body["followed"] = True
    if mark.snapshot is not None:
        body |= {"snapshot": asdict(mark.snapshot), "source": mark.snapshot.source}
    _comment(connection, sql.SQL("DATABASE {}").format(sql.Identifier(database)), body)


def forget_uncopied(connection: Connection, subscription: str) -> None:
    """Take new tables that the subscription has not copied to their end out of the `listings` of
    this database's mark: which they are nobody can tell without it.
    """
    database: str = value(connection, "SELECT current_database()")
    mark = mirror_mark(of_database(connection, database))
    if mark is None:
        return
    states = copied_so_far(connection, subscription)
    uncopied = {name for name in mark.begun if states.get(name) not in {"s", "r"}}
    listings = {name: seen for name, seen in mark.listings.items() if name not in uncopied}
    if listings != mark.listings:
        write_mirror(connection, database, replace(mark, listings=listings))


def write_working(connection: Connection, database: str, mark: WorkingMark) -> None:
    """Mark `database` as a working database."""
    body = {
        "kind": "working",
        "made_at": mark.made_at,
        "source_lsn": mark.source_lsn,
        "complete": mark.complete,
    }
    _comment(connection, sql.SQL("DATABASE {}").format(sql.Identifier(database)), body)


def write_publication(connection: Connection, body: dict[str, Any]) -> None:
    """Note on our publication what is known of the readers of each slot; nothing, no comment."""
    name = sql.SQL("PUBLICATION {}").format(sql.Identifier(PUBLICATION))
    _comment(connection, name, body or None)


def read_role(connection: Connection, role: str) -> dict[str, Any] | None:
    """Read what `prepare` noted on its role: what it found before it changed it.

    Of several databases of one server this connection's: an OID means another table in each.
    """
    noted = _whole_note(connection, role)
    if noted is None:
        return None
    mine = noted.pop(DATABASES, {}).get(_this_database(connection), {})
    return {**noted, **mine}


def write_role(connection: Connection, role: str, body: dict[str, Any]) -> None:
    """Note on the role what was there before; what is noted of other databases stays.

    So does what their feeds have noted of the server since `body` was read.
    """
    now = _whole_note(connection, role) or {}
    others = now.pop(DATABASES, {})
    mine = {key: found for key, found in body.items() if key in OF_DATABASE}
    common = {key: found for key, found in body.items() if key not in OF_DATABASE}
    parts = {**others, _this_database(connection): mine}
    parts = {database: part for database, part in parts.items() if part}
    more = {DATABASES: parts} if parts else {}
    _comment(connection, sql.SQL("ROLE {}").format(sql.Identifier(role)), {**now, **common, **more})


def elsewhere(connection: Connection, role: str) -> list[str]:
    """Name the other databases of this server of which something is noted on the role."""
    parts = (_whole_note(connection, role) or {}).get(DATABASES, {})
    query = """
    SELECT datname FROM pg_database
    WHERE oid::text = ANY(%s) AND datname <> current_database() ORDER BY 1
    """
    return [name for (name,) in rows(connection, query, (list(parts),))]


def _whole_note(connection: Connection, role: str) -> dict[str, Any] | None:
    query = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"
    noted = decode(value(connection, query, (role,)))
    return noted and _by_database(connection, role, noted)


def _by_database(connection: Connection, role: str, noted: dict[str, Any]) -> dict[str, Any]:
    """Return a note of an older version, which named no database, as one of each that it is about.

    Those are the ones in which the role has what was granted; else whoever writes first, from
    whichever database, would take for its own what another one needs to be put back.
    """
    old = {key: found for key, found in noted.items() if key in OF_DATABASE}
    if not old:
        return noted
    granted = [key.rpartition(" ")[2] for key in old.get("granted", [])]
    about = [name for (name,) in rows(connection, GRANTED_IN, (role, granted, NORMAL_OBJECTS))]
    parts = {
        **dict.fromkeys(about or [_this_database(connection)], old),
        **noted.get(DATABASES, {}),
    }
    return {**{key: noted[key] for key in noted.keys() - old}, DATABASES: parts}


def _this_database(connection: Connection) -> str:
    return str(
        value(connection, "SELECT oid::text FROM pg_database WHERE datname = current_database()")
    )


def _comment(connection: Connection, on: sql.Composed, body: dict[str, Any] | None) -> None:
    text = json.dumps({KEY: body}, sort_keys=True) if body is not None else None
    run(connection, sql.SQL("COMMENT ON {} IS {}").format(on, sql.Literal(text)))
