"""Connections to the server that the provider's configuration names.

Facts: keys from ``pulumi_postgresql.ProviderArgs``; defaults from upstream's Go driver,
which asks for TLS when nothing is said, and from upstream's limit of 180 s to connect.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from engine.plugins.resource import PluginError
from engine.plugins.wire import Plain

Connection = psycopg.Connection[TupleRow]

CONFIG_KEYS = frozenset(
    {
        "awsRdsIamAuth",
        "awsRdsIamProfile",
        "awsRdsIamProviderRoleArn",
        "awsRdsIamRegion",
        "azureIdentityAuth",
        "azureTenantId",
        "clientcert",
        "connectTimeout",
        "database",
        "databaseUsername",
        "expectedVersion",
        "gcpIamImpersonateServiceAccount",
        "host",
        "maxConnections",
        "password",
        "port",
        "scheme",
        "sslMode",
        "sslmode",
        "sslrootcert",
        "superuser",
        "username",
    }
)
# Asked for by nobody here, and not imitated: better an error than a silent difference.
CLOUD_LOGIN_KEYS = ("awsRdsIamAuth", "azureIdentityAuth", "gcpIamImpersonateServiceAccount")
CONNECT_SECONDS = 180

# Concurrent changes of one catalog row fail in PostgreSQL; upstream takes advisory locks.
WRITING = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where and as whom to connect. ``superuser``: the login may do everything."""

    host: str
    port: int
    username: str
    role: str
    password: str = field(repr=False)
    database: str
    sslmode: str
    sslrootcert: str
    client_certificate: Mapping[str, str]
    superuser: bool
    connect_seconds: int

    @classmethod
    def from_config(cls, config: Mapping[str, Plain]) -> Server:
        """Read the provider's configuration; values that are no strings come as JSON."""
        for key in CLOUD_LOGIN_KEYS:
            if _decoded(config.get(key)):
                message = f"{key} is not imitated by the local stand-in"
                raise PluginError(message)
        username = _word(config, "username", "PGUSER", "postgres")
        return cls(
            host=_word(config, "host", "PGHOST", "localhost"),
            port=int(_word(config, "port", "PGPORT", "5432")),
            username=username,
            role=_word(config, "databaseUsername", "", username),
            password=_word(config, "password", "PGPASSWORD", ""),
            database=_word(config, "database", "PGDATABASE", "postgres"),
            sslmode=_word(config, "sslmode", "", _word(config, "sslMode", "PGSSLMODE", "require")),
            sslrootcert=_word(config, "sslrootcert", "", ""),
            client_certificate=_certificate(_decoded(config.get("clientcert"))),
            superuser=_decoded(config.get("superuser", True)) is not False,
            connect_seconds=int(_word(config, "connectTimeout", "", str(CONNECT_SECONDS))),
        )

    def _files(self) -> str:
        options = {"sslrootcert": self.sslrootcert, **self.client_certificate}
        return make_conninfo("", **{key: value for key, value in options.items() if value})

    def connect(self, database: str = "", *, autocommit: bool = False) -> Connection:
        """Open a connection; raises PluginError, or MissingDatabaseError if there is no such."""
        try:
            return psycopg.connect(
                self._files(),
                host=self.host,
                port=self.port,
                user=self.username,
                password=self.password or None,
                dbname=database or self.database,
                sslmode=self.sslmode,
                connect_timeout=self.connect_seconds,
                autocommit=autocommit,
                application_name="pulumi-resource-postgresql (local stand-in)",
            )
        except psycopg.OperationalError as error:
            text = str(error).strip()
            if f'database "{database or self.database}" does not exist' in text:
                raise MissingDatabaseError(text) from error
            message = f"error connecting to PostgreSQL server {self.host}:{self.port}: {text}"
            raise PluginError(message) from error


class MissingDatabaseError(PluginError):
    """The database to connect to is not there."""


def _decoded(value: Plain) -> Plain:
    if not isinstance(value, str):
        return value
    try:
        decoded: Plain = json.loads(value)
    except ValueError:
        return value
    return decoded


def _word(config: Mapping[str, Plain], key: str, variable: str, default: str) -> str:
    value = config.get(key)
    if value is None:
        return os.environ.get(variable, default) if variable else default
    return str(int(value)) if isinstance(value, float) else str(value)


def _certificate(value: Plain) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    if _decoded(value.get("sslinline")):
        message = "clientcert.sslinline is not imitated by the local stand-in; give files"
        raise PluginError(message)
    return {"sslcert": str(value.get("cert", "")), "sslkey": str(value.get("key", ""))}


@contextmanager
def transaction(server: Server, database: str = "") -> Iterator[Connection]:
    """One transaction that changes something; PostgreSQL's refusals become PluginError."""
    with server.connect(database) as connection, WRITING:
        try:
            yield connection
            connection.commit()
        except psycopg.Error as error:
            raise refused(error) from error


@contextmanager
def statements(server: Server, database: str = "") -> Iterator[Connection]:
    """Statements of their own, for what PostgreSQL does not allow in a transaction."""
    with server.connect(database, autocommit=True) as connection, WRITING:
        try:
            yield connection
        except psycopg.Error as error:
            raise refused(error) from error


def refused(error: psycopg.Error) -> PluginError:
    """Wrap PostgreSQL's message, which never quotes the statement and so no password."""
    return PluginError(f"pq: {str(error).strip()} (SQLSTATE {error.sqlstate})")


@contextmanager
def member_of(connection: Connection, server: Server, *roles: str) -> Iterator[None]:
    """Be a member of ``roles`` for a while, where the login is no superuser and is none yet."""
    if server.superuser:
        yield
        return
    joined = [role for role in roles if role and not _is_member(connection, server.role, role)]
    me = sql.Identifier(server.role)
    for role in joined:
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), me))
    yield
    for role in joined:
        connection.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), me))


def _is_member(connection: Connection, me: str, role: str) -> bool:
    row = connection.execute("SELECT pg_has_role(%s, %s, 'USAGE')", (me, role)).fetchone()
    return bool(row and row[0])
