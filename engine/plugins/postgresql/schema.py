"""`postgresql:index/schema:Schema` and `postgresql:index/extension:Extension`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from psycopg import sql

from engine.plugins.postgresql.base import PostgresResource, flag, word
from engine.plugins.postgresql.connection import Server, member_of, transaction
from engine.plugins.resource import Input, Properties


def _database(server: Server, properties: Properties) -> str:
    return word(properties, "database") or server.database


def _cascade(properties: Properties, key: str) -> sql.SQL:
    return sql.SQL("CASCADE" if flag(properties, key) else "RESTRICT")


class Schema(PostgresResource):
    """A schema. ``policies``, deprecated upstream, are refused; use Grant."""

    token = "postgresql:index/schema:Schema"  # noqa: S105 - a Pulumi type token
    inputs: ClassVar[Mapping[str, Input]] = {
        "name": Input(),
        "database": Input(computed=True, replaces=True),
        "owner": Input(computed=True),
        "ifNotExists": Input(default=True),
        "dropCascade": Input(default=False),
        "policies": Input(computed=True),
    }

    def refuse(self, news: Properties) -> list[tuple[str, str]]:
        """Refuse policies, which are not imitated."""
        reason = "not imitated by the local stand-in; use postgresql.Grant"
        return [*super().refuse(news), *([("policies", reason)] if "policies" in news else [])]

    def identify(self, server: Server, news: Properties) -> str:
        """Database and name."""
        return f"{_database(server, news)}.{word(news, 'name')}"

    def make(self, server: Server, news: Properties) -> None:
        """CREATE SCHEMA."""
        parts: list[sql.Composable] = [sql.SQL("CREATE SCHEMA")]
        if flag(news, "ifNotExists", default=True):
            parts.append(sql.SQL("IF NOT EXISTS"))
        parts.append(sql.Identifier(word(news, "name")))
        owner = word(news, "owner")
        if owner:
            parts += [sql.SQL("AUTHORIZATION"), sql.Identifier(owner)]
        with (
            transaction(server, _database(server, news)) as connection,
            member_of(connection, server, owner),
        ):
            connection.execute(sql.SQL(" ").join(parts))

    def alter(self, server: Server, olds: Properties, news: Properties) -> None:
        """Rename it, or give it another owner."""
        before, after, owner = word(olds, "name"), word(news, "name"), word(news, "owner")
        alter = sql.SQL("ALTER SCHEMA {} {} {}")
        with transaction(server, _database(server, news)) as connection:
            if before != after:
                rename = sql.SQL("RENAME TO")
                connection.execute(
                    alter.format(sql.Identifier(before), rename, sql.Identifier(after))
                )
            if owner and owner != word(olds, "owner"):
                with member_of(connection, server, owner):
                    change = sql.SQL("OWNER TO")
                    connection.execute(
                        alter.format(sql.Identifier(after), change, sql.Identifier(owner))
                    )

    def drop(self, server: Server, olds: Properties) -> None:
        """DROP SCHEMA; not empty without ``dropCascade`` is an error."""
        with (
            transaction(server, _database(server, olds)) as connection,
            member_of(connection, server, word(olds, "owner")),
        ):
            name, how = sql.Identifier(word(olds, "name")), _cascade(olds, "dropCascade")
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} {}").format(name, how))

    def observe(self, server: Server, known: Properties) -> Properties | None:
        """Read name and owner."""
        database = _database(server, known)
        with server.connect(database) as connection:
            row = connection.execute(
                "SELECT pg_get_userbyid(nspowner)::text FROM pg_catalog.pg_namespace"
                " WHERE nspname = %s",
                (word(known, "name"),),
            ).fetchone()
        return {"owner": row[0], "database": database} if row else None


class Extension(PostgresResource):
    """An extension in one database."""

    token = "postgresql:index/extension:Extension"  # noqa: S105 - a Pulumi type token
    inputs: ClassVar[Mapping[str, Input]] = {
        "name": Input(replaces=True),
        "database": Input(computed=True, replaces=True),
        "schema": Input(computed=True),
        "version": Input(computed=True),
        "createCascade": Input(default=False),
        "dropCascade": Input(default=False),
    }

    def identify(self, server: Server, news: Properties) -> str:
        """Database and name."""
        return f"{_database(server, news)}.{word(news, 'name')}"

    def make(self, server: Server, news: Properties) -> None:
        """CREATE EXTENSION IF NOT EXISTS."""
        parts: list[sql.Composable] = [sql.SQL("CREATE EXTENSION IF NOT EXISTS")]
        parts.append(sql.Identifier(word(news, "name")))
        for key in ("schema", "version"):
            if word(news, key):
                parts += [sql.SQL(key.upper()), sql.Identifier(word(news, key))]
        if flag(news, "createCascade"):
            parts.append(sql.SQL("CASCADE"))
        with transaction(server, _database(server, news)) as connection:
            connection.execute(sql.SQL(" ").join(parts))

    def alter(self, server: Server, olds: Properties, news: Properties) -> None:
        """Move it to another schema, or update it to a version."""
        name = sql.Identifier(word(news, "name"))
        with transaction(server, _database(server, news)) as connection:
            for key, words in (("schema", "SET SCHEMA"), ("version", "UPDATE TO")):
                value = word(news, key)
                if value and value != word(olds, key):
                    connection.execute(
                        sql.SQL("ALTER EXTENSION {} {} {}").format(
                            name, sql.SQL(words), sql.Identifier(value)
                        )
                    )

    def drop(self, server: Server, olds: Properties) -> None:
        """DROP EXTENSION."""
        with transaction(server, _database(server, olds)) as connection:
            name, how = sql.Identifier(word(olds, "name")), _cascade(olds, "dropCascade")
            connection.execute(sql.SQL("DROP EXTENSION IF EXISTS {} {}").format(name, how))

    def observe(self, server: Server, known: Properties) -> Properties | None:
        """Read schema and version."""
        database = _database(server, known)
        with server.connect(database) as connection:
            row = connection.execute(
                "SELECT n.nspname, e.extversion FROM pg_catalog.pg_extension e"
                " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = %s",
                (word(known, "name"),),
            ).fetchone()
        return {"schema": row[0], "version": row[1], "database": database} if row else None
