"""The feed's right to read the source: given where it lacks, and only that taken back.

A role that was there before us keeps what it owns and every right that it had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import sql

from db_migration import catalog
from db_migration.postgres import Connection, rows, run, value

OBJECTS = """
SELECT o.kind, o.oid, o.name, pg_get_userbyid(o.owner), EXISTS (
    SELECT FROM aclexplode(o.acl) a WHERE a.grantee = r.oid AND a.privilege_type = o.needed)
FROM (
    SELECT 'SCHEMA' AS kind, n.oid, ARRAY[n.nspname]::text[] AS name, n.nspowner AS owner,
           n.nspacl AS acl, 'USAGE' AS needed
    FROM pg_namespace n WHERE {user}
    UNION ALL
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid,
           ARRAY[n.nspname, c.relname]::text[], c.relowner, c.relacl, 'SELECT'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {user}
) o JOIN pg_roles r ON r.rolname = %s WHERE o.owner <> r.oid ORDER BY 1, 2
"""
DEFAULTS = """
SELECT true FROM pg_default_acl d JOIN pg_roles r ON r.oid = d.defaclrole,
    aclexplode(d.defaclacl) a
WHERE r.rolname = current_user AND d.defaclnamespace = 0 AND d.defaclobjtype = %s
  AND a.grantee = %s::regrole AND a.privilege_type = 'SELECT'
"""
RIGHTS = {"SCHEMA": "USAGE", "TABLE": "SELECT", "SEQUENCE": "SELECT"}
KINDS = {"TABLES": "r", "SEQUENCES": "S"}


@dataclass(frozen=True)
class Object:
    """A schema, table, view or sequence that the feed's role does not own."""

    kind: str
    oid: int
    name: list[str]
    owner: str
    granted: bool
    """Whether the right to read it was given to the role by its name."""

    @property
    def key(self) -> str:
        """What it is called in the note, under any later name, too."""
        return f"{self.kind} {self.oid}"


def give(connection: Connection, role: str, noted: dict[str, Any]) -> None:
    """Let the role enter, read what is there and what its owner will make; add it to `noted`."""
    name, found = sql.Identifier(role), _objects(connection, role)
    lacking = [each for each in found if not each.granted]
    # Only the first look is before us: a later one meets what our own default privileges gave.
    noted.setdefault("had", [each.key for each in found if each.granted])
    noted["granted"] = sorted({*noted.get("granted", []), *(each.key for each in lacking)})
    _change(connection, "GRANT {} ON {} {} TO {}", lacking, name)
    owner = value(connection, "SELECT current_user")
    for kind, short in KINDS.items():
        if value(connection, DEFAULTS, (short, name.as_string(connection))) is None:
            grant = sql.SQL("ALTER DEFAULT PRIVILEGES GRANT SELECT ON {} TO {}")
            run(connection, grant.format(sql.SQL(kind), name))
            noted.setdefault("defaults", []).append([owner, kind])
    if not value(
        connection, "SELECT has_database_privilege(%s, current_database(), 'CONNECT')", (role,)
    ):
        _database(connection, "GRANT CONNECT ON DATABASE {} TO {}", name)
        noted["connect"] = True


def take_back(connection: Connection, role: str, noted: dict[str, Any]) -> None:
    """Revoke what `give` noted, and what our default privileges have given since."""
    name = sql.Identifier(role)
    _change(connection, "REVOKE {} ON {} {} FROM {}", given(connection, role, noted), name)
    for owner, kind in noted.get("defaults", []):
        revoke = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE SELECT ON {} FROM {}")
        run(connection, revoke.format(sql.Identifier(owner), sql.SQL(kind), name))
    if noted.get("connect"):
        _database(connection, "REVOKE CONNECT ON DATABASE {} FROM {}", name)


def given(connection: Connection, role: str, noted: dict[str, Any]) -> list[Object]:
    """List what the role may read because of us."""
    granted, had = set(noted.get("granted", [])), set(noted.get("had", []))
    by_default = noted.get("defaults", [])
    return [
        each
        for each in _objects(connection, role)
        if each.granted
        and (
            each.key in granted
            or (each.key not in had and [each.owner, f"{each.kind}S"] in by_default)
        )
    ]


def _objects(connection: Connection, role: str) -> list[Object]:
    query = sql.SQL(OBJECTS).format(user=sql.SQL(catalog.USER_SCHEMAS))
    return [Object(*found) for found in rows(connection, query, (role,))]


def _change(connection: Connection, how: str, objects: list[Object], role: sql.Identifier) -> None:
    for kind, right in RIGHTS.items():
        names = [sql.Identifier(*each.name) for each in objects if each.kind == kind]
        if names:
            parts = sql.SQL(right), sql.SQL(kind), sql.SQL(", ").join(names), role
            run(connection, sql.SQL(how).format(*parts))


def _database(connection: Connection, how: str, role: sql.Identifier) -> None:
    database = sql.Identifier(str(value(connection, "SELECT current_database()")))
    run(connection, sql.SQL(how).format(database, role))
