"""How the feed's role on the source ends: dropped if we made it, else left as it was before us."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from db_migration.errors import BlockedError
from db_migration.following import grants, marks
from db_migration.following.trace import Part, Trace
from db_migration.postgres import Connection, row, rows, run, value

OWNED = """
SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ', ')
FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND r.rolname = %s
  AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
OPTIONS = "SELECT rolcanlogin, rolreplication FROM pg_roles WHERE rolname = %s"
MEMBERS = """
SELECT DISTINCT m.member::regrole::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
WHERE r.rolname = %s ORDER BY 1
"""
"""From 16 on, whoever makes a role with CREATEROLE becomes a member of it."""


def traces(
    connection: Connection, name: str, noted: dict[str, Any], others: list[str]
) -> Iterator[Trace]:
    """List what the role has because of us; `others` are databases whose feeds need it, too."""
    objects = grants.given(connection, name, noted)
    rights = tuple(grants.parts(connection, objects, noted))
    if others:
        what = f"role `{name}` may read {len(objects)} objects of this database"
        yield Trace(what, "revoke that", rights)
        undo = "leave it for the feed from `{}`: the last feed's release takes it"
        yield Trace(f"role `{name}`", undo.format("`, `".join(others)))
        return
    if not noted.get("existed"):
        made = (*_made(connection, name, noted), *rights)
        yield Trace(f"role `{name}` with SELECT on every table", "drop it", made)
        return
    if "login_was" not in noted:
        yield Trace(
            f"rights of role `{name}`, which was there before",
            "leave them: what an older version of this script granted was not noted",
        )
    if rights:
        what = f"role `{name}` may read {len(objects)} more objects than before"
        yield Trace(what, "revoke that", rights)
    for option in _options(connection, name, noted):
        yield Trace(f"{option.removeprefix('NO')} of role `{name}`", f"set {option} again")
    if noted.get("password_set"):
        undo = "leave it: the one before is not known; set that again if somebody uses it"
        yield Trace(f"our password of role `{name}`", undo)
    yield Trace(f"our note on role `{name}`", "take it off; keep the role: it was there before")


def _made(connection: Connection, name: str, noted: dict[str, Any]) -> Iterator[Part]:
    """List what a role of ours is beside its rights."""
    login, replication = row(connection, OPTIONS, (name,)) or (False, False)
    options = {"LOGIN": login, "REPLICATION": replication, "PASSWORD": noted.get("password_set")}
    yield from (Part("option", option) for option, has in options.items() if has)
    yield Part("our note", "COMMENT ON ROLE")
    yield from (Part("member", member) for (member,) in rows(connection, MEMBERS, (name,)))


def _options(connection: Connection, name: str, noted: dict[str, Any]) -> list[str]:
    """Return the options that the role did not have before us."""
    login, replication = row(connection, OPTIONS, (name,)) or (False, False)
    gone = []
    if login and noted.get("login_was") is False:
        gone.append("NOLOGIN")
    if replication and noted.get("replication_was") is False:
        gone.append("NOREPLICATION")
    return gone


def let_go(connection: Connection, name: str) -> None:
    """Undo what is noted on the role, and the note with it; nothing without one."""
    noted = marks.read_role(connection, name)
    if noted is None:
        return
    grants.take_back(connection, name, noted)
    if marks.elsewhere(connection, name):
        _leave_to_others(connection, name, noted)
    elif noted.get("existed"):
        _leave(connection, name, noted)
    else:
        _drop(connection, name)


def _leave_to_others(connection: Connection, name: str, noted: dict[str, Any]) -> None:
    """Take this database's rights and note: feeds from others of this server need the role."""
    kept = {key: found for key, found in noted.items() if key not in marks.OF_DATABASE}
    with connection.transaction():
        grants.end(connection, name, noted)
        marks.write_role(connection, name, kept)


def _leave(connection: Connection, name: str, noted: dict[str, Any]) -> None:
    role = sql.Identifier(name)
    with connection.transaction():
        grants.end(connection, name, noted)
        for option in _options(connection, name, noted):
            run(connection, sql.SQL("ALTER ROLE {} {}").format(role, sql.SQL(option)))
        comment = sql.Literal(noted.get("comment_was"))
        run(connection, sql.SQL("COMMENT ON ROLE {} IS {}").format(role, comment))


def _drop(connection: Connection, name: str) -> None:
    # DROP OWNED would drop tables that somebody has given to this role.
    owned = value(connection, OWNED, (name,))
    if owned is not None:
        raise _kept(name, f"owns {owned}", "REASSIGN OWNED BY {} TO another role")
    sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
    role = sql.Identifier(name)
    try:
        with connection.transaction():
            # CREATEROLE alone neither ends a role's sessions nor drops what it has.
            if value(connection, "SELECT NOT pg_has_role(%s, 'USAGE')", (name,)):
                run(connection, sql.SQL("GRANT {} TO CURRENT_USER").format(role))
            run(connection, sessions, (name,))
            run(connection, sql.SQL("DROP OWNED BY {}").format(role))
            run(connection, sql.SQL("DROP ROLE {}").format(role))
    except psycopg.errors.DependentObjectsStillExist as error:
        detail = error.diag.message_detail or error.diag.message_primary
        way_out = (
            "in the database named above, REASSIGN OWNED BY {0} TO another role and then DROP "
            "OWNED BY {0}, which takes its rights there"
        )
        raise _kept(name, f"is needed elsewhere: {detail}", way_out) from None


def _kept(name: str, why: str, way_out: str) -> BlockedError:
    return BlockedError(
        found=f"all is undone but role `{name}`, which {why}",
        needed="a role with no more than `prepare` gave it",
        way_out=f"{way_out.format(name)}, then release again",
    )
