"""`postgresql:index/grantRole:GrantRole` and `...:DefaultPrivileges`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from psycopg import sql

from engine.plugins.postgresql.base import (
    ROLE_EXISTS,
    PostgresResource,
    exists,
    flag,
    listing,
    name_or_public,
    word,
    words,
)
from engine.plugins.postgresql.connection import Connection, Server, member_of, transaction
from engine.plugins.resource import Input, Properties

# Letters of pg_default_acl.defaclobjtype. Source: PostgreSQL manual, catalogs.
OBJECT_LETTERS = {"table": "r", "sequence": "S", "function": "f", "type": "T", "schema": "n"}


class GrantRole(PostgresResource):
    """Membership of a role in another one."""

    token = "postgresql:index/grantRole:GrantRole"  # noqa: S105 - a Pulumi type token
    inputs: ClassVar[Mapping[str, Input]] = {
        "role": Input(required=True, replaces=True),
        "grantRole": Input(required=True, replaces=True),
        "withAdminOption": Input(default=False, replaces=True),
    }

    def identify(self, server: Server, news: Properties) -> str:
        """Role, group and the admin option, joined by ``_``."""
        admin = "true" if flag(news, "withAdminOption") else "false"
        return f"{word(news, 'role')}_{word(news, 'grantRole')}_{admin}"

    def make(self, server: Server, news: Properties) -> None:
        """Revoke, then grant, so that a lost admin option is lost."""
        role, group = (sql.Identifier(word(news, key)) for key in ("role", "grantRole"))
        option = sql.SQL(" WITH ADMIN OPTION" if flag(news, "withAdminOption") else "")
        with transaction(server) as connection:
            connection.execute(sql.SQL("REVOKE {} FROM {}").format(group, role))
            connection.execute(sql.SQL("GRANT {} TO {}").format(group, role) + option)

    def alter(self, server: Server, olds: Properties, news: Properties) -> None:
        """The same as making it."""
        self.make(server, news)

    def drop(self, server: Server, olds: Properties) -> None:
        """Revoke, if both roles are still there."""
        role, group = word(olds, "role"), word(olds, "grantRole")
        with transaction(server) as connection:
            if all(exists(connection, ROLE_EXISTS, name) for name in (role, group)):
                connection.execute(
                    sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(group), sql.Identifier(role))
                )

    def observe(self, server: Server, known: Properties) -> Properties | None:
        """Read the membership and its admin option."""
        with server.connect() as connection:
            row = connection.execute(
                "SELECT bool_or(admin_option) FROM pg_catalog.pg_auth_members"
                " WHERE pg_get_userbyid(member) = %s AND pg_get_userbyid(roleid) = %s",
                (word(known, "role"), word(known, "grantRole")),
            ).fetchone()
        return {"withAdminOption": row[0]} if row and row[0] is not None else None


def _clause(properties: Properties, action: str, direction: str) -> sql.Composed:
    schema = word(properties, "schema")
    where = sql.SQL("IN SCHEMA {} ").format(sql.Identifier(schema)) if schema else sql.SQL("")
    return sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} {}{} ON {}S {} {}").format(
        sql.Identifier(word(properties, "owner")),
        where,
        sql.SQL(action),
        sql.SQL(word(properties, "objectType").upper()),
        sql.SQL(direction),
        name_or_public(word(properties, "role")),
    )


def _there(connection: Connection, properties: Properties) -> bool:
    names = [word(properties, "owner"), word(properties, "role")]
    return all(n.lower() == "public" or exists(connection, ROLE_EXISTS, n) for n in names)


class DefaultPrivileges(PostgresResource):
    """Privileges that objects will have which ``owner`` makes later."""

    token = "postgresql:index/defaultPrivileges:DefaultPrivileges"  # noqa: S105 - a type token
    inputs: ClassVar[Mapping[str, Input]] = {
        "role": Input(required=True, replaces=True),
        "database": Input(required=True, replaces=True),
        "owner": Input(required=True, replaces=True),
        "schema": Input(replaces=True),
        "objectType": Input(required=True, replaces=True),
        "privileges": Input(required=True, unordered=True),
        "withGrantOption": Input(default=False, replaces=True),
    }

    def refuse(self, news: Properties) -> list[tuple[str, str]]:
        """Refuse kinds of object that have no default privileges."""
        failures, kind = super().refuse(news), news.get("objectType")
        if isinstance(kind, str) and kind not in OBJECT_LETTERS:
            reason = f"expected one of {sorted(OBJECT_LETTERS)}, got {kind}"
            failures.append(("objectType", reason))
        return failures

    def identify(self, server: Server, news: Properties) -> str:
        """Role, database, schema, owner and kind, joined by ``_``."""
        schema = word(news, "schema", "noschema")
        parts = [word(news, key) for key in ("role", "database")]
        return "_".join([*parts, schema, word(news, "owner"), word(news, "objectType")])

    def make(self, server: Server, news: Properties) -> None:
        """Revoke everything, then grant, in one transaction."""
        with (
            transaction(server, word(news, "database")) as connection,
            member_of(connection, server, word(news, "owner")),
        ):
            connection.execute(_clause(news, "REVOKE ALL", "FROM"))
            wanted = ", ".join(sorted(name.upper() for name in words(news, "privileges")))
            if wanted:
                option = " WITH GRANT OPTION" if flag(news, "withGrantOption") else ""
                connection.execute(_clause(news, f"GRANT {wanted}", "TO") + sql.SQL(option))

    def alter(self, server: Server, olds: Properties, news: Properties) -> None:
        """The same as making it."""
        self.make(server, news)

    def drop(self, server: Server, olds: Properties) -> None:
        """Revoke everything, if the roles are still there."""
        with transaction(server, word(olds, "database")) as connection:
            if _there(connection, olds):
                with member_of(connection, server, word(olds, "owner")):
                    connection.execute(_clause(olds, "REVOKE ALL", "FROM"))

    def observe(self, server: Server, known: Properties) -> Properties | None:
        """Read the default privileges of the role."""
        with server.connect(word(known, "database")) as connection:
            if not _there(connection, known):
                return None
            rows = connection.execute(
                "SELECT acl.privilege_type FROM pg_catalog.pg_default_acl d"
                " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace,"
                " LATERAL aclexplode(d.defaclacl) acl LEFT JOIN pg_catalog.pg_roles r"
                " ON r.oid = acl.grantee WHERE coalesce(r.rolname, 'public') = %s"
                " AND pg_get_userbyid(d.defaclrole) = %s AND d.defaclobjtype = %s"
                " AND coalesce(n.nspname, '') = %s",
                (
                    word(known, "role"),
                    word(known, "owner"),
                    OBJECT_LETTERS[word(known, "objectType")],
                    word(known, "schema"),
                ),
            ).fetchall()
        found = sorted({row[0] for row in rows})
        wanted = sorted(name.upper() for name in words(known, "privileges"))
        if wanted == ["ALL"] and found:
            return {}
        return {} if found == wanted else {"privileges": listing(found)}
