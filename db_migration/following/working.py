"""The working database: a clone of the mirror that the standby Airbyte may write to.

The clone is made complete beside the one in use and swapped in by rename; it is never swapped under
a connected Airbyte. All its connections are inactive, so that the standby syncs nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import psycopg
from psycopg import sql

from airbyte import tables
from db_migration import sessions
from db_migration.config import WorkingDatabaseConfig
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, MigrationError
from db_migration.following import follow, marks
from db_migration.journal import Journal
from db_migration.postgres import Connection, become, run, value
from db_migration.sides import standby
from db_migration.sides.hosts import HostControl

READER_STOPPED = "reader_stopped"


def settings(context: Context) -> WorkingDatabaseConfig:
    """Return the working database's settings; the planner asks for nothing here without them."""
    found = context.feed.working_database
    if found is None:
        raise BlockedError(
            found="no working database is configured",
            needed="`working_database`",
            way_out="configure it",
        )
    return found


def next_name(context: Context) -> str:
    """Where the clone is made."""
    return f"{settings(context).name}_next"


def old_name(context: Context) -> str:
    """What the replaced one is called until it is dropped."""
    return f"{settings(context).name}_old"


def clone(context: Context) -> None:
    """Pause the feed, clone the mirror, resume at once, then make the clone harmless and mark
    it.

    Raises BlockedError, the feed not paused, while somebody is in the mirror who may not be ended.
    """
    name, whose = context.feed.target.database, sessions.WE_MAY_END
    with context.control.connect() as connection:
        mirror = marks.mirror_mark(marks.of_database(connection, name))
        if who := sessions.others(connection, [name], whose):
            raise sessions.in_use(who, [name], whose)
    if mirror is not None and mirror.snapshot is not None:
        mark = replace(clone_mirror(context), source_lsn=mirror.lsn)
    else:
        mark = _clone_still(context)
    make_harmless(context)
    mark_complete(context, mark)


def _clone_still(context: Context) -> marks.WorkingMark:
    """Clone the mirror while the feed pauses, which goes on whatever happens."""
    try:
        follow.disable(context)
        mark = clone_mirror(context)
    except BaseException:
        # What fails here, too, would hide what went wrong first; the plan enables the feed as well.
        with suppress(MigrationError, psycopg.Error):
            follow.enable(context)
        raise
    follow.enable(context)
    return mark


@effect(Effect.CLONE_WORKING)
def clone_mirror(context: Context) -> marks.WorkingMark:
    """Clone the mirror, and say which moment of the source it shows."""
    name, mirror = next_name(context), context.feed.target.database
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with context.owner.connect() as source:
        query = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s"
        lsn = value(source, query, (context.feed.slot,))

    def made(connection: Connection) -> str:
        at = str(value(connection, "SELECT to_json(now()) #>> '{}'"))
        run(connection, create.format(sql.Identifier(name), sql.Identifier(mirror)))
        marks.write_unfinished(connection, name)
        revoke = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC")
        run(connection, revoke.format(sql.Identifier(name)))
        return at

    made_at = sessions.alone(context.control, [mirror], made, sessions.WE_MAY_END)
    return marks.WorkingMark(made_at=made_at, source_lsn=lsn or "", complete=True)


@effect(Effect.PREPARE_WORKING)
def make_harmless(context: Context) -> None:
    """Deactivate every connection and give the clone to Airbyte's role."""
    owner = settings(context).owner_role
    with context.server.at(next_name(context)).connect() as connection, connection.transaction():
        exists = tables.CONNECTIONS_EXIST
        with become(connection, context.feed.target.owner_role):
            if value(connection, sql.SQL(exists.text), exists.arguments):
                off = tables.DEACTIVATE_CONNECTIONS
                run(connection, sql.SQL(off.text), off.arguments)
        name, role = sql.Identifier(next_name(context)), sql.Identifier(owner)
        run(connection, sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, role))


@effect(Effect.MARK_WORKING)
def mark_complete(context: Context, mark: marks.WorkingMark) -> None:
    """Say that the clone may be used, and how old it is."""
    with context.control.connect() as connection:
        marks.write_working(connection, next_name(context), mark)


def swap(context: Context, journal: Journal) -> None:
    """Put the clone in place; the standby Airbyte is stopped around it if it may be."""
    host = standby.current_host(context)
    if host is not None:
        journal.intend(READER_STOPPED, on=True)
        stop_reader(context, host)
    swap_in(context)
    standby.admit(context)
    if host is not None:
        start_reader(context, journal)


@effect(Effect.SWAP_WORKING)
def swap_in(context: Context) -> None:
    """Rename the clone into place; fails, and changes nothing, while anybody is connected."""
    names = {"fresh": next_name(context), "old": old_name(context)}
    sessions.swap(context.control, settings(context).name, **names, whose=sessions.OURS)


@effect(Effect.STOP_READER)
def stop_reader(context: Context, host: HostControl) -> None:
    """Stop the standby Airbyte."""
    standby.stop(host, context)


def start_reader(context: Context, journal: Journal) -> None:
    """Start the standby Airbyte again, and forget that it was stopped."""
    _start_reader(context)
    journal.intend(READER_STOPPED, on=False)


@effect(Effect.START_READER)
def _start_reader(context: Context) -> None:
    host = standby.current_host(context)
    if host is not None:
        standby.start(host, context)


@effect(Effect.DROP_OLD_WORKING)
def drop_old(context: Context) -> None:
    """Drop the replaced working database."""
    follow.drop_database(context, old_name(context))


@effect(Effect.DROP_NEXT_WORKING)
def drop_next(context: Context) -> None:
    """Drop a clone that is not complete or not wanted."""
    follow.drop_database(context, next_name(context))
