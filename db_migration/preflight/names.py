"""Whether the names that the feed will use are free, or its own."""

from __future__ import annotations

from collections.abc import Iterator

from db_migration.agent import observe_working
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.errors import UnreachableError
from db_migration.following import marks, publication
from db_migration.postgres import Connection, row, value
from db_migration.preflight.checklist import Check, Result, judged, named
from db_migration.preflight.facts import TargetFacts


def target(context: Context, facts: TargetFacts) -> Iterator[Check]:
    """Judge the databases on the target; one that is neither empty nor ours is never touched."""
    yield _mirror(context, facts)
    names = [context.seed_name, context.old_mirror_name]
    working = context.feed.working_database
    if working is not None:
        names += [f"{working.name}_next", f"{working.name}_old"]
    yield _copies(context, facts, names)
    if working is not None:
        yield _working(context, facts, working.name)


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
        found = "empty" if empty else "holds tables"
    except UnreachableError as error:
        empty, found = False, error.found
    return Check(
        id="target.mirror",
        title="The mirror is empty, or ours",
        result=judged(empty or ours),
        found="ours" if ours else found,
        needed="empty, or made by this script",
        why="the mirror is replaced as a whole",
        way_out="run `pulumi up`, which declares it, or name another database",
    )


def _working(context: Context, facts: TargetFacts, name: str) -> Check:
    ours = marks.working_mark(facts.comments.get(name)) is not None
    empty = name not in facts.comments
    found = "not there yet" if empty else "holds tables and has no mark of ours"
    if ours:
        found = "ours"
    elif not empty:
        try:
            empty = observe_working.is_empty(context.mirror.at(name))
            found = "empty" if empty else found
        except UnreachableError as error:
            found = error.found
    return Check(
        id="target.working_database",
        title="The working database is empty, or ours",
        result=judged(ours or empty, Result.WARNING),
        found=found,
        needed="empty, or made by this script",
        why="a working database with anybody else's tables is never replaced",
        way_out="empty it, or name another `working_database`",
    )


def source(context: Context, connection: Connection) -> Iterator[Check]:
    """Judge role, publication and slot of our names on the source."""
    role = context.reader.login.user
    noted = marks.read_role(connection, role) is not None
    exists = value(connection, "SELECT true FROM pg_roles WHERE rolname = %s", (role,))
    own = context.reader.login == context.owner.login
    faults = publication.faults(connection)
    strange = list(faults or ())
    slot = row(
        connection,
        "SELECT database, plugin FROM pg_replication_slots WHERE slot_name = %s",
        (context.feed.slot,),
    )
    if slot is not None and slot != (context.feed.source.database, "pgoutput"):
        strange.append(f"slot `{context.feed.slot}` is of database {slot[0]}, plugin {slot[1]}")
    before = bool(exists) and not noted and not own
    there = ["the role was there before: `release` keeps it"] if before else []
    if not noted and not own and faults is not None:
        there.append(f"publication `{PUBLICATION}` was there before: `release` drops it")
    yield Check(
        id="source.names",
        title="The feed's names on the source are free, or ours",
        result=judged(not strange, Result.FAIL) if strange else judged(not there, Result.WARNING),
        found="; ".join([*strange, *there]) or "free, or ours",
        needed=f"role `{role}`, publication `{PUBLICATION}` and slot `{context.feed.slot}` free, "
        "or made by this script",
        why="what somebody else uses under our name would be changed, and what a publication "
        "leaves out never arrives",
        way_out="rename or drop these, or give the feed's target another name",
    )
