"""Undo everything that the feed did on the source's server, and let the mirror be what it is.

What was there before stands in the comment of the feed's role, so it is known without the journal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from psycopg import sql

from db_migration import catalog
from db_migration.config import PUBLICATION, FeedConfig
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, MigrationError
from db_migration.following import (
    feed_role,
    follow,
    identity,
    marks,
    notes,
    publication,
    release_fence,
    settings,
    slots,
)
from db_migration.following.prepare import LOCK_BRIEFLY
from db_migration.following.release_fence import RELEASED
from db_migration.following.trace import Part, Trace
from db_migration.journal import Journal
from db_migration.postgres import Connection, rows, run, until, value

LOCK_DEADLINE_SECONDS = 60
WAL_LEVEL_SET = "`wal_level = logical` by ALTER SYSTEM"
NOT_HEARD = Trace(
    "the target, which does not answer and so has not heard of this",
    "release again when it is back: until then its agent does nothing, and says why",
)


def traces(context: Context, released: Collection[FeedConfig] = ()) -> list[Trace]:
    """List everything that the feed has done on the source's database server.

    `released` are other feeds from that server that are released before this one.
    """
    if fence := release_fence.traces(context):
        return fence
    gone = {feed.slot: feed.source.database for feed in released}
    with context.owner.connect() as connection:
        mine = _slots(context, connection)
        sharing = [name for name in _sharing(context, connection) if name not in gone]
        if sharing:
            return [*mine, _shared(context, sharing)]
        return [*mine, *_publication(connection), *_role(context, connection, gone)]


def _slots(context: Context, connection: Connection) -> list[Trace]:
    found = slots.ours(context, connection)
    return [Trace(f"replication slot `{name}`", "drop it") for name, _ in found]


def _sharing(context: Context, connection: Connection) -> list[str]:
    """Name the slots of other feeds from this database; they need all that is not this feed's."""
    here = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"
    mine = {name for (name,) in rows(connection, here) if name.startswith(f"{PUBLICATION}_")}
    return [name for name in _other_slots(context, connection) if name in mine]


def _other_slots(context: Context, connection: Connection) -> list[str]:
    """Name the slots without which the server would not start below `wal_level = logical`."""
    query = """
    SELECT slot_name FROM pg_replication_slots
    WHERE slot_type = 'logical' AND NOT temporary ORDER BY 1
    """
    mine = {name for name, _ in slots.ours(context, connection)}
    return [name for (name,) in rows(connection, query) if name not in mine]


def _only_here(context: Context, connection: Connection) -> bool:
    """Tell whether no feed from another database of this server needs the server's settings."""
    return not marks.elsewhere(connection, context.reader.login.user)


def _shared(context: Context, names: list[str]) -> Trace:
    what = f"role `{context.reader.login.user}`, publication `{PUBLICATION}` and settings"
    return Trace(what, f"leave them for `{'`, `'.join(names)}`: the last feed's release takes them")


def _publication(connection: Connection) -> list[Trace]:
    if not publication.exists(connection):
        return []
    names = publication.members(connection)
    parts = [Part("member", name) for name in names]
    if publication.noted(connection):
        parts.append(Part("our note", "COMMENT ON PUBLICATION"))
    what = f"publication `{PUBLICATION}` of {len(names)} tables"
    return [Trace(what, "drop it", tuple(parts))]


def _role(context: Context, connection: Connection, gone: Mapping[str, str]) -> list[Trace]:
    name = context.reader.login.user
    noted = marks.read_role(connection, name)
    if noted is None:
        return [Trace(text, "leave it") for text in _not_noted(context, connection)]
    elsewhere = _elsewhere(connection, name, gone)
    found = [_identity(each) for each in notes.identities(connection, noted)]
    if "wal_level_was" in noted and not elsewhere:
        undo = (
            f"{_undone(settings.WAL_LEVEL, noted)}; `{noted['wal_level_was']}` counts again "
            "after the next restart, which is yours to choose"
        )
        others = [one for one in _other_slots(context, connection) if one not in gone]
        found.append(Trace(WAL_LEVEL_SET, _kept_for(others) if others else undo))
    if "wal_bound_was" in noted and not elsewhere:
        undo = f"{_undone(settings.WAL_BOUND, noted)}, at once"
        found.append(Trace("`max_slot_wal_keep_size` by ALTER SYSTEM", undo))
    return [*found, *feed_role.traces(connection, name, noted, elsewhere)]


def _undone(name: str, noted: dict[str, Any]) -> str:
    before = settings.said_before(name, noted)
    return "reset it" if before is None else f"set `{before}` by ALTER SYSTEM again"


def _elsewhere(connection: Connection, role: str, gone: Mapping[str, str]) -> list[str]:
    """Name the other databases of this server that keep the role when the slots in `gone` went,
    each of which is in the database that it leads to.
    """
    query = "SELECT database, slot_name FROM pg_replication_slots WHERE slot_name ~ %s"
    kept = {
        database
        for database, slot in rows(connection, query, (f"^{PUBLICATION}_",))
        if slot not in gone
    }
    empty = set(gone.values()) - kept
    return [name for name in marks.elsewhere(connection, role) if name not in empty]


def _not_noted(context: Context, connection: Connection) -> list[str]:
    """Say what has no note any more of what was there before us; nothing else may be changed."""
    name = context.reader.login.user
    role_exists = "SELECT true FROM pg_roles WHERE rolname = %s"
    if context.reader.login == context.owner.login or marks.read_role(connection, name):
        return []
    if not (publication.exists(connection) and value(connection, role_exists, (name,))):
        return []
    tables = [
        f"REPLICA IDENTITY FULL on {table.full_name}"
        for table in catalog.tables(connection, PUBLICATION)
        if table.published and table.identity == "f"
    ]
    level = settings.look(connection, settings.WAL_LEVEL).by_system
    bound = settings.look(connection, settings.WAL_BOUND).by_system
    by_system = [f"`wal_level = {level}` by ALTER SYSTEM"] if level else []
    by_system += [f"`max_slot_wal_keep_size = {bound}` by ALTER SYSTEM"] if bound else []
    return [f"role `{name}`, whose note of what was there before is gone", *tables, *by_system]


def _kept_for(names: list[str]) -> str:
    return (
        f"leave it: without it the server does not start while slot `{'`, `'.join(names)}` is "
        "there; by hand, when that is gone: ALTER SYSTEM RESET wal_level"
    )


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
    found = [*release_fence.lift(context, journal), *traces(context)]
    heard = _let_go(context, journal, found)
    follow.drop_slot(context)
    with context.owner.connect() as connection:
        shared = _sharing(context, connection)
        unknown = [] if shared else _not_noted(context, connection)
    if not shared:
        drop_publication(context)
        reset_wal_level(context)
        reset_wal_bound(context)
        drop_role(context)
    if unknown:
        raise BlockedError(
            found=f"left as it is: {'; '.join(unknown)}",
            needed="the note that `prepare` leaves on the role, to put back what was there before",
            way_out="all else is undone; put back by hand what is not wanted, and drop the role "
            "with DROP OWNED BY and DROP ROLE",
        )
    if not heard:
        return [*found, NOT_HEARD]
    journal.event("release", "done", f"{len(found)} thing(s) of the source undone or left")
    return found


def _let_go(context: Context, journal: Journal, found: list[Trace]) -> bool:
    """Tell the agent to stay away, wait until it does, and drop the subscription.

    False when the target is gone: what it held can not follow without the slot anyway.
    """
    try:
        journal.open()
        journal.intend(RELEASED, on=True)
        journal.event("release", "started", "", {trace.what: trace.undo for trace in found})
        if not until(lambda: _alone(journal), LOCK_DEADLINE_SECONDS):
            raise _busy()
        follow.drop_subscription(context)
    except BlockedError:
        raise
    except MigrationError:
        return False
    return True


def _busy() -> BlockedError:
    return BlockedError(
        found=f"the agent is still at a step after {LOCK_DEADLINE_SECONDS} s",
        needed="an agent that is between two steps",
        way_out="stop the agent's container and release again",
    )


def _alone(journal: Journal) -> bool:
    with journal.alone() as alone:
        return alone


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
        if _only_here(context, connection) and not _other_slots(context, connection):
            settings.put_back(connection, settings.WAL_LEVEL, noted)


@effect(Effect.RESET_WAL_BOUND)
def reset_wal_bound(context: Context) -> None:
    """Take `max_slot_wal_keep_size` back if it was us who set it; needs no restart."""
    with context.owner.connect() as connection:
        noted: dict[str, Any] = marks.read_role(connection, context.reader.login.user) or {}
        if _only_here(context, connection) and settings.put_back(
            connection, settings.WAL_BOUND, noted
        ):
            run(connection, "SELECT pg_reload_conf()")


@effect(Effect.DROP_ROLE)
def drop_role(context: Context) -> None:
    """Drop the feed's role or leave it as it was; last: its comment tells how to undo the rest."""
    with context.owner.connect() as connection:
        feed_role.let_go(connection, context.reader.login.user)


def left_over(context: Context) -> list[str]:
    """Say what `release` could not take away; empty when the source is as before."""
    with context.owner.connect() as connection:
        level = settings.look(connection, settings.WAL_LEVEL)
    pending = level.running == "logical" and level.configured != "logical"
    return ["`wal_level` is `logical` until the next restart"] if pending else []
