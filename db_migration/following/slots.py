"""The slots on a source that are there because of one feed."""

from __future__ import annotations

from typing import Any

from db_migration.context import Context
from db_migration.following import marks, notes, worker
from db_migration.postgres import Connection, rows, run, until, value

SUBSCRIBERS = "subscribers"
OURS = """
SELECT slot_name::text, active_pid FROM pg_replication_slots
WHERE database = current_database() AND (slot_name = %s OR slot_name ~ %s) ORDER BY 1
"""
NOTHING = "^$"


def note_subscriber(context: Context, connection: Connection) -> None:
    """Note which server subscribes, before it makes slots of its own for tables that are new.

    Their names end in the number of that server (PostgreSQL's documentation, "Logical Replication",
    "Replication Slot Management"), and are all that is left of them when it is gone.
    """
    with context.control.connect() as target:
        number = value(target, "SELECT system_identifier::text FROM pg_control_system()")
    noted = notes.begin(context, connection)
    known = (noted or {}).get(SUBSCRIBERS, {})
    if noted is not None and known.get(context.feed.slot) != number:
        known = {**known, context.feed.slot: number}
        notes.write(context, connection, {**noted, SUBSCRIBERS: known})


def ours(context: Context, connection: Connection) -> list[tuple[str, int | None]]:
    """Return the feed's slot and those of single tables, each with the process that reads it."""
    noted: dict[str, Any] = marks.read_role(connection, context.reader.login.user) or {}
    number = noted.get(SUBSCRIBERS, {}).get(context.feed.slot)
    of_tables = f"^pg_[0-9]+_sync_[0-9]+_{number}$" if number else NOTHING
    return rows(connection, OURS, (context.feed.slot, of_tables))


def drop(context: Context, connection: Connection) -> None:
    """Drop them; whoever reads one is ended first, for a dead subscriber may still hold it."""
    active = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
    for name, reader in ours(context, connection):
        if reader is not None:
            run(connection, "SELECT pg_terminate_backend(%s)", (reader,))
        until(lambda name=name: not value(connection, active, (name,)), worker.DEADLINE_SECONDS)
        run(connection, "SELECT pg_drop_replication_slot(%s)", (name,))
