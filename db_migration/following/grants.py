"""The feed's right to read the source: given where it lacks, and only that taken back.

A role that was there before us keeps what it owns and every right that it had.

GRANT and REVOKE lock no table: a DDL statement of prod's that met one of them on the same table
would fail ("tuple concurrently updated"). So a table is locked for them, against DDL alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from db_migration import catalog
from db_migration.errors import BlockedError
from db_migration.following.trace import Part
from db_migration.postgres import Connection, collided, rows, run, until, value

OBJECTS = """
SELECT o.kind, o.oid, o.name, pg_get_userbyid(o.owner), EXISTS (
    SELECT FROM aclexplode(o.acl) a WHERE a.grantee = r.oid AND a.privilege_type = o.needed),
    o.lockable AND pg_has_role(o.owner, 'USAGE')
FROM (
    SELECT 'SCHEMA' AS kind, n.oid, ARRAY[n.nspname]::text[] AS name, n.nspowner AS owner,
           n.nspacl AS acl, 'USAGE' AS needed, false AS lockable
    FROM pg_namespace n WHERE {user}
    UNION ALL
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid,
           ARRAY[n.nspname, c.relname]::text[], c.relowner, c.relacl, 'SELECT',
           c.relkind IN ('r', 'p')
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
GRANT, REVOKE = "GRANT {} ON {} {} TO {}", "REVOKE {} ON {} {} FROM {}"
KINDS = {"TABLES": "r", "SEQUENCES": "S"}
TURN = "SET LOCAL lock_timeout = '50ms'; LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE; {}"
"""One transaction that DDL and VACUUM wait for, and that waits for them; who reads or writes does
not. Shorter than `deadlock_timeout`: an autovacuum in our way is not ended for us.
"""
TURN_SECONDS, TURN_EVERY = 10.0, 0.1


@dataclass(frozen=True)
class Object:
    """A schema, table, view or sequence that the feed's role does not own."""

    kind: str
    oid: int
    name: list[str]
    owner: str
    granted: bool
    """Whether the right to read it was given to the role by its name."""
    lockable: bool
    """Whether it is a table that we may lock."""

    @property
    def key(self) -> str:
        """What it is called in the note, under any later name, too."""
        return f"{self.kind} {self.oid}"


def begin(connection: Connection, role: str, noted: dict[str, Any]) -> list[Object]:
    """Let the role enter, read what its owner will make and what can not be locked; note it.

    Return the tables that are to be given: they are noted first, too.
    """
    name, found = sql.Identifier(role), _objects(connection, role)
    lacking = [each for each in found if not each.granted]
    # Only the first look is before us: a later one meets what our own default privileges gave.
    noted.setdefault("had", [each.key for each in found if each.granted])
    noted["granted"] = sorted({*noted.get("granted", []), *(each.key for each in lacking)})
    for each in lacking:
        if not each.lockable:
            run(connection, _statement(GRANT, each, role))
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
    return [each for each in lacking if each.lockable]


def give(connection: Connection, role: str, tables: list[Object]) -> None:
    """Let the role read these, one after the other; outside of a transaction."""
    for each in tables:
        _locked(connection, each, _statement(GRANT, each, role))


def take_back(connection: Connection, role: str, noted: dict[str, Any]) -> None:
    """Undo `give`, in the same way."""
    for each in given(connection, role, noted):
        if each.lockable:
            _locked(connection, each, _statement(REVOKE, each, role))


def end(connection: Connection, role: str, noted: dict[str, Any]) -> None:
    """Undo `begin`."""
    name = sql.Identifier(role)
    for each in given(connection, role, noted):
        run(connection, _statement(REVOKE, each, role))
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


def parts(connection: Connection, objects: list[Object], noted: dict[str, Any]) -> Iterator[Part]:
    """Name each right that `end` takes: those on the objects that were `given`, and the others."""
    for each in objects:
        yield Part(f"{RIGHTS[each.kind]} on {each.kind.lower()}", ".".join(each.name))
    for owner, kind in noted.get("defaults", []):
        yield Part(f"default SELECT on {kind.lower()} made by", owner)
    if noted.get("connect"):
        yield Part("CONNECT on database", connection.info.dbname)


def _objects(connection: Connection, role: str) -> list[Object]:
    query = sql.SQL(OBJECTS).format(user=sql.SQL(catalog.USER_SCHEMAS))
    return [Object(*found) for found in rows(connection, query, (role,))]


def _statement(how: LiteralString, one: Object, role: str) -> sql.Composed:
    name = sql.Identifier(*one.name)
    parts = sql.SQL(RIGHTS[one.kind]), sql.SQL(one.kind), name, sql.Identifier(role)
    return sql.SQL(how).format(*parts)


def _locked(connection: Connection, one: Object, change: sql.Composed) -> None:
    turn = sql.SQL(TURN).format(sql.Identifier(*one.name), change)
    if not until(partial(_taken, connection, turn), TURN_SECONDS, every=TURN_EVERY):
        raise BlockedError(
            found=f"{'.'.join(one.name)} is being changed, or vacuumed, all the time",
            needed="a moment between two such statements, to change who may read it",
            way_out="nothing to do in the agent: this is tried again by itself; else repeat it",
        )


def _taken(connection: Connection, turn: sql.Composed) -> bool:
    """Do it now; False: somebody else is at it. What is gone by now needs no right."""
    try:
        run(connection, turn)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return True
    except psycopg.errors.LockNotAvailable:
        return False
    except psycopg.errors.InternalError_ as error:
        if not collided(error):
            raise
        return False
    return True


def _database(connection: Connection, how: str, role: sql.Identifier) -> None:
    database = sql.Identifier(str(value(connection, "SELECT current_database()")))
    run(connection, sql.SQL(how).format(database, role))
