"""What prod keeps for a copy in the making; its agent looks again when the copy is done only."""

from __future__ import annotations

import psycopg

from db_migration.agent import copies
from db_migration.context import Context
from db_migration.errors import MigrationError
from db_migration.following import slots


def watch(context: Context) -> None:
    """Tell it, and raise the planner's own error when the copy could not be followed any more.

    A look that fails ends no copy: what is wrong with the source, or with the way there, is for the
    workers to hear of, who have their attempts.
    """
    try:
        with context.reader.connect() as connection:
            slot = slots.look(connection, context.feed.slot)
    except (MigrationError, psycopg.Error):
        return
    if slot is None:
        return
    context.tell("slot", slots.as_dict(context.feed, slot))
    if (why := copies.outgrows(slot, context.feed.max_retained_wal_bytes)) is not None:
        raise why
