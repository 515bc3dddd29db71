"""The feed's role on the source: made, completed, and what keeps it out."""

from __future__ import annotations

import psycopg
from psycopg import sql

from db_migration.agent import observe, observe_source
from db_migration.config import Mode
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, UnreachableError
from db_migration.following import grants, notes
from db_migration.journal import Journal
from db_migration.postgres import REFUSED, Connection, hush, row, run, value
from db_migration.snapshots import plan as snapshot_plan

REPLICATION_BY_ITS_LIKE = 160000
"""From this version on, who may replicate may give that right; before, superusers alone."""

PREPARED = "prepared"
"""The source was made fit, so where nothing of ours is left there, somebody has released it."""

ENTRY = """
SELECT rolcanlogin, coalesce(rolvaliduntil <= now(), false), rolvaliduntil::text
FROM pg_roles WHERE rolname = %s
"""


def prepare_role(context: Context, journal: Journal) -> None:
    """Make the feed's role, and remember it where `release` with the target gone does not reach."""
    create_role(context)
    journal.intend(PREPARED, on=True)


@effect(Effect.CREATE_ROLE)
def create_role(context: Context) -> None:
    """Make the feed's role on the source, or complete it: login, SELECT on everything, and
    replication where it follows.
    """
    with context.owner.connect() as connection:
        mode = snapshot_plan.choose(
            observe.policy(context), value(connection, "SHOW wal_level")
        ).mode
        # What could not enter then can not now: it would be changed on prod again and again.
        said = _refusal(context) if observe_source.complete(context, connection, mode) else None
        if said is None or _is_ours_to_mend(context, connection, said):
            try:
                _complete_role(context, connection, mode)
            except psycopg.errors.InsufficientPrivilege as error:
                raise _may_not(context, connection, mode, error, said) from None
            said = _refusal(context)
        if said is not None:
            raise _kept_out(context, connection, said)


def _is_ours_to_mend(context: Context, connection: Connection, said: str) -> bool:
    """Tell whether our password would let a role in that lacks nothing else."""
    return REFUSED in said and _fault(context, connection, None) is None


def _fault(context: Context, connection: Connection, said: str | None) -> tuple[str, str] | None:
    """Name what keeps the role out, as far as the source tells, and what is to be typed there."""
    login = context.reader.login
    may_log_in, expired, until = row(connection, ENTRY, (login.user,)) or (True, False, None)
    role = sql.Identifier(login.user).as_string(connection)
    if not may_log_in:
        return "it may not log in", f"ALTER ROLE {role} LOGIN"
    if expired:
        return f"its password expired at {until}", f"ALTER ROLE {role} VALID UNTIL 'infinity'"
    if said is not None and REFUSED in said:
        text = f"ALTER ROLE {role} PASSWORD '...', with what `{login.password_file}` holds"
        return "its password is refused", text
    return None


def _kept_out(context: Context, connection: Connection, said: str) -> BlockedError:
    user, fault = context.reader.login.user, _fault(context, connection, said)
    way_out = "do away with what the server names (pg_hba.conf, CONNECTION LIMIT)"
    if fault is not None:
        said, way_out = f"role `{user}` on the source: {fault[0]} ({said})", f"{fault[1]}, there"
    return BlockedError(
        found=said,
        needed=f"a role `{user}` that can enter: it has a password of ours, LOGIN and CONNECT now",
        way_out=f"{way_out}; this is tried again by itself",
    )


def _may_not(
    context: Context,
    connection: Connection,
    mode: Mode,
    error: psycopg.Error,
    said: str | None,
) -> BlockedError:
    """Say what an owner needs; whose role may replicate is a superuser's affair up to 15."""
    owner, right = context.owner.login.user, "CREATEROLE"
    if mode is Mode.LOGICAL:
        old = connection.info.server_version < REPLICATION_BY_ITS_LIKE
        right = "SUPERUSER" if old else "CREATEROLE REPLICATION"
    fault = _fault(context, connection, said)
    why, typed = (f"{fault[0]}, and ", f"{fault[1]}, as a superuser; or ") if fault else ("", "")
    return BlockedError(
        found=f"role `{context.reader.login.user}` on the source is not fit for the feed: {why}"
        f"`{owner}` can not mend that: {error.diag.message_primary}",
        needed=f"an owner of every table with {right}",
        way_out=f"{typed}{notes.enabling(context, connection, right)}, as a superuser, or name "
        "another `source.owner`; this is tried again by itself",
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
