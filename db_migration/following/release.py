"""Undo everything that the feed did on the source's server, and let the mirror be what it is.

What was there before stands in the comment of the feed's role, so it is known without the journal.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from psycopg import sql

from db_migration import catalog
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, MigrationError
from db_migration.following import feed_role, follow, identity, marks, notes
from db_migration.following.feed_role import Trace
from db_migration.following.prepare import LOCK_BRIEFLY
from db_migration.journal import Journal
from db_migration.postgres import Connection, row, rows, run, until, value

RELEASED = "released"
LOCK_DEADLINE_SECONDS = 60


def traces(context: Context) -> list[Trace]:
    """List everything that the feed has done on the source's database server."""
    with context.owner.connect() as connection:
        return [
            *_slots(context, connection),
            *_publication(connection),
            *_role(context, connection),
        ]


def _slots(context: Context, connection: Connection) -> list[Trace]:
    query = "SELECT slot_name FROM pg_replication_slots WHERE slot_name = %s"
    found = rows(connection, query, (context.feed.slot,))
    return [Trace(f"replication slot `{name}`", "drop it") for (name,) in found]


def _publication(connection: Connection) -> list[Trace]:
    query = "SELECT count(*) FROM pg_publication_tables WHERE pubname = %s"
    if value(connection, "SELECT true FROM pg_publication WHERE pubname = %s", (PUBLICATION,)):
        number = value(connection, query, (PUBLICATION,))
        return [Trace(f"publication `{PUBLICATION}` of {number} tables", "drop it")]
    return []


def _role(context: Context, connection: Connection) -> list[Trace]:
    name = context.reader.login.user
    noted = marks.read_role(connection, name)
    if noted is None:
        return []
    found = [_identity(each) for each in notes.identities(connection, noted)]
    if "wal_level_was" in noted:
        found.append(
            Trace(
                "`wal_level = logical` by ALTER SYSTEM",
                f"reset it; `{noted['wal_level_was']}` counts again after the next restart, "
                "which is yours to choose",
            )
        )
    if "wal_bound_was" in noted:
        found.append(Trace("`max_slot_wal_keep_size` by ALTER SYSTEM", "reset it, at once"))
    return [*found, *feed_role.traces(connection, name, noted)]


def _identity(found: notes.Identity) -> Trace:
    what = f"REPLICA IDENTITY FULL on {found.name}"
    if found.now is None and found.by_oid:
        return Trace(what, "not put back: the table is gone")
    if found.now is None:
        return Trace(what, "not put back: no table is called so; if it was renamed, do it by hand")
    if not found.full:
        return Trace(what, "leave it: somebody has changed it since")
    return Trace(what, f"set it back to {found.was}")


def release(context: Context, journal: Journal) -> list[Trace]:
    """Undo it all; safe to repeat, and to run with the target gone."""
    found = traces(context)
    _let_go(context, journal)
    drop_slots(context)
    drop_publication(context)
    reset_wal_level(context)
    reset_wal_bound(context)
    drop_role(context)
    return found


def _let_go(context: Context, journal: Journal) -> None:
    """Tell the agent to stay away, wait until it does, and drop the subscription."""
    try:
        journal.open()
        journal.intend(RELEASED, on=True)
        if not until(lambda: _alone(journal), LOCK_DEADLINE_SECONDS):
            raise _busy()
        follow.drop_subscription(context)
    except BlockedError:
        raise
    except MigrationError:
        # The target is gone: what it held can not follow without the slot anyway.
        return


def _busy() -> BlockedError:
    return BlockedError(
        found=f"the agent is still at a step after {LOCK_DEADLINE_SECONDS} s",
        needed="an agent that is between two steps",
        way_out="stop the agent's container and release again",
    )


def _alone(journal: Journal) -> bool:
    with journal.alone() as alone:
        return alone


@effect(Effect.DROP_SLOT)
def drop_slots(context: Context) -> None:
    """Drop our slot."""
    with context.owner.connect() as connection:
        follow.drop_slots(context, connection)


@effect(Effect.DROP_PUBLICATION)
def drop_publication(context: Context) -> None:
    """Drop the publication, then put the replica identities back: never the other way round."""
    with context.owner.connect() as connection:
        name = sql.Identifier(PUBLICATION)
        run(connection, LOCK_BRIEFLY)
        run(connection, sql.SQL("DROP PUBLICATION IF EXISTS {}").format(name))
        noted = marks.read_role(connection, context.reader.login.user) or {}
        for found in notes.identities(connection, noted):
            if found.now is not None and found.full:
                _put_back(connection, found, sql.Identifier(*found.now))


def _put_back(connection: Connection, found: notes.Identity, table: sql.Identifier) -> None:
    changed = partial(identity.change, connection, table, found.was)
    if not until(changed, LOCK_DEADLINE_SECONDS, every=0.5):
        raise BlockedError(
            found=f"{found.name} is held by a long transaction",
            needed="a moment for a short exclusive lock, to put its replica identity back",
            way_out="release again; what is done stays done",
        )


@effect(Effect.RESET_WAL_LEVEL)
def reset_wal_level(context: Context) -> None:
    """Take `wal_level` back if it was us who set it; counts after the next restart."""
    with context.owner.connect() as connection:
        noted: dict[str, Any] = marks.read_role(connection, context.reader.login.user) or {}
        if "wal_level_was" in noted:
            run(connection, "ALTER SYSTEM RESET wal_level")


@effect(Effect.RESET_WAL_BOUND)
def reset_wal_bound(context: Context) -> None:
    """Take `max_slot_wal_keep_size` back if it was us who set it; needs no restart."""
    with context.owner.connect() as connection:
        noted: dict[str, Any] = marks.read_role(connection, context.reader.login.user) or {}
        if "wal_bound_was" in noted:
            run(connection, "ALTER SYSTEM RESET max_slot_wal_keep_size")
            run(connection, "SELECT pg_reload_conf()")


@effect(Effect.DROP_ROLE)
def drop_role(context: Context) -> None:
    """Drop the feed's role or leave it as it was; last: its comment tells how to undo the rest."""
    with context.owner.connect() as connection:
        feed_role.let_go(connection, context.reader.login.user)


def left_over(context: Context) -> list[str]:
    """Say what `release` could not take away; empty when the source is as before."""
    with context.owner.connect() as connection:
        if not catalog.settings_file_readable(connection):
            return []  # who may not read that file has not written it with ALTER SYSTEM either
        pending = row(
            connection,
            """
            SELECT setting FROM pg_settings WHERE name = 'wal_level' AND setting = 'logical'
                AND source <> 'command line' AND NOT EXISTS (
                    SELECT FROM pg_file_settings WHERE name = 'wal_level' AND setting = 'logical')
            """,
        )
    return ["`wal_level` is `logical` until the next restart"] if pending else []
