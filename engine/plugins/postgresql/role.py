"""`postgresql:index/role:Role`."""

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
    number,
    word,
    words,
)
from engine.plugins.postgresql.connection import Connection, Server, member_of, transaction
from engine.plugins.resource import Input, Properties

# Property, SQL word when true, default.
ATTRIBUTES = (
    ("superuser", "SUPERUSER", False),
    ("createDatabase", "CREATEDB", False),
    ("createRole", "CREATEROLE", False),
    ("inherit", "INHERIT", True),
    ("login", "LOGIN", False),
    ("replication", "REPLICATION", False),
    ("bypassRowLevelSecurity", "BYPASSRLS", False),
)
# Property and server setting of what is kept by ALTER ROLE ... SET.
TIMEOUTS = (
    ("statementTimeout", "statement_timeout"),
    ("idleInTransactionSessionTimeout", "idle_in_transaction_session_timeout"),
)
READ = sql.SQL(
    "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolcanlogin,"
    " rolreplication, rolbypassrls, rolconnlimit, coalesce(rolvaliduntil::text, 'infinity'),"
    " coalesce(rolconfig, '{{}}'), array(SELECT pg_get_userbyid(roleid)::text"
    " FROM pg_catalog.pg_auth_members WHERE member = pg_roles.oid)"
    " FROM pg_catalog.pg_roles WHERE rolname = %s"
).format()


def _password(news: Properties) -> sql.Composable | None:
    password = word(news, "password") or word(news, "passwordWo")
    if not password:
        return None
    if password.upper() == "NULL":
        return sql.SQL("PASSWORD NULL")
    return sql.SQL("PASSWORD {}").format(sql.Literal(password))


def _attribute(news: Properties, key: str, on: str, *, default: bool) -> sql.SQL:
    return sql.SQL(on if flag(news, key, default=default) else f"NO{on}")


def _options(news: Properties) -> list[sql.Composable]:
    options: list[sql.Composable] = [
        _attribute(news, key, on, default=default) for key, on, default in ATTRIBUTES
    ]
    limit = number(news, "connectionLimit", -1)
    options.append(sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(limit)))
    until = word(news, "validUntil", "infinity")
    options.append(sql.SQL("VALID UNTIL {}").format(sql.Literal(until)))
    password = _password(news)
    return [*options, password] if password else options


def _alter(connection: Connection, role: str, tail: sql.Composable) -> None:
    connection.execute(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(role), tail))


def _set(connection: Connection, role: str, setting: str, value: sql.Composable | None) -> None:
    name = sql.Identifier(setting)
    if value is None:
        _alter(connection, role, sql.SQL("RESET {}").format(name))
    else:
        _alter(connection, role, sql.SQL("SET {} TO {}").format(name, value))


def _apply_settings(connection: Connection, news: Properties) -> None:
    role = word(news, "name")
    path = [sql.Identifier(item) for item in words(news, "searchPaths")]
    _set(connection, role, "search_path", sql.SQL(", ").join(path) if path else None)
    for key, setting in TIMEOUTS:
        value = number(news, key, 0)
        _set(connection, role, setting, sql.Literal(value) if value else None)
    assumed = word(news, "assumeRole")
    _set(connection, role, "role", sql.Identifier(assumed) if assumed else None)


def _apply_memberships(connection: Connection, olds: Properties, news: Properties) -> None:
    role = sql.Identifier(word(news, "name"))
    before, after = set(words(olds, "roles")), set(words(news, "roles"))
    for group in sorted(before - after):
        connection.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(group), role))
    for group in sorted(after - before):
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))


def _setting(config: list[str], name: str) -> str:
    return next((item.partition("=")[2] for item in config if item.startswith(f"{name}=")), "")


class Role(PostgresResource):
    """A role; its password and attributes change in place."""

    token = "postgresql:index/role:Role"  # noqa: S105 - a Pulumi type token
    inputs: ClassVar[Mapping[str, Input]] = {
        "name": Input(),
        "password": Input(),
        "passwordWo": Input(),
        "passwordWoVersion": Input(),
        "encrypted": Input(),
        "encryptedPassword": Input(default=True),
        "connectionLimit": Input(default=-1),
        "validUntil": Input(default="infinity"),
        "roles": Input(default=[], unordered=True),
        "searchPaths": Input(default=[]),
        "statementTimeout": Input(default=0),
        "idleInTransactionSessionTimeout": Input(default=0),
        "assumeRole": Input(default=""),
        "skipDropRole": Input(default=False),
        "skipReassignOwned": Input(default=False),
        **{key: Input(default=default) for key, _, default in ATTRIBUTES},
    }

    def identify(self, server: Server, news: Properties) -> str:
        """The role's name."""
        return word(news, "name")

    def make(self, server: Server, news: Properties) -> None:
        """CREATE ROLE, then memberships and settings."""
        name = sql.Identifier(word(news, "name"))
        with transaction(server) as connection:
            options = sql.SQL(" ").join(_options(news))
            connection.execute(sql.SQL("CREATE ROLE {} WITH {}").format(name, options))
            _apply_memberships(connection, {}, news)
            if any(news.get(key) for key in ("searchPaths", "assumeRole", *dict(TIMEOUTS))):
                _apply_settings(connection, news)

    def alter(self, server: Server, olds: Properties, news: Properties) -> None:
        """ALTER ROLE for everything that can change, a new name included."""
        before, after = word(olds, "name"), word(news, "name")
        with transaction(server) as connection:
            if before != after:
                tail = sql.SQL("RENAME TO {}").format(sql.Identifier(after))
                _alter(connection, before, tail)
            _alter(connection, after, sql.SQL("WITH ") + sql.SQL(" ").join(_options(news)))
            _apply_memberships(connection, olds, news)
            _apply_settings(connection, news)

    def drop(self, server: Server, olds: Properties) -> None:
        """Hand over and drop what it owns in the provider's database, then DROP ROLE."""
        name = word(olds, "name")
        role, me = sql.Identifier(name), sql.Identifier(server.role)
        with transaction(server) as connection:
            if not exists(connection, ROLE_EXISTS, name):
                return
            if not flag(olds, "skipReassignOwned"):
                with member_of(connection, server, name):
                    connection.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(role, me))
                    connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            if not flag(olds, "skipDropRole"):
                connection.execute(sql.SQL("DROP ROLE {}").format(role))

    def observe(self, server: Server, known: Properties) -> Properties | None:
        """Read everything but the password, which the server keeps only as a hash."""
        with server.connect() as connection:
            row = connection.execute(READ, (word(known, "name"),)).fetchone()
        if row is None:
            return None
        names = ("superuser", "createDatabase", "createRole", "inherit", "login", "replication")
        values = dict(zip((*names, "bypassRowLevelSecurity"), row[1:8], strict=True))
        config: list[str] = row[10]
        path = [item.strip('"') for item in _setting(config, "search_path").split(", ") if item]
        timeouts = {key: int(_setting(config, setting) or 0) for key, setting in TIMEOUTS}
        return {
            "name": row[0],
            **values,
            "connectionLimit": row[8],
            "validUntil": row[9],
            "roles": listing(row[11]),
            "searchPaths": listing(path),
            **timeouts,
            "assumeRole": _setting(config, "role"),
            "encryptedPassword": True,
        }
