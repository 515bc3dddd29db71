"""What all PostgreSQL resources share: names, lists, and life on top of read-back."""

from __future__ import annotations

import secrets
from abc import abstractmethod

import psycopg
from google.protobuf import struct_pb2
from psycopg import sql

from engine.plugins.postgresql.connection import (
    Connection,
    MissingDatabaseError,
    Server,
    refused,
)
from engine.plugins.resource import Context, PluginError, Properties, Resource
from engine.plugins.wire import Plain, wire

AUTONAME_BYTES = 4
AUTONAME_DIGITS = 7


def word(properties: Properties, key: str, default: str = "") -> str:
    """A string property."""
    value = properties.get(key)
    return value if isinstance(value, str) else default


def words(properties: Properties, key: str) -> list[str]:
    """A property that is a list of strings."""
    value = properties.get(key)
    return [str(item) for item in value] if isinstance(value, list) else []


def flag(properties: Properties, key: str, *, default: bool = False) -> bool:
    """A boolean property."""
    value = properties.get(key, default)
    return value is True


def number(properties: Properties, key: str, default: int) -> int:
    """A whole-number property."""
    value = properties.get(key)
    return int(value) if isinstance(value, int | float) else default


def listing(items: list[str]) -> Plain:
    """Strings as a Pulumi list."""
    return list(items)


def name_or_public(role: str) -> sql.Composable:
    """A grantee: the word PUBLIC, or a role's name in quotes."""
    return sql.SQL("PUBLIC") if role.lower() == "public" else sql.Identifier(role)


def exists(connection: Connection, query: sql.SQL, value: str) -> bool:
    """Tell whether a query with one parameter finds a row."""
    return connection.execute(query, (value,)).fetchone() is not None


ROLE_EXISTS = sql.SQL("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s")
DATABASE_EXISTS = sql.SQL("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s")
SCHEMA_EXISTS = sql.SQL("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s")


class PostgresResource(Resource):
    """A resource whose state is what the server says after each change."""

    def complete(self, name: str, olds: Properties, news: struct_pb2.Struct) -> None:
        """Give it a name of its own where the program gives none, and keep that name."""
        if "name" in self.inputs and "name" not in news.fields:
            digits = secrets.token_hex(AUTONAME_BYTES)[:AUTONAME_DIGITS]
            news.fields["name"].CopyFrom(wire(word(olds, "name") or f"{name}-{digits}"))

    def create(self, context: Context, name: str, news: Properties) -> tuple[str, Properties]:
        """Make it and read it back."""
        server = Server.from_config(context.config)
        self.make(server, news)
        return self.identify(server, news), self._after(server, news)

    def update(
        self, context: Context, resource_id: str, olds: Properties, news: Properties
    ) -> Properties:
        """Change it and read it back."""
        server = Server.from_config(context.config)
        self.alter(server, olds, news)
        return self._after(server, news)

    def delete(self, context: Context, resource_id: str, olds: Properties) -> None:
        """Remove it; what is gone already, or lived in a database that is gone, is fine."""
        try:
            self.drop(Server.from_config(context.config), olds)
        except MissingDatabaseError:
            return

    def read(self, context: Context, resource_id: str, olds: Properties) -> Properties | None:
        """Read it back; ``None`` when it, or its database, is gone."""
        server = Server.from_config(context.config)
        try:
            found = self.observe(server, olds)
        except MissingDatabaseError:
            return None
        except psycopg.Error as error:
            raise refused(error) from error
        return None if found is None else {**olds, **found}

    def _after(self, server: Server, news: Properties) -> Properties:
        found = self.observe(server, news)
        if found is None:
            message = f"{self.token} is not there right after it was made"
            raise PluginError(message)
        return {**news, **found}

    @abstractmethod
    def identify(self, server: Server, news: Properties) -> str:
        """Id in the official plugin's form."""

    @abstractmethod
    def make(self, server: Server, news: Properties) -> None:
        """Create it on the server."""

    @abstractmethod
    def alter(self, server: Server, olds: Properties, news: Properties) -> None:
        """Change it on the server."""

    @abstractmethod
    def drop(self, server: Server, olds: Properties) -> None:
        """Remove it from the server."""

    @abstractmethod
    def observe(self, server: Server, known: Properties) -> Properties | None:
        """Read what the server shows of it."""
