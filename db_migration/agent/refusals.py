"""What the planner does not touch before a person has decided. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from db_migration.agent.state import Database, Intent, Slot, Source
from db_migration.config import PUBLICATION
from db_migration.errors import BlockedError


def no_mirror() -> BlockedError:
    """Say that nothing is made where nobody has made a database for it."""
    return BlockedError(
        found="the mirror database is not there",
        needed="a mirror database, empty, owned by the feed's role",
        way_out="run `pulumi up`, which declares it; by hand: CREATE DATABASE ... OWNER the "
        "feed's role, and REVOKE ALL ON DATABASE ... FROM PUBLIC",
    )


def unfit_publication(faults: Sequence[str]) -> BlockedError:
    """Say that a feed from a publication with these faults would lose changes without a word."""
    return BlockedError(
        found="; ".join(faults),
        needed=f"a publication `{PUBLICATION}` as `prepare` makes it: of single tables, with all "
        "their rows, columns and changes",
        way_out=f"DROP PUBLICATION {PUBLICATION}, or ALTER PUBLICATION ... RENAME TO, if somebody "
        "uses it: ours and a new copy are then made by themselves",
    )


def refuse_foreign(mirror: Database) -> None:
    """Keep away from a mirror that holds what we did not put there."""
    if mirror.exists and mirror.mark is None and not mirror.empty:
        raise BlockedError(
            found="the mirror database holds tables and has no mark of ours",
            needed="an empty mirror database, or one that this script made",
            way_out="move that data elsewhere, or name another mirror database",
        )


def refuse_read(slot: Slot) -> None:
    """Do not end somebody else's feed for ours, nor be ended by it: prod would be read for ever.

    The reader is none of ours: no subscription is in the mirror.
    """
    if slot.reader is not None:
        raise BlockedError(
            found=f"this feed's slot is read by somebody else, from {slot.reader}",
            needed="a slot for this target's mirror alone",
            way_out="give one of two servers that follow under one name (`target.name`) another "
            "one, or drop the subscription of this name that is in another database; this is "
            "tried again by itself",
        )


def refuse_released(source: Source, intent: Intent) -> None:
    """Do not change a prod again that was released while this target was away."""
    gone = not (source.role_exists or source.publication or source.slot)
    if intent.prepared and gone:
        raise BlockedError(
            found="role, publication and slot of this feed are gone from the source",
            needed="a source that this feed was not taken away from",
            way_out="if it was released while this target was away: `db-migration release` again; "
            "else `db-migration prepare`, and the feed goes on with a new copy",
        )


def refuse_partly_read(source: Source) -> None:
    """Make no copy that lacks rows; read as the same role, the source would look equal to it."""
    if source.partly_read:
        raise BlockedError(
            found=f"row security on {', '.join(source.partly_read)}",
            needed="all rows for the feed's role, and no policy that binds the copy's owner",
            way_out="ALTER TABLE ... DISABLE ROW LEVEL SECURITY on the source; or, where it is not "
            "forced, ALTER ROLE ... BYPASSRLS of the feed's role there, as a superuser; this is "
            "tried again by itself",
        )


def not_logical(source: Source, why: str, way_out: str) -> BlockedError:
    """Say that the source writes no log that can be followed, and why we do not change that."""
    return BlockedError(
        found=f"the source runs with `wal_level = {source.wal_level}`, {why}",
        needed="`wal_level = logical` on the source",
        way_out=f"{way_out}; `mode: snapshot` needs no restart",
    )
