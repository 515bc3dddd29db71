"""Promotion: a server's mirror becomes the database that Airbyte runs on.

Every step looks first at what is there, so a promotion that was killed is repeated from its
beginning. Nothing is dropped: what was called `airbyte` keeps its content under another name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import psycopg
from psycopg import sql

from db_migration import catalog, catalog_keys, sessions
from db_migration.config import PUBLICATION, Config, ServerConfig, slot_name
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError
from db_migration.following import marks, sequences, subscription
from db_migration.postgres import (
    Connection,
    atomically,
    become,
    rows,
    run,
    run_script,
    until,
    value,
)
from db_migration.reporting import error_text
from db_migration.sides import fences, servers

EMPTY_DEADLINE_SECONDS = 10
MARGIN = 1000


def promote(config: Config, server_name: str, epoch: int, reason: str) -> list[str]:
    """Make the mirror of the server its `airbyte`; nobody is admitted to it yet. Return what it
    lacks of the source's definitions.

    Safe to repeat with the same epoch. Raises BlockedError when the mirror is no complete copy,
    UnreachableError when the server does not answer. What feeds the mirror may be dead.
    """
    server = _server(config, server_name)
    if not promoted(server, epoch):
        _refuse_incomplete(server)
        fences.require_database_fence(config, server)
        # What an earlier life has closed: it told nobody what is lacking.
        with servers.control(server).connect() as connection:
            allow(connection, [server.mirror], on=True)
        let_go(server)
        lacking = add_late_keys(server)
        margin = max((feed.sequence_margin for feed in config.feeds), default=MARGIN)
        set_sequences(server, margin)
        close_databases(server)
        rename_databases(server, epoch, reason, lacking)
    make_mirror(server)
    open_promoted(server)
    return lacks(server, epoch)


def lacks(server: ServerConfig, epoch: int) -> list[str]:
    """Return what the server's `airbyte` lacked when it was promoted, if for this epoch."""
    with servers.control(server).connect() as connection:
        comment = marks.of_database(connection, server.database)
    return marks.active_lacks(comment) if marks.active_epoch(comment) == epoch else []


def promoted(server: ServerConfig, epoch: int) -> bool:
    """Tell whether the server's `airbyte` is what was promoted for this epoch."""
    with servers.control(server).connect() as connection:
        return marks.active_epoch(marks.of_database(connection, server.database)) == epoch


def _server(config: Config, name: str) -> ServerConfig:
    found = config.server(name)
    if found is None:
        raise BlockedError(
            found=f"`{name}` is none of our servers",
            needed=f"one of {', '.join(server.name for server in config.servers)}",
            way_out="name one of them",
        )
    return found


def _refuse_incomplete(server: ServerConfig) -> None:
    with servers.control(server).connect() as connection:
        complete = marks.mirror_mark(marks.of_database(connection, server.mirror)) is not None
    if not complete:
        raise BlockedError(
            found=f"`{server.mirror}` on {server.name} is no complete copy",
            needed="a mirror that was seeded to its end",
            way_out="wait for the feed (`db-migration status`), or choose another server",
        )


@effect(Effect.LET_GO)
def let_go(server: ServerConfig) -> None:
    """Drop the mirror's subscription."""
    name = slot_name(server.name)
    with servers.at(server, server.mirror).connect() as connection:
        if subscription.enabled(connection, name) is not None:
            subscription.drop(connection, name)


@effect(Effect.ADD_LATE_KEYS)
def add_late_keys(server: ServerConfig) -> list[str]:
    """Add the last constraints of tables that were being taken in; name those that can not be made
    and the tables that were not copied to their end.

    One that fails keeps no database from becoming prod's: nobody could write until it is mended.
    """
    with servers.control(server).connect() as connection:
        mark = marks.mirror_mark(marks.of_database(connection, server.mirror))
    if mark is None:
        return []
    with (
        servers.at(server, server.mirror).connect() as connection,
        become(connection, server.owner_role),
    ):
        lacks = _uncopied(connection, mark.begun.keys() - mark.listings)
        for name, key in catalog_keys.lacking(connection, mark.keys, mark.begun).items():
            try:
                run_script(connection, key)
            except psycopg.Error as error:
                if connection.broken:
                    raise
                lacks.append(f"constraint {name}, for {error_text.short(error)}; by hand: {key}")
    return lacks


def _uncopied(connection: Connection, names: Collection[str]) -> list[str]:
    """Say of each of these tables, whose rows have not all come, whether any has."""
    here = {table.full_name: table for table in catalog.tables(connection)} if names else {}
    some = sql.SQL("SELECT EXISTS (SELECT FROM {})")
    return [
        f"some rows of table {name}, written after its copy"
        if name in here
        and value(connection, some.format(sql.Identifier(here[name].schema, here[name].name)))
        else f"table {name} with its rows"
        for name in sorted(names)
    ]


@effect(Effect.SET_SEQUENCES)
def set_sequences(server: ServerConfig, margin: int) -> None:
    """Move each sequence past all that its source can have handed out."""
    with (
        servers.at(server, server.mirror).connect() as connection,
        connection.transaction(),
        become(connection, server.owner_role),
    ):
        sequences.go_past_rows(connection, margin)


@effect(Effect.CLOSE_DATABASES)
def close_databases(server: ServerConfig) -> None:
    """Let nobody into either database, and end the sessions in them."""
    names = [server.database, server.mirror]
    with servers.control(server).connect() as connection:
        allow(connection, names, on=False)
        end_all(connection, names)
        drop_slots(connection, server.database)


def drop_slots(connection: Connection, database: str) -> None:
    """Drop our slots in a database that nobody follows any more: they keep WAL, and their names."""
    query = (
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
        "WHERE database = %s AND slot_name LIKE %s AND NOT active"
    )
    rows(connection, query, (database, f"{PUBLICATION}%"))


def allow(connection: Connection, names: list[str], *, on: bool) -> None:
    """Open or close those of the databases that are there."""
    change = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    there = "SELECT datname FROM pg_database WHERE datname = ANY(%s) ORDER BY 1"

    def each() -> None:
        for (name,) in rows(connection, there, (names,)):
            run(connection, change.format(sql.Identifier(name), sql.Literal(on)))

    atomically(connection, each)


def end_all(connection: Connection, names: list[str]) -> None:
    """End every session in the databases that this role may end; wait until none is left."""
    end = sql.SQL(
        "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles r "
        "ON r.oid = a.usesysid WHERE a.datname = ANY(%s) AND a.pid <> pg_backend_pid() AND {}"
    ).format(sessions.WE_MAY_END.which)
    left = (
        "SELECT coalesce(string_agg(DISTINCT usename::text, ', '), '') FROM pg_stat_activity "
        "WHERE datname = ANY(%s) AND pid <> pg_backend_pid() AND usename IS NOT NULL"
    )

    def ended() -> bool:
        run(connection, end, (names,))
        return not value(connection, left, (names,))

    if not until(ended, EMPTY_DEADLINE_SECONDS, every=0.01):
        raise BlockedError(
            found=f"{value(connection, left, (names,))} still in {' or '.join(names)}",
            needed="two databases that nobody uses, so that they can be renamed",
            way_out="end these sessions as an administrator, then repeat",
        )


@effect(Effect.RENAME_DATABASES)
def rename_databases(server: ServerConfig, epoch: int, reason: str, lacks: Sequence[str]) -> None:
    """Put the mirror in the place of `airbyte`: both renames, owner and mark, or nothing."""
    before = f"{server.database}_before_{reason.replace('-', '_')}_{epoch}"
    database, mirror = sql.Identifier(server.database), sql.Identifier(server.mirror)
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    there = "SELECT true FROM pg_database WHERE datname = %s"
    owner = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    with servers.control(server).connect() as connection:

        def swap() -> None:
            if value(connection, there, (server.database,)):
                run(connection, rename.format(database, sql.Identifier(before)))
            run(connection, rename.format(mirror, database))
            run(connection, owner.format(database, sql.Identifier(server.owner_role)))
            marks.write_active(connection, server.database, epoch, reason, lacks)

        atomically(connection, swap)


@effect(Effect.MAKE_MIRROR)
def make_mirror(server: ServerConfig) -> None:
    """Make an empty mirror again, with the locale of what was promoted, closed for everybody."""
    mirror = sql.Identifier(server.mirror)
    with servers.control(server).connect() as connection:
        if not value(
            connection, "SELECT true FROM pg_database WHERE datname = %s", (server.mirror,)
        ):
            create_like(connection, server.mirror, server.database)
        run(connection, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(mirror))


def create_like(connection: Connection, name: str, like: str) -> None:
    """Create an empty database with the locale of another, or of `template0`.

    Pulumi declares databases with their locale: another one would look like drift, and the only way
    to change a database's locale is to replace it.
    """
    locale = rows(
        connection,
        "SELECT datcollate, datctype FROM pg_database WHERE datname IN (%s, 'template0') "
        "ORDER BY datname = 'template0' LIMIT 1",
        (like,),
    )[0]
    create = sql.SQL(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc "
        "LC_COLLATE {} LC_CTYPE {}"
    )
    what = (sql.Identifier(name), *(sql.Literal(part) for part in locale))
    run(connection, create.format(*what))


@effect(Effect.OPEN_PROMOTED)
def open_promoted(server: ServerConfig) -> None:
    """Let in whoever is admitted."""
    with servers.control(server).connect() as connection:
        allow(connection, [server.database], on=True)
