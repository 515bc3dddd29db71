"""Whether a copy can be followed, by what its mark, its slot and the source say. Pure."""

from __future__ import annotations

from db_migration import catalog
from db_migration.agent.state import (
    Database,
    Log,
    Logs,
    Mark,
    Observed,
    Slot,
    Source,
    Target,
    position,
)
from db_migration.errors import BlockedError

NO_TABLE_CHANGED = (
    "a type, schema, view, function, sequence, extension or statistics object, or who may use one, "
    "has changed on the source"
)
TABLE_CHANGED = "table {}, or what belongs to it, has changed on the source"
STUCK = "its worker fails again and again at the same change of the source"
SOURCE_SET_BACK = (
    "the source was set back, or its slot made by somebody else, and what it writes may be skipped"
)
TARGET_SET_BACK = (
    "the target was set back, or somebody else has read its slot, and what it lacks is not sent "
    "again"
)
PROMOTED = (
    "the {} was a standby, or recovered from an archive, and may lack the last of what it had "
    "written"
)
NOTED_EVERY_BYTES = 256 * 1024
"""Of log on either side. Prod pays a comment for it, the target the mirror's mark, twice."""
ROWS_CHANGED = "table {}, or a column of it, was made again or computed anew on the source"


def resumable(database: Database, source: Source) -> bool:
    """Tell whether copy and slot still stand at the very point where the copy was taken.

    Where the slot stands does not say so alone: a source that crashes may set it back.
    """
    mark, slot = database.mark, source.slot
    if mark is None or mark.followed or slot is None or slot.lost:
        return False
    if slot.confirmed_lsn != mark.lsn:
        return False
    return not changed(mark, source)


def changed(mark: Mark, source: Source) -> str | None:
    """Say what the source has changed since the copy was made, so that it can not follow."""
    if mark.types != source.types:
        return NO_TABLE_CHANGED
    if mark.snapshot is not None:
        return "it shows a snapshot, and no slot starts there"
    tables = {**mark.begun, **mark.tables}
    said = (_table_changed(name, tables[name], mark, source) for name in sorted(tables))
    return next((what for what in said if what), None)


def _table_changed(name: str, fingerprint: str, mark: Mark, source: Source) -> str | None:
    table = source.tables.get(name)
    if table is None or table.fingerprint != fingerprint:
        return TABLE_CHANGED.format(name)
    if not catalog.same_rows(mark.bodies.get(name, table.body), table.body):
        return ROWS_CHANGED.format(name)
    if name in mark.tables and not (source.publication and table.published):
        return f"table {name} is not published any more"
    if mark.listings.get(name, table.listing) != table.listing:
        return f"the publication has changed, and may have left table {name} out for a while"
    return None


def useless(source: Source, target: Target) -> str | None:
    """Say why the mirror's subscription leads nowhere."""
    if source.slot is None:
        return "its slot is gone"
    if source.slot.lost:
        return "its slot has lost the WAL it needs"
    if source.slot.beyond_log:
        return "the source's log was set back, and would be skipped until it has grown again"
    if target.mirror.mark is None:
        return "it has no mark"
    return set_back(target.mirror.mark, source, target) or changed(target.mirror.mark, source)


def set_back(mark: Mark, source: Source, target: Target) -> str | None:
    """Say which server has not got any more what it had when both were last noted."""
    known, noted = _notes(mark, source)
    last = known[-1]
    if noted not in known:
        older = last is not None and (noted is None or noted.source.lsn < last.source.lsn)
        return SOURCE_SET_BACK if older else TARGET_SET_BACK
    if last is None:
        return None
    logs = {"source": (last.source, source.log), "target": (last.target, target.log)}
    for side, (then, now) in logs.items():
        if then.server == now.server and then.timeline != now.timeline:
            return PROMOTED.format(side)
    return None


def next_note(mark: Mark, source: Source, target: Target) -> tuple[Logs | None, Logs] | None:
    """Return what the source notes and what it is to note; None while the last one is near enough.

    One that failed is no reason for another at once: prod's log would be full of the failures.
    """
    known, noted = _notes(mark, source)
    last, now = known[-1], Logs(source.log, target.log)
    if last is not None and not _grown(last.source, now.source):
        return (noted, now) if _grown(last.target, now.target) else None
    return noted, now


def _grown(then: Log, now: Log) -> bool:
    return then.server != now.server or now.lsn - then.lsn >= NOTED_EVERY_BYTES


def _notes(mark: Mark, source: Source) -> tuple[tuple[Logs | None, ...], Logs | None]:
    """Return what this source may note by the mark, and what it notes.

    What another server has noted does not count: databases and marks outlive their servers. Nor
    does what was noted before the copy was begun, of one before it.
    """
    noted, server = source.noted, source.log.server
    if noted is not None and (
        noted.source.server != server or noted.source.lsn < position(mark.lsn)
    ):
        noted = None
    last = mark.noted[-1] if mark.noted else None
    return mark.noted if last is not None and last.source.server == server else (None,), noted


def outgrown(seen: Observed) -> BlockedError | None:
    """Say so when prod has written more than a slot may keep, while a copy was made from it."""
    source, target = seen.source, seen.target
    if source is None or target is None or source.slot is None or not target.seed.exists:
        return None
    return outgrows(source.slot, seen.policy.max_retained_bytes)


def outgrows(slot: Slot, most: int) -> BlockedError | None:
    """Say so when no copy can be followed from a slot, for all that was written meanwhile."""
    if not slot.lost and slot.retained_bytes <= most:
        return None
    return BlockedError(
        found=f"the source wrote more during a copy than its slot may keep ({most} bytes)",
        needed="a copy that is made before the source has written so much",
        way_out="raise `max_retained_wal_bytes` and the source's max_slot_wal_keep_size, if its "
        "disk has room; the next copy follows after a pause, longer each time",
    )
