"""Whether a copy can be followed, by what its mark, its slot and the source say. Pure."""

from __future__ import annotations

from db_migration import catalog
from db_migration.agent.state import Database, Mark, Observed, Slot, Source, Target
from db_migration.errors import BlockedError

NO_TABLE_CHANGED = (
    "a type, schema, view, function, sequence, extension or statistics object, or who may use one, "
    "has changed on the source"
)
TABLE_CHANGED = "table {}, or what belongs to it, has changed on the source"
STUCK = "its worker fails again and again at the same change of the source"
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
    if source.slot.beyond_log or source.set_back:
        return "the source's log was set back, and would be skipped until it has grown again"
    if target.set_back:
        return "the target was set back, and what it has lost is not sent again"
    if target.mirror.mark is None:
        return "it has no mark"
    return changed(target.mirror.mark, source)


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
