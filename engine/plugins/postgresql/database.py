"""`postgresql:index/database:Database`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from psycopg import sql

from engine.plugins.postgresql.base import (
    DATABASE_EXISTS,
    PostgresResource,
    exists,
    flag,
    number,
    word,
)
from engine.plugins.postgresql.connection import Connection, Server, member_of, statements
from engine.plugins.resource import Input, Properties

# Property, SQL words, what stands when the program says nothing (None: the server's choice).
TEXTS = (
    ("template", "TEMPLATE", "template0", sql.Identifier),
    ("encoding", "ENCODING", "UTF8", sql.Literal),
    ("lcCollate", "LC_COLLATE", None, sql.Literal),
    ("lcCtype", "LC_CTYPE", None, sql.Literal),
    ("tablespaceName", "TABLESPACE", None, sql.Identifier),
)
READ = sql.SQL(
    "SELECT d.datname, pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text,"
    " d.datcollate, d.datctype, ts.spcname, d.datconnlimit, d.datallowconn, d.datistemplate"
    " FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace ts ON ts.oid = d.dattablespace"
    " WHERE d.datname = %s"
)
COLUMNS = (
    "name",
    "owner",
    "encoding",
    "lcCollate",
    "lcCtype",
    "tablespaceName",
    "connectionLimit",
    "allowConnections",
    "isTemplate",
)


def _options(server: Server, news: Properties) -> sql.Composed:
    parts = [sql.SQL("OWNER {}").format(sql.Identifier(word(news, "owner", server.role)))]
    for key, words, default, quote in TEXTS:
        value = word(news, key) or default
        if value is None:
            continue
        written = sql.SQL("DEFAULT") if value.upper() == "DEFAULT" else quote(value)
        parts.append(sql.SQL("{} {}").format(sql.SQL(words), written))
    parts += [
        sql.SQL("ALLOW_CONNECTIONS {}").format(
            _truth(flag(news, "allowConnections", default=True))
        ),
        sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(number(news, "connectionLimit", -1))),
        sql.SQL("IS_TEMPLATE {}").format(_truth(flag(news, "isTemplate"))),
    ]
    return sql.SQL(" ").join(parts)


def _truth(value: bool) -> sql.SQL:
    return sql.SQL("true" if value else "false")


def _alter(connection: Connection, name: str, tail: sql.Composable) -> None:
    connection.execute(sql.SQL("ALTER DATABASE {} {}").format(sql.Identifier(name), tail))


def _change_owner(
    server: Server, connection: Connection, olds: Properties, news: Properties
) -> None:
    name, before, after = word(news, "name"), word(olds, "owner"), word(news, "owner")
    with member_of(connection, server, after):
        _alter(connection, name, sql.SQL("OWNER TO {}").format(sql.Identifier(after)))
    if flag(news, "alterObjectOwnership") and before:
        with server.connect(name) as inside:
            inside.execute(
                sql.SQL("REASSIGN OWNED BY {} TO {}").format(
                    sql.Identifier(before), sql.Identifier(after)
                )
            )


class Database(PostgresResource):
    """A database; how it is encoded and sorted can only be chosen when it is made."""

    token = "postgresql:index/database:Database"  # noqa: S105 - a Pulumi type token
    inputs: ClassVar[Mapping[str, Input]] = {
        "name": Input(),
        "owner": Input(computed=True),
        "template": Input(computed=True, replaces=True),
        "encoding": Input(computed=True, replaces=True),
        "lcCollate": Input(computed=True, replaces=True),
        "lcCtype": Input(computed=True, replaces=True),
        "tablespaceName": Input(computed=True),
        "connectionLimit": Input(default=-1),
        "allowConnections": Input(default=True),
        "isTemplate": Input(computed=True),
        "alterObjectOwnership": Input(default=False),
    }

    def identify(self, server: Server, news: Properties) -> str:
        """The database's name."""
        return word(news, "name")

    def make(self, server: Server, news: Properties) -> None:
        """CREATE DATABASE."""
        name = sql.Identifier(word(news, "name"))
        with statements(server) as connection, member_of(connection, server, word(news, "owner")):
            connection.execute(
                sql.SQL("CREATE DATABASE {} {}").format(name, _options(server, news))
            )

    def alter(self, server: Server, olds: Properties, news: Properties) -> None:
        """ALTER DATABASE for what changed."""
        name = word(news, "name")
        with statements(server) as connection:
            if word(olds, "name") != name:
                rename = sql.SQL("RENAME TO {}").format(sql.Identifier(name))
                _alter(connection, word(olds, "name"), rename)
            if word(news, "owner") and word(olds, "owner") != word(news, "owner"):
                _change_owner(server, connection, olds, news)
            space = word(news, "tablespaceName")
            if space and word(olds, "tablespaceName") != space:
                tail = sql.SQL("SET TABLESPACE {}").format(sql.Identifier(space))
                _alter(connection, name, tail)
            limit = sql.Literal(number(news, "connectionLimit", -1))
            _alter(connection, name, sql.SQL("CONNECTION LIMIT {}").format(limit))
            allow = _truth(flag(news, "allowConnections", default=True))
            _alter(connection, name, sql.SQL("ALLOW_CONNECTIONS {}").format(allow))
            if "isTemplate" in news:
                template = _truth(flag(news, "isTemplate"))
                _alter(connection, name, sql.SQL("IS_TEMPLATE {}").format(template))

    def drop(self, server: Server, olds: Properties) -> None:
        """Close it to everybody, end its sessions, DROP DATABASE."""
        name = word(olds, "name")
        with statements(server) as connection:
            if not exists(connection, DATABASE_EXISTS, name):
                return
            with member_of(connection, server, word(olds, "owner")):
                if flag(olds, "isTemplate"):
                    _alter(connection, name, sql.SQL("IS_TEMPLATE false"))
                _alter(connection, name, sql.SQL("ALLOW_CONNECTIONS false"))
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND pid <> pg_backend_pid()",
                    (name,),
                )
                connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))

    def observe(self, server: Server, known: Properties) -> Properties | None:
        """Read it from the catalog, without connecting to it."""
        with server.connect() as connection:
            row = connection.execute(READ, (word(known, "name"),)).fetchone()
        if row is None:
            return None
        template = word(known, "template") or "template0"
        return {**dict(zip(COLUMNS, row, strict=True)), "template": template}
