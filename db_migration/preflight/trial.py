"""Rights that are tried, not assumed: in transactions that are rolled back, and by connecting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql

from db_migration import catalog_grants
from db_migration.agent import observe, observe_source
from db_migration.config import Mode
from db_migration.context import Context
from db_migration.errors import MigrationError
from db_migration.following import follow, marks
from db_migration.postgres import (
    MAKE_ROOM,
    Connection,
    Endpoint,
    crowded,
    hush,
    run,
    value,
)
from db_migration.preflight.checklist import Check, Result, judged
from db_migration.reporting.error_text import of_person
from db_migration.snapshots import plan as snapshot_plan

PROBE = "airbyte_migration_preflight"
"""Name of what is made only to be rolled back."""
OWNS = """
SELECT rolsuper OR NOT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT pg_has_role(c.relowner, 'USAGE'))
FROM pg_roles WHERE rolname = current_user
"""
Try = Callable[[Context, Connection], None]


@dataclass(frozen=True)
class Right:
    """Something that the feed will do, and who does it where."""

    id: str
    title: str
    endpoint: Callable[[Context], Endpoint]
    attempt: Try
    why: str
    way_out: str
    follows: bool = False
    """Whether it is of use only to who follows the log."""


def checks(context: Context, mode: Mode) -> Iterator[Check]:
    """Try every right that the mode needs; the source's reader only once it is there."""
    with context.owner.connect() as connection:
        has_reader = marks.read_role(connection, context.reader.login.user) is not None
        has_reader = has_reader or context.reader.login == context.owner.login
    follows = mode is not Mode.SNAPSHOT
    for right in RIGHTS:
        needed = follows or not right.follows
        yield _tried(context, right) if needed else _not_yet(right, follows)
    for right in WITH_READER:
        yield _tried(context, right) if has_reader and follows else _not_yet(right, follows)


def _tried(context: Context, right: Right) -> Check:
    said = refusal(context, right)
    return Check(
        id=right.id,
        title=right.title,
        result=judged(said is None),
        found="tried: it works" if said is None else f"tried: {said}",
        needed="that it works",
        why=right.why,
        way_out=of_person(MAKE_ROOM) if said is not None and crowded(said) else right.way_out,
    )


def _not_yet(right: Right, follows: bool) -> Check:
    found = "the feed's role is not there yet" if follows else "snapshot mode follows nothing"
    return Check(
        id=right.id,
        title=right.title,
        result=Result.NOT_APPLICABLE,
        found=f"not tried: {found}",
        needed="the role, which `prepare` makes" if follows else "nothing",
        why=right.why,
        way_out="nothing to do" + ("; look again once the feed is prepared" if follows else ""),
    )


def refusal(context: Context, right: Right) -> str | None:
    """Try it and take it back; return what the server said against it."""
    try:
        with right.endpoint(context).connect() as connection:
            hush(connection)
            with connection.transaction(force_rollback=True):
                right.attempt(context, connection)
    except MigrationError as error:
        return error.found
    except psycopg.Error as error:
        return error.diag.message_primary or str(error).partition("\n")[0]
    return None


def _own(context: Context, connection: Connection) -> None:
    if not value(connection, OWNS):
        msg = "the role neither owns every table nor is a superuser"
        raise psycopg.errors.InsufficientPrivilege(msg)
    if kept := catalog_grants.not_to_give(connection, context.reader.login.user):
        msg = f"the role may not let the feed's role read what others own: {', '.join(kept)}"
        raise psycopg.errors.InsufficientPrivilege(msg)


def _asks(context: Context, connection: Connection) -> None:
    del connection
    with context.owner.connect(require_auth="scram-sha-256,md5"):
        pass


def _publish(context: Context, connection: Connection) -> None:
    del context
    run(connection, sql.SQL("CREATE PUBLICATION {}").format(sql.Identifier(PROBE)))


def _make_role(context: Context, connection: Connection) -> None:
    """Do what `prepare` will: make the role, or complete one that lacks something."""
    name, allowed = context.reader.login.user, observe.policy(context)
    wal_level = value(connection, "SHOW wal_level")
    if observe_source.role_ready(context, connection, wal_level, allowed):
        return
    role = sql.Identifier(name)
    if not value(connection, "SELECT true FROM pg_roles WHERE rolname = %s", (name,)):
        run(connection, sql.SQL("CREATE ROLE {}").format(role))
    follows = snapshot_plan.choose(allowed, wal_level).mode is Mode.LOGICAL
    complete = sql.SQL("ALTER ROLE {} LOGIN {}")
    run(connection, complete.format(role, sql.SQL("REPLICATION" if follows else "")))


def _act_as_owner(context: Context, connection: Connection) -> None:
    """Use the owner's rights in both ways: as one's own (INHERIT), and in its name (SET)."""
    owner = sql.Identifier(context.feed.target.owner_role)
    inherited = "ALTER DEFAULT PRIVILEGES FOR ROLE {0} GRANT SELECT ON TABLES TO {0}"
    run(connection, sql.SQL(inherited).format(owner))
    run(connection, sql.SQL("SET LOCAL ROLE {}").format(owner))


def _make_databases(context: Context, connection: Connection) -> None:
    del context  # CREATE DATABASE can not be rolled back: the one right that is only looked up
    query = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    if not value(connection, query):
        msg = "the role has no CREATEDB"
        raise psycopg.errors.InsufficientPrivilege(msg)


def _journal(context: Context, connection: Connection) -> None:
    del context
    run(connection, sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(PROBE)))


def _keep_quiet(context: Context, connection: Connection) -> None:
    del context
    run(connection, "SET LOCAL log_min_error_statement = 'panic'")


def _subscribe(context: Context, connection: Connection) -> None:
    """Make a subscription without connecting: shows the right, and touches nobody else."""
    make = "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {} WITH (connect = false)"
    name = sql.Identifier(PROBE)
    where = sql.Literal("host=localhost password=none")
    run(connection, sql.SQL(make).format(name, where, name))


def _reach_source(context: Context, connection: Connection) -> None:
    """Let the target's own server enter the source, as the subscription will."""
    make = (
        "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {} "
        "WITH (create_slot = false, slot_name = NONE, enabled = false, copy_data = false)"
    )
    name = sql.Identifier(PROBE)
    where = sql.Literal(follow.conninfo(context))
    # The server only warns of a publication that is not there.
    run(connection, "SET LOCAL client_min_messages = 'error'")
    run(connection, sql.SQL(make).format(name, where, name))


def _replicate(context: Context, connection: Connection) -> None:
    """Open a walsender, the only kind of connection that can make and export a slot."""
    del connection
    with context.reader.connect(replication="database") as walsender:
        walsender.pgconn.exec_(b"IDENTIFY_SYSTEM")


_SETUP = "run `pulumi up`, or grant it as in db_migration/target_setup.sql"
_OWNER = (
    "name a superuser (compose's DATABASE_USER, `docker`) as `source.owner`; up to PostgreSQL 15 "
    "nobody else may make, or change, a role that replicates"
)

RIGHTS = (
    Right(
        "source.owner",
        "The source's owner owns all that is there",
        lambda context: context.owner,
        _own,
        "only the owner can let the feed's role read a table, publish it and give it an identity",
        _OWNER,
    ),
    Right(
        "source.password",
        "The source asks for a password",
        lambda context: context.owner,
        _asks,
        "a subscription of a role that is no superuser is refused otherwise",
        "replace `trust` in the source's pg_hba.conf for the way that the feed takes",
    ),
    Right(
        "source.may_publish",
        "The source's owner may make a publication",
        lambda context: context.owner,
        _publish,
        "it names the tables whose changes are sent",
        f"{_OWNER}; if an event trigger says it, whose function finds nothing by `search_path`: "
        "ALTER FUNCTION ... SET search_path = ..., or ALTER EVENT TRIGGER ... DISABLE meanwhile",
        follows=True,
    ),
    Right(
        "source.may_make_role",
        "The source's owner may make the feed's role",
        lambda context: context.owner,
        _make_role,
        "the feed reads with a role of its own, which `release` drops again",
        _OWNER,
    ),
    Right(
        "target.createdb",
        "The feed's role may make databases on the target",
        lambda context: context.control,
        _make_databases,
        "every new copy is made in a database of its own, then swapped in by rename",
        _SETUP,
    ),
    Right(
        "target.owner_role",
        "The feed's role may act as the owner of the copy",
        lambda context: context.control,
        _act_as_owner,
        "tables are made in the name of Airbyte's role, which has to own them, and read without it",
        _SETUP,
    ),
    Right(
        "target.journal",
        "The feed's role may write its journal",
        lambda context: context.control,
        _journal,
        "intents and the audit trail are kept there",
        _SETUP,
    ),
    Right(
        "target.quiet_log",
        "The feed's role may keep statements with a password out of the server's log",
        lambda context: context.control,
        _keep_quiet,
        "CREATE SUBSCRIPTION holds the password of the source's role",
        _SETUP,
    ),
    Right(
        "target.subscribe",
        "The feed's role may subscribe",
        lambda context: context.mirror,
        _subscribe,
        "the target's own server follows the source",
        _SETUP,
    ),
)

WITH_READER = (
    Right(
        "source.replication",
        "The feed's role may open a replication connection",
        lambda context: context.reader,
        _replicate,
        "the slot and its snapshot are made through one",
        "run `db-migration prepare`; look for a line `replication` in the source's pg_hba.conf",
    ),
    Right(
        "source.path",
        "The target's own server reaches the source",
        lambda context: context.mirror,
        _reach_source,
        "the subscription connects from there, not from here",
        "look at the tunnel, at `address_for_subscriber` and at the source's pg_hba.conf",
    ),
)
