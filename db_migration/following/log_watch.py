"""Notice that a server was set back, to a backup or to a standby that lacked its last log.

What was applied since is gone from a target then, and the slot, which was told that it is kept,
does not send it again; on a source, the slot skips what is written up to where it stood. Nothing
else shows either, and often no agent is there to see it.

So how far both logs (WAL) are is noted on both sides, now and again, in the same words: in the
mirror's mark, and in the comment of the source's publication. Who is set back has an older note
than the other one, or none, whatever was written since. db_migration/agent/copies.py compares them.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import psycopg
import structlog

from db_migration.agent import copies
from db_migration.agent.state import Log, Logs, Mark, Observed, Source, Target
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import MigrationError, UnreachableError
from db_migration.following import marks, publication
from db_migration.journal import LOCK_CLASS, Journal
from db_migration.postgres import Connection, row, run

FLUSHED = """
SELECT system_identifier::text, CASE WHEN NOT pg_is_in_recovery() THEN ARRAY[
    ('x' || lpad(left(pg_walfile_name(pg_current_wal_flush_lsn()), 8), 16, '0'))::bit(64)::bigint,
    pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint] END
FROM pg_control_system()
"""
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(%s, 1)"
"""The feeds from one database share a publication, and its comment."""
DURABLE = "SET synchronous_commit = local"
"""A note that a crash takes back looks like a server that was set back."""
log = structlog.get_logger()


def look(connection: Connection, side: str) -> Log:
    """Read how far a server's log is; raise UnreachableError while it is a standby."""
    server, flushed = row(connection, FLUSHED) or ("", None)
    if flushed is None:
        raise UnreachableError(
            found=f"the {side} is in recovery: a standby, or a backup not wholly restored",
            needed=f"a {side} that takes writes",
            way_out="promote it, or name the primary in its place; this is tried again by itself",
        )
    return Log(server, *flushed)


def noted(connection: Connection, slot: str) -> Logs | None:
    """Read what is noted on the source of this slot's reader."""
    return marks.logs(_noted(connection).get(slot))


def read_again(context: Context, source: Source | None, target: Target) -> Source | None:
    """Return the source with its note read once more, if it is not that of the mirror's mark.

    An agent may have made another one since the source was looked at: who looks beside it would see
    a server that was set back.
    """
    mark = target.mirror.mark
    if source is None or mark is None or copies.set_back(mark, source, target) is None:
        return source
    try:
        with context.owner.connect() as connection:
            return replace(source, noted=noted(connection, context.feed.slot))
    except (UnreachableError, psycopg.OperationalError):
        return source


def keep(context: Context, journal: Journal, seen: Observed) -> None:
    """Note both logs on both sides if they have grown; whoever calls it has nothing else to do."""
    source, target = seen.source, seen.target
    if source is None or target is None or target.subscription is None:
        return
    mark = target.mirror.mark
    notes = copies.next_note(mark, source, target) if mark is not None else None
    if mark is None or notes is None:
        return
    try:
        with journal.alone() as alone, context.owner.connect() as connection:
            if alone and _ours(connection):
                _note(context, connection, mark, notes)
    except (MigrationError, psycopg.Error) as error:
        log.debug("logs are not noted", feed=context.feed.name, error=type(error).__name__)


def _noted(connection: Connection) -> dict[str, Any]:
    """Read what is noted on the publication, by slot; nothing, where there is none."""
    comment, _ = publication.comment(connection)
    return marks.decode(comment) or {}


def _ours(connection: Connection) -> bool:
    """Tell whether the publication is there, and its comment ours to write."""
    comment, may = publication.comment(connection)
    return may and not marks.is_strange(comment)


def _note(
    context: Context, source: Connection, mark: Mark, notes: tuple[Logs | None, Logs]
) -> None:
    """Make a note that a kill at any point leaves in agreement: the mark tells of both meanwhile.

    A mirror that is another one than was looked at keeps its mark, and so its older note.
    """
    with context.control.connect() as control:
        found = marks.of_database(control, context.feed.target.database)
        if marks.mirror_mark(found) == mark:
            _mark(context, control, replace(mark, noted=notes))
            _note_on_source(source, context.feed.slot, notes[-1])
            _mark(context, control, replace(mark, noted=notes[-1:]))


@effect(Effect.MARK_LOGS)
def _mark(context: Context, control: Connection, mark: Mark) -> None:
    run(control, DURABLE)
    marks.write_mirror(control, context.feed.target.database, mark)


@effect(Effect.NOTE_LOGS)
def _note_on_source(connection: Connection, slot: str, what: Logs | None) -> None:
    run(connection, DURABLE)
    with connection.transaction():
        run(connection, ONE_AT_A_TIME, (LOCK_CLASS,))
        others = {key: has for key, has in _noted(connection).items() if key != slot}
        marks.write_publication(connection, {**others, **({slot: asdict(what)} if what else {})})


def forget(connection: Connection, slot: str) -> None:
    """Take back what is noted of this slot's reader."""
    if noted(connection, slot) is not None and _ours(connection):
        _note_on_source(connection, slot, None)
