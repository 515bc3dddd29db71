"""Which Airbyte a database server lets in: at most one, whatever its host believes."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from db_migration.config import ServerConfig
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError
from db_migration.postgres import Connection, atomically, rows, run, until, value
from db_migration.sides import servers

END_DEADLINE_SECONDS = 10
QUIET_LOOKS = 2
"""A session that was let in just before the REVOKE shows a moment later."""


@effect(Effect.ADMIT)
def admit(server: ServerConfig, roles: Sequence[str], role: str | None) -> None:
    """Let `role` in and nobody else of `roles`, and end the others' sessions.

    Databases and roles that are not there are left out. Raises UnreachableError when the server
    does not answer, BlockedError when a session does not end.
    """
    with servers.control(server).connect() as connection:
        known = _present(connection, "pg_roles", "rolname", roles)
        names = _present(connection, "pg_database", "datname", server.live_databases)
        others = [other for other in known if other != role]

        def change() -> None:
            for name in names:
                for other in others:
                    run(connection, _change("REVOKE CONNECT ON DATABASE {} FROM {}", name, other))
                if role in known:
                    run(connection, _change("GRANT CONNECT ON DATABASE {} TO {}", name, str(role)))

        atomically(connection, change)
        end_sessions(connection, others)


def admitted(connection: Connection, server: ServerConfig, roles: Sequence[str]) -> list[str]:
    """Return which of `roles` may enter the server's database, and all of its Temporal's."""
    found = rows(
        connection,
        """
        SELECT r.rolname FROM pg_roles r
        WHERE r.rolname = ANY(%s) AND (SELECT bool_or(has_database_privilege(
            r.rolname, d.datname, 'CONNECT')) FROM pg_database d WHERE d.datname = ANY(%s))
        ORDER BY 1
        """,
        (list(roles), server.live_databases),
    )
    return [name for (name,) in found]


def due(
    connection: Connection, server: ServerConfig, roles: Sequence[str], role: str | None
) -> bool:
    """Tell whether anything is missing to what `admit` brings about."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_roles r, pg_database d WHERE r.rolname = ANY(%s) "
        "AND d.datname = ANY(%s) AND NOT r.rolsuper "
        "AND has_database_privilege(r.oid, d.oid, 'CONNECT') <> (r.rolname = %s))"
    )
    return bool(value(connection, query, (list(roles), server.live_databases, role or "")))


def end_sessions(connection: Connection, roles: Sequence[str]) -> None:
    """End the sessions of `roles`, until none is left."""
    end = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = ANY(%s) "
        "AND pid <> pg_backend_pid()"
    )
    quiet = 0

    def ended() -> bool:
        nonlocal quiet
        quiet = 0 if value(connection, end, (list(roles),)) else quiet + 1
        return quiet >= QUIET_LOOKS

    if not until(ended, END_DEADLINE_SECONDS, every=0.02):
        raise BlockedError(
            found=f"sessions of {', '.join(roles)} do not end within {END_DEADLINE_SECONDS} s",
            needed="a server that only the admitted Airbyte uses",
            way_out="look at pg_stat_activity on the server; then repeat",
        )


def _present(connection: Connection, catalog: str, column: str, names: Sequence[str]) -> list[str]:
    query = sql.SQL("SELECT {0} FROM {1} WHERE {0} = ANY(%s) ORDER BY 1").format(
        sql.Identifier(column), sql.Identifier(catalog)
    )
    return [name for (name,) in rows(connection, query, (list(names),))]


def _change(text: str, database: str, role: str) -> sql.Composed:
    template = sql.SQL(text)
    return template.format(sql.Identifier(database), sql.Identifier(role))
