"""Make the source fit for a feed: role, `wal_level`, replica identities, publication.

What was there before is noted on the role before it is changed, so that `release` can put it back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import psycopg
from psycopg import sql

from db_migration import catalog
from db_migration.agent import observe, observe_source
from db_migration.agent.plan import Step, unfit_publication
from db_migration.config import PUBLICATION, Mode
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, UnreachableError
from db_migration.following import grants, identity, notes, publication, settings
from db_migration.journal import Journal
from db_migration.postgres import Connection, hush, run, until, value
from db_migration.snapshots import plan as snapshot_plan

SOURCE_STEPS = frozenset(
    {
        Step.CREATE_ROLE,
        Step.BOUND_WAL,
        Step.SET_WAL_LEVEL,
        Step.RESTART_SOURCE,
        Step.START_SOURCE,
        Step.FORGET_RESTART,
        Step.PUBLISH,
    }
)
"""What `prepare` may do: the source, and nothing else."""

REPLICATION_BY_ITS_LIKE = 160000
"""From this version on, who may replicate may give that right; before, superusers alone."""

RESTART_DEADLINE_SECONDS = 120
RELOAD_DEADLINE_SECONDS = 10
RESTART_SOURCE = "restart_source"
PREPARED = "prepared"
"""The source was made fit, so where nothing of ours is left there, somebody has released it."""
LOCK_BRIEFLY = "SET lock_timeout = '300ms'"
"""Shorter than `deadlock_timeout` (1 s): in a circle of locks it is always us who step back."""

IDENTITY_SECONDS, IDENTITY_EVERY = 1.0, 0.1
"""For how long a table is tried at one turn, and how often; then it is the next turn's."""


def prepare_role(context: Context, journal: Journal) -> None:
    """Make the feed's role, and remember it where `release` with the target gone does not reach."""
    create_role(context)
    journal.intend(PREPARED, on=True)


@effect(Effect.CREATE_ROLE)
def create_role(context: Context) -> None:
    """Make the feed's role on the source, or complete it: login, SELECT on everything, and
    replication where it follows.
    """
    login = context.reader.login
    with context.owner.connect() as connection:
        mode = snapshot_plan.choose(
            observe.policy(context), value(connection, "SHOW wal_level")
        ).mode
        # What could not enter then can not now: it would be changed on prod again and again.
        said = _refusal(context) if observe_source.complete(context, connection, mode) else None
        if said is None or "password authentication failed" in said:
            try:
                _complete_role(context, connection, mode)
            except psycopg.errors.InsufficientPrivilege as error:
                raise _may_not(context, connection, mode, error) from None
            said = _refusal(context)
    if said is not None:
        raise BlockedError(
            found=said,
            needed=f"a role `{login.user}` that can enter: it has a password of ours, LOGIN and "
            "CONNECT now",
            way_out="do away with what the server names (pg_hba.conf, CONNECTION LIMIT, VALID "
            "UNTIL); this is tried again by itself",
        )


def _may_not(
    context: Context, connection: Connection, mode: Mode, error: psycopg.Error
) -> BlockedError:
    """Say what an owner needs; whose role may replicate is a superuser's affair up to 15."""
    owner, right = context.owner.login.user, "CREATEROLE"
    if mode is Mode.LOGICAL:
        old = connection.info.server_version < REPLICATION_BY_ITS_LIKE
        right = "SUPERUSER" if old else "CREATEROLE REPLICATION"
    return BlockedError(
        found=f"`{owner}` can not make role `{context.reader.login.user}` fit for the feed: "
        f"{error.diag.message_primary}",
        needed=f"an owner of every table with {right}",
        way_out=f"{notes.enabling(context, connection, right)}, as a superuser, or name another "
        "`source.owner`; this is tried again by itself",
    )


def _complete_role(context: Context, connection: Connection, mode: Mode) -> None:
    login = context.reader.login
    role = sql.Identifier(login.user)
    run(connection, "SET password_encryption = 'scram-sha-256'")
    verifier = connection.pgconn.encrypt_password(
        login.password().encode(), login.user.encode(), b"scram-sha-256"
    ).decode()
    hush(connection)
    with connection.transaction():
        noted = notes.begin(context, connection)
        if noted is None:
            run(connection, sql.SQL("CREATE ROLE {}").format(role))
            noted = notes.made_now()
        replicates = sql.SQL("REPLICATION" if mode is Mode.LOGICAL else "")
        options = sql.SQL("ALTER ROLE {} LOGIN {} PASSWORD {}")
        run(connection, options.format(role, replicates, sql.Literal(verifier)))
        lacking = grants.begin(connection, login.user, noted)
        notes.write(context, connection, {**noted, "password_set": True})
    grants.give(connection, login.user, lacking)


def _refusal(context: Context) -> str | None:
    """Enter as the feed's role; return what was said against it."""
    try:
        with context.reader.connect():
            return None
    except UnreachableError as error:
        return error.found


@effect(Effect.BOUND_WAL)
def bound_wal(context: Context) -> None:
    """Have the source's server give up our slot rather than its disk: `max_slot_wal_keep_size`.

    The agent drops its slot at the same size, but an agent on a dead host can not.
    """
    megabytes = context.feed.max_retained_wal_bytes // 1024**2
    with context.owner.connect() as connection:
        _refuse_to_end_slots(context, connection)
        settings.change(context, connection, settings.WAL_BOUND, f"{megabytes}MB")
    reload(context, settings.WAL_BOUND, lambda setting: setting != "-1")


def _refuse_to_end_slots(context: Context, connection: Connection) -> None:
    """Raise BlockedError if the bound would end somebody else's slot: it holds for every slot."""
    bound = context.feed.max_retained_wal_bytes
    found = connection.execute(catalog.OTHER_SLOTS, {"slot": context.feed.slot}).fetchone()
    beyond = {name: kept for name, kept in (found or ({},))[0].items() if kept > bound}
    if beyond:
        listed = (f"slot `{name}` keeps {kept} bytes" for name, kept in sorted(beyond.items()))
        raise BlockedError(
            found=f"somebody else's {', '.join(listed)}; the bound would end it",
            needed=f"no other slot that keeps more than {bound} bytes (`max_retained_wal_bytes`), "
            "which the server is to bound every slot to",
            way_out="let its consumer catch up, drop it if nobody needs it, or set "
            "max_slot_wal_keep_size on the source as that slot needs it; this is tried again by "
            "itself",
        )


def reload(context: Context, setting: str, wanted: Callable[[str], bool]) -> None:
    """Have the source's server read its settings again, and wait until `setting` is as wanted."""
    with context.owner.connect() as connection:
        run(connection, "SELECT pg_reload_conf()")
        until(lambda: wanted(str(value(connection, f"SHOW {setting}"))), RELOAD_DEADLINE_SECONDS)


@effect(Effect.SET_WAL_LEVEL)
def set_wal_level(context: Context) -> None:
    """Set `wal_level = logical`; it counts from the next restart on."""
    with context.owner.connect() as connection:
        settings.change(context, connection, settings.WAL_LEVEL, "logical")


def restart_source(context: Context, journal: Journal) -> None:
    """Restart the source's server through its host; an intent says so while it is down."""
    journal.intend(RESTART_SOURCE, on=True)
    stop_source(context)
    start_source(context, journal)


@effect(Effect.STOP_SOURCE)
def stop_source(context: Context) -> None:
    """Stop the database on its host."""
    _host(context, "stop database")


def start_source(context: Context, journal: Journal) -> None:
    """Start the database on its host, wait until it answers, and forget the intent."""
    _start(context)
    if not until(lambda: _answers(context), RESTART_DEADLINE_SECONDS, every=0.2):
        raise BlockedError(
            found=f"the source does not answer {RESTART_DEADLINE_SECONDS} s after its start",
            needed="a source that came back after the restart",
            way_out="look at the log of the database on its host; this is tried again by itself",
        )
    journal.intend(RESTART_SOURCE, on=False)


@effect(Effect.START_SOURCE)
def _start(context: Context) -> None:
    _host(context, "start database")


def _host(context: Context, verb: str) -> None:
    if context.source_host is None:
        raise BlockedError(
            found="`host_control` of the source is not configured",
            needed="a way to restart the source",
            way_out="give `source.host_control`, or restart the database by hand",
        )
    context.source_host.run(verb)


def _answers(context: Context) -> bool:
    try:
        with context.owner.connect() as connection:
            return bool(value(connection, "SELECT NOT pg_is_in_recovery()"))
    except Exception:
        return False


@effect(Effect.PUBLISH)
def publish(context: Context) -> None:
    """Give every table an identity and publish it, in this order."""
    _publish(context, only=None)


@effect(Effect.PUBLISH_LATE_TABLES)
def publish_late(context: Context, names: list[str]) -> None:
    """Publish tables that came later; they exist on the target by now."""
    _publish(context, only=set(names))


def _publish(context: Context, only: set[str] | None) -> None:
    """Take one table after the other, each lock for itself.

    Two locks held at once could close a circle with a transaction of prod's, and the server would
    end one of the two. So no transaction spans two tables, and we give up long before prod would.
    """
    name = sql.Identifier(PUBLICATION)
    try:
        with context.owner.connect() as connection:
            run(connection, LOCK_BRIEFLY)
            tables = [
                table
                for table in catalog.tables(connection, PUBLICATION)
                if only is None or table.full_name in only
            ]
            faults = publication.faults(connection)
            if faults:
                _give_identity(context, connection, [one for one in tables if one.published])
                raise unfit_publication(faults)
            _give_identity(context, connection, tables)
            if faults is None:
                run(connection, sql.SQL("CREATE PUBLICATION {}").format(name))
            add = sql.SQL("ALTER PUBLICATION {} ADD TABLE ONLY {}")
            for table in tables:
                if not table.published:
                    run(connection, add.format(name, sql.Identifier(table.schema, table.name)))
    except psycopg.errors.LockNotAvailable:
        raise _held() from None


def _held(table: str = "a table of the source") -> BlockedError:
    return BlockedError(
        found=f"{table} is held by a long transaction",
        needed="a moment in which replica identities can be set (a short exclusive lock)",
        way_out="nothing to do: this is tried again by itself, when no such transaction is seen; "
        f"prod's statements wait {identity.LONGEST_WAIT_MS} ms for a try at most",
    )


def _give_identity(context: Context, connection: Connection, tables: list[catalog.Table]) -> None:
    """Set REPLICA IDENTITY FULL where there is no usable key, noting first what was there.

    Of a published table prod can not delete a row meanwhile: that is mended even without a note.
    """
    lacking = [table for table in tables if not table.has_identity]
    if not lacking:
        return
    try:
        notes.keep_identities(context, connection, lacking)
    except BlockedError:
        _set_full(connection, [table for table in lacking if table.published])
        raise
    _set_full(connection, lacking)


def _set_full(connection: Connection, tables: list[catalog.Table]) -> None:
    for table in tables:
        name = sql.Identifier(table.schema, table.name)
        full = partial(identity.change, connection, name, "FULL")
        if not until(full, IDENTITY_SECONDS, every=IDENTITY_EVERY):
            raise _held(table.full_name)
