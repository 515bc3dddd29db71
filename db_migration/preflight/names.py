"""Whether the names that the feed will use are free, or its own."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from db_migration.agent import observe_working
from db_migration.config import PUBLICATION, WorkingDatabaseConfig
from db_migration.context import Context
from db_migration.errors import UnreachableError
from db_migration.following import marks, publication
from db_migration.postgres import Connection, row, run, value
from db_migration.preflight.checklist import Check, Result, judged, named
from db_migration.preflight.facts import SourceFacts, TargetFacts

HELD = "holds tables and has no mark of ours"


def target(context: Context, facts: TargetFacts, source: SourceFacts | None) -> Iterator[Check]:
    """Judge the databases on the target; one that is neither empty nor ours is never touched."""
    itself = source.itself if source is not None else None
    is_source = itself is not None and itself == facts.itself
    yield _the_source(context) if is_source else _mirror(context, facts)
    names = [context.seed_name, context.old_mirror_name]
    working = context.feed.working_database
    if working is not None:
        names += [f"{working.name}_next", f"{working.name}_old"]
    yield _copies(context, facts, names)
    if working is not None:
        yield _working(context, facts, working)


def _copies(context: Context, facts: TargetFacts, names: list[str]) -> Check:
    there = [name for name in names if name in facts.comments]
    taken = [name for name in there if marks.decode(facts.comments[name]) is None]
    filled = [name for name in taken if not _is_empty(context, name)]
    return Check(
        id="target.names",
        title="The names of the copies in the making are free, or ours",
        result=judged(False) if filled else judged(not taken, Result.WARNING),
        found=f"there without a mark of ours: {named(taken)}; of these not empty: {named(filled)}",
        needed="databases of these names only if this script made them: " + ", ".join(names),
        why="what is found under these names counts as a copy that was never completed, and is "
        "dropped",
        way_out="rename these databases, if they are somebody else's",
    )


def _is_empty(context: Context, name: str) -> bool:
    """Tell whether there is nothing to lose in it; one that lets us not in is somebody's."""
    try:
        return observe_working.is_empty(context.server.at(name))
    except UnreachableError:
        return False


def _mirror(context: Context, facts: TargetFacts) -> Check:
    name = context.feed.target.database
    ours = marks.mirror_mark(facts.comments.get(name)) is not None
    try:
        empty = observe_working.is_empty(context.mirror)
        found = "empty" if empty else HELD
    except UnreachableError as error:
        empty, found = False, error.found
    tried = name in facts.comments and found != HELD
    refused = _may_not_replace(context, name) if tried else ""
    return Check(
        id="target.mirror",
        title="The mirror is empty, or ours",
        result=judged((empty or ours) and not refused),
        found=("ours" if ours else found) + refused,
        needed="empty, or made by this script, and owned by the feed's role",
        why="the mirror is replaced as a whole: a new copy is renamed to take its place",
        way_out=_owned(context, name)
        if refused or name not in facts.comments
        else "run `pulumi up`, which declares it, or name another database",
    )


def _the_source(context: Context) -> Check:
    source, mirror = context.feed.source, context.feed.target
    return Check(
        id="target.mirror",
        title="The mirror is another database than the source",
        result=Result.FAIL,
        found=f"`{mirror.database}` at {mirror.host}:{mirror.port} is the source itself, "
        f"`{source.database}` at {source.host}:{source.port}",
        needed="two databases",
        why="the mirror is replaced as a whole: the source would be",
        way_out="name prod's own address and database in `source`, or a database for the copy "
        "alone in `target`",
    )


def _may_not_replace(context: Context, name: str) -> str:
    """Try, and take back, what only a database's owner may, as is its renaming; "" if it works."""
    try:
        with context.control.connect() as connection, connection.transaction(force_rollback=True):
            comment = sql.SQL("COMMENT ON DATABASE {} IS NULL").format(sql.Identifier(name))
            run(connection, comment)
    except psycopg.errors.InsufficientPrivilege as error:
        return f", but not to be renamed by the feed's role: {error.diag.message_primary}"
    return ""


def _owned(context: Context, name: str) -> str:
    role = context.control.login.user
    return (
        f"run `pulumi up`, which declares it; by hand: CREATE DATABASE {name} OWNER {role}, or, of "
        f"one that is there, ALTER DATABASE {name} OWNER TO {role}; or name another database"
    )


def _working(context: Context, facts: TargetFacts, working: WorkingDatabaseConfig) -> Check:
    name = working.name
    ours = marks.working_mark(facts.comments.get(name)) is not None
    empty = name not in facts.comments
    found = "not there yet" if empty else HELD
    if ours:
        found = "ours"
    elif not empty:
        try:
            empty = observe_working.is_empty(context.mirror.at(name))
            found = "empty" if empty else found
        except UnreachableError as error:
            found = error.found
    tried = name in facts.comments and found != HELD
    refused = _may_not_replace(context, name) if tried else ""
    return Check(
        id="target.working_database",
        title="The working database is empty, or ours",
        result=judged((ours or empty) and not refused, Result.WARNING),
        found=found + refused,
        needed="empty, or made by this script, and owned by a role that the feed's is a member of",
        why="a working database with anybody else's tables is never replaced",
        way_out=f"ALTER DATABASE {name} OWNER TO {working.owner_role}; grant the feed's role that "
        "one as in db_migration/target_setup.sql"
        if refused
        else "empty it, or name another `working_database`",
    )


def source(context: Context, connection: Connection) -> Iterator[Check]:
    """Judge role, publication and slot of our names on the source."""
    role = context.reader.login.user
    noted = marks.read_role(connection, role) is not None
    exists = value(connection, "SELECT true FROM pg_roles WHERE rolname = %s", (role,))
    own = context.reader.login == context.owner.login
    faults = publication.faults(connection)
    drop = f"DROP PUBLICATION {PUBLICATION}, or ALTER PUBLICATION ... RENAME TO another name"
    ways = [drop] if faults else []
    strange = list(faults or ())
    slot = row(
        connection,
        "SELECT database, plugin FROM pg_replication_slots WHERE slot_name = %s",
        (context.feed.slot,),
    )
    if slot is not None and slot != (context.feed.source.database, "pgoutput"):
        strange.append(f"slot `{context.feed.slot}` is of database {slot[0]}, plugin {slot[1]}")
        ways.append(
            f"SELECT pg_drop_replication_slot('{context.feed.slot}'), if nobody reads it, or give "
            "the feed's target another name, which names the slot"
        )
    before = bool(exists) and not noted and not own
    there = ["the role was there before: `release` keeps it"] if before else []
    ways += ["name another role as `source.reader`, or leave it"] if before else []
    if not noted and not own and faults is not None:
        there.append(f"publication `{PUBLICATION}` was there before: `release` drops it")
        ways += [drop] if not faults else []
    yield Check(
        id="source.names",
        title="The feed's names on the source are free, or ours",
        result=judged(not strange, Result.FAIL) if strange else judged(not there, Result.WARNING),
        found="; ".join([*strange, *there]) or "free, or ours",
        needed=f"role `{role}`, publication `{PUBLICATION}` and slot `{context.feed.slot}` free, "
        "or made by this script",
        why="what somebody else uses under our name would be changed, and what a publication "
        "leaves out never arrives",
        way_out="; ".join(ways) or "nothing to do",
    )
