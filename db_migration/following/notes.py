"""What `prepare` notes on the feed's role before it changes prod; `release` undoes what it reads.

A change without a note stays on prod for ever, so none is made before it is noted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from db_migration import catalog
from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.following import marks
from db_migration.postgres import Connection, row, rows

IDENTITIES = {"d": "DEFAULT", "n": "NOTHING", "f": "FULL", "i": "DEFAULT"}
ROLE = """
SELECT rolcanlogin, rolreplication, shobj_description(oid, 'pg_authid')
FROM pg_roles WHERE rolname = %s
"""
ADMIN_OPTION_SINCE = 160000
"""From this version on CREATEROLE alone changes no role that somebody else has made."""


def made_now() -> dict[str, Any]:
    """Return the note of a role that is made now."""
    return {"made_at": datetime.now(UTC).isoformat(), "existed": False}


def begin(context: Context, connection: Connection) -> dict[str, Any] | None:
    """Return the role's note; one without any was there before us. None: there is no such role."""
    role = context.reader.login.user
    noted, found = marks.read_role(connection, role), row(connection, ROLE, (role,))
    if noted is not None or found is None:
        return noted
    login, replication, comment = found
    was = {"login_was": login, "replication_was": replication, "comment_was": comment}
    return {**made_now(), "existed": True, **was}


def write(context: Context, connection: Connection, noted: dict[str, Any]) -> None:
    """Write the note; raise when the owner may not, for then nothing may be changed either.

    On a server of ours the feed's role is the owner itself, and not for `release` to undo.
    """
    role = context.reader.login.user
    try:
        with connection.transaction():
            marks.write_role(connection, role, noted)
    except psycopg.errors.InsufficientPrivilege as error:
        if context.reader.login == context.owner.login:
            return
        raise BlockedError(
            found=f"what was there before can not be noted on role `{role}`: "
            f"{error.diag.message_primary}",
            needed="a note, without which `release` could not undo the change",
            way_out=f"{enabling(context, connection, 'CREATEROLE')}, as a superuser",
        ) from None


def enabling(context: Context, connection: Connection, rights: str) -> str:
    """Return what gives the owner these rights, and the feed's role to change if it is there."""
    role = context.reader.login.user
    names = "SELECT quote_ident(%s), quote_ident(%s)"
    ((owner, feeds),) = rows(connection, names, (context.owner.login.user, role))
    given = f"ALTER ROLE {owner} {rights}"
    old = connection.info.server_version < ADMIN_OPTION_SINCE
    if old or row(connection, ROLE, (role,)) is None:
        return given
    return f"{given}; GRANT {feeds} TO {owner} WITH ADMIN OPTION"


def keep_setting(
    context: Context, connection: Connection, key: str, was: str, by_system: str | None
) -> None:
    """Note what would count without us, and what ALTER SYSTEM said, unless that is noted already:
    only the first look was before us.
    """
    noted = begin(context, connection)
    if noted is not None and f"{key}_was" not in noted:
        write(context, connection, {**noted, f"{key}_was": was, f"{key}_system": by_system})


def keep_identities(context: Context, connection: Connection, tables: list[catalog.Table]) -> None:
    """Note the identities of these tables by OID, which a table keeps under another name, too."""
    noted = begin(context, connection)
    if noted is None:
        return
    was = noted.setdefault("identity_was", {})
    for table in tables:
        was.pop(table.full_name, None)
        was[str(table.oid)] = [table.schema, table.name, table.identity, table.oid]
    write(context, connection, noted)


@dataclass(frozen=True)
class Identity:
    """A table that was given REPLICA IDENTITY FULL, and what has become of it."""

    noted: str
    was: str
    """What it had before, as ALTER TABLE says it."""
    by_oid: bool
    """Whether a new name would have been seen; older versions noted the name alone."""
    now: tuple[str, str] | None = None
    """Its schema and name; None when it is not found."""
    full: bool = False

    @property
    def name(self) -> str:
        """What it is called, and what it was called when that is not the same."""
        now = ".".join(self.now or ()) or self.noted
        return f"`{now}`" if now == self.noted else f"`{now}` (`{self.noted}` when it was noted)"


def identities(connection: Connection, noted: dict[str, Any]) -> list[Identity]:
    """Look up every table whose identity is noted, in the order of their names."""
    return sorted(
        (_identity(connection, *was) for was in noted.get("identity_was", {}).values()),
        key=lambda found: found.noted,
    )


def _identity(
    connection: Connection, schema: str, name: str, was: str, oid: int | None = None
) -> Identity:
    found = row(
        connection,
        """
        SELECT n.nspname, c.relname, c.relreplident = 'f'
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND CASE WHEN %s::oid IS NULL
            THEN n.nspname = %s AND c.relname = %s ELSE c.oid = %s::oid END
        """,
        (oid, schema, name, oid),
    )
    known = f"{schema}.{name}", IDENTITIES[was], oid is not None
    return Identity(*known, now=(found[0], found[1]), full=found[2]) if found else Identity(*known)
