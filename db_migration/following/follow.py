"""The mirror and its subscription: swap in a new copy, subscribe, enable, refresh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from db_migration import catalog, sessions
from db_migration.agent import observe_working
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError
from db_migration.following import marks, slots, subscription, worker
from db_migration.pinned import options
from db_migration.postgres import (
    CERTIFICATE,
    CERTIFICATES,
    CONNECT_TIMEOUT_SECONDS,
    Connection,
    hush,
    run,
    until,
)

REFRESH_DEADLINE_SECONDS = 60
MONEY = {"lc_monetary": "C"}
"""How money is written by the source for the worker, and read by it: 1.234,50 is no number in C."""
OPTIONS_SINCE = {16: 160012, 17: 170008, 18: 180002}
"""By major, which target tells the source the `options` of its subscription. An older one sends its
own instead: a worker that reads as C would then refuse what two servers alike exchange today.
"""
SENDER_SETTINGS = MONEY | {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "row_security": "off",
}
"""How the source serves the subscription: a new table is read by one statement, however long."""
WORKER_SETTINGS = {"array_nulls": "on", "xmloption": "content", "lock_timeout": "0"}
"""How the subscription's worker reads what every server writes alike: an array's NULL would be a
word else, XML that is no document refused.
"""


@effect(Effect.DROP_SLOT)
def drop_slot(context: Context) -> None:
    """Drop our slot on the source, and those of single tables.

    An owner who may not, for he is no superuser any more, leaves it to the feed's role.
    """
    with context.owner.connect() as connection:
        try:
            slots.drop(context, connection)
        except psycopg.errors.InsufficientPrivilege:
            with context.reader.connect() as reader:
                slots.drop(context, reader)


@effect(Effect.DROP_SEED)
def drop_seed(context: Context) -> None:
    """Drop the database of a copy that can not be completed."""
    drop_database(context, context.seed_name)


@effect(Effect.DROP_OLD_MIRROR)
def drop_old_mirror(context: Context) -> None:
    """Drop the replaced mirror."""
    drop_database(context, context.old_mirror_name)


def drop_database(context: Context, name: str) -> None:
    """Drop a database that this script made; only its own sessions are ended for that.

    One with somebody else's comment is only dropped while it is empty.
    """
    with context.control.connect() as connection:
        strange = marks.is_strange(marks.of_database(connection, name))
    if strange and not observe_working.is_empty(context.server.at(name)):
        raise _not_ours(name)
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    sessions.alone(context.control, [name], partial(run, query=drop), sessions.OURS)


def _not_ours(name: str) -> BlockedError:
    return BlockedError(
        found=f"`{name}` on the target holds tables, and its comment is not ours",
        needed="this name for a copy of ours, which is dropped and made again",
        way_out=f"ALTER DATABASE {name} RENAME TO another name; this is tried again by itself",
    )


@effect(Effect.SWAP_MIRROR)
def swap_mirror(context: Context) -> None:
    """Put the new copy in the mirror's place; whoever reads there has to come in again, once."""
    names = {"fresh": context.seed_name, "old": context.old_mirror_name}
    mirror, whose = context.feed.target.database, sessions.WE_MAY_END
    sessions.swap(context.control, mirror, **names, whose=whose)


@effect(Effect.CREATE_SUBSCRIPTION)
def create_subscription(context: Context) -> None:
    """Subscribe from the slot's starting point; not yet enabled.

    A worker that flushes nothing (`synchronous_commit`, off unless said) leaves it to its last
    answers to tell the source what is kept. The next worker knows of none of that: it tells the
    source that all it was sent is kept, and what the target loses in a crash then is sent by nobody
    again.
    """
    name = sql.Identifier(context.feed.slot)
    create = sql.SQL(
        "CREATE SUBSCRIPTION {name} CONNECTION {conninfo} PUBLICATION {publication} WITH "
        "(create_slot = false, slot_name = {slot}, copy_data = false, enabled = false, "
        "synchronous_commit = 'local')"
    )
    with context.mirror.connect() as connection:
        _settle_worker(connection)
        hush(connection)
        try:
            run(
                connection,
                create.format(
                    name=name,
                    conninfo=sql.Literal(conninfo(context)),
                    publication=sql.Identifier(PUBLICATION),
                    slot=sql.Literal(context.feed.slot),
                ),
            )
        except (psycopg.OperationalError, psycopg.errors.ObjectNotInPrerequisiteState) as error:
            raise _can_not_subscribe(context, error) from None


def _settle_worker(connection: Connection) -> None:
    """Pin what the worker must not inherit: in no session of ours, it knows its role's settings."""
    change = sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} = {}")
    mirror = sql.Identifier(connection.info.dbname)
    version = connection.info.server_version
    money = MONEY if version >= OPTIONS_SINCE.get(version // 10000, 0) else {}
    for name, setting in (WORKER_SETTINGS | money).items():
        run(connection, change.format(mirror, sql.Identifier(name), sql.Literal(setting)))


def conninfo(context: Context) -> str:
    """Return how the target's server reaches the source, password included: never log it."""
    source = context.feed.source
    return make_conninfo(
        host=source.address_for_subscriber.host,
        port=source.address_for_subscriber.port,
        dbname=source.database,
        user=source.reader.user,
        password=source.reader.password(),
        sslmode=source.sslmode,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        application_name=context.feed.slot,
        options=options(SENDER_SETTINGS),
    )


@effect(Effect.RECONNECT)
def reconnect(context: Context) -> None:
    """Tell the subscription again where the source is and who enters: either may have changed.

    A worker that still asks at the old place is ended: it would not look up from there.
    """
    change = sql.SQL("ALTER SUBSCRIPTION {} CONNECTION {}")
    with context.mirror.connect() as connection:
        _settle_worker(connection)
        hush(connection)
        name, where = sql.Identifier(context.feed.slot), sql.Literal(conninfo(context))
        run(connection, change.format(name, where))
        worker.end(connection, context.feed.slot)
        worker.until_heard(connection, context.feed.slot)


def _can_not_subscribe(context: Context, error: psycopg.Error) -> BlockedError:
    """Explain what only the subscribing server has seen."""
    where = context.feed.source.address_for_subscriber
    said = error.diag.message_primary or type(error).__name__
    way_out = "check `address_for_subscriber` (the tunnel's name) from the target's server, and "
    way_out += "that the source's pg_hba.conf says scram-sha-256 or md5, not trust"
    if CERTIFICATE in said:
        way_out = CERTIFICATES.format(of="of the target's server")
    return BlockedError(
        found=f"the target's server can not subscribe at {where.host}:{where.port}: {said}",
        needed="a source that the target's server reaches, and that asks for a password",
        way_out=f"{way_out}; tried again by itself",
    )


@effect(Effect.ENABLE_SUBSCRIPTION)
def enable(context: Context) -> None:
    """Start following, and wait until the worker has heard from the source."""
    note_followed(context)
    with context.mirror.connect() as connection:
        run(connection, _alter(context, "ENABLE"))
        worker.until_heard(connection, context.feed.slot)


def note_followed(context: Context) -> None:
    """Note in the mirror's mark that from now on it may hold more than its copy did."""
    name = context.feed.target.database
    with context.control.connect() as connection:
        mark = marks.mirror_mark(marks.of_database(connection, name))
        if mark is not None and not mark.followed:
            marks.write_mirror(connection, name, replace(mark, followed=True))


@effect(Effect.DISABLE_SUBSCRIPTION)
def disable(context: Context) -> None:
    """Stop following, and wait until the worker is gone."""
    with context.mirror.connect() as connection:
        run(connection, _alter(context, "DISABLE"))
        worker.until_gone(connection, context.feed.slot)


def _alter(context: Context, how: str) -> sql.Composed:
    return sql.SQL("ALTER SUBSCRIPTION {} {}").format(
        sql.Identifier(context.feed.slot),
        sql.SQL(how),
    )


@effect(Effect.DROP_SUBSCRIPTION)
def drop_subscription(context: Context) -> None:
    """Drop the subscription without touching the source: the slot is dropped on its own.

    One that an earlier version enabled is noted here: without it nothing else tells of it.
    """
    with context.mirror.connect() as connection:
        if subscription.enabled(connection, context.feed.slot) is not None:
            note_followed(context)
            subscription.drop(connection, context.feed.slot)


@effect(Effect.REFRESH_SUBSCRIPTION)
def refresh(context: Context, changed: Callable[[], bool]) -> bool:
    """Let the subscription copy and follow the new tables, and wait until it does.

    Return False when the source has `changed` them: their workers would try for ever. The wait is
    cut short when the agent is to end: the next one goes on with it.
    """
    with context.owner.connect() as source:
        slots.note_subscriber(context, source)
    with context.mirror.connect() as connection:
        hush(connection)
        run(connection, _alter(context, "REFRESH PUBLICATION WITH (copy_data = true)"))
        in_vain = False

        def over() -> bool:
            nonlocal in_vain
            context.breathe()
            in_vain = changed()
            return in_vain or not catalog.unready(connection, context.feed.slot)

        if until(over, REFRESH_DEADLINE_SECONDS):
            return not in_vain
    raise BlockedError(
        found=f"new tables are not copied {REFRESH_DEADLINE_SECONDS} s after the refresh",
        needed="a mirror that has caught up, and a source with a free walsender and slot for each "
        "new table",
        way_out="if the mirror is behind (`lag` of `status`), wait for it; else look at "
        "max_replication_slots and max_wal_senders on the source; this is tried again by itself",
    )
