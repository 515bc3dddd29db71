"""The slots on a source that are there because of one feed: what they keep, and their end."""

from __future__ import annotations

from typing import Any

from db_migration.agent.state import Slot
from db_migration.config import FeedConfig
from db_migration.context import Context
from db_migration.following import log_watch, marks, notes, worker
from db_migration.postgres import Connection, row, rows, run, until, value

SUBSCRIBERS = "subscribers"
OURS = """
SELECT slot_name::text, active_pid FROM pg_replication_slots
WHERE database = current_database() AND (slot_name = %s OR slot_name ~ %s) ORDER BY 1
"""
NOTHING = "^$"
STATE = """
SELECT confirmed_flush_lsn::text, coalesce(wal_status = 'lost', false) OR restart_lsn IS NULL,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint, active, (
    SELECT coalesce(host(r.client_addr), 'the server itself') FROM pg_stat_replication r
    WHERE r.pid = active_pid AND r.reply_time > clock_timestamp() - interval '30 s')
FROM pg_replication_slots WHERE slot_name = %s AND database = current_database()
"""
"""A worker answers every 10 s (`wal_receiver_status_interval`), a dead one never again."""


def look(connection: Connection, name: str) -> Slot | None:
    """Observe a slot of this database; None where there is none."""
    found = row(connection, STATE, (name,))
    if found is None:
        return None
    # Asked for after the slot: in the time between, the log only grows.
    beyond = value(connection, "SELECT %s::pg_lsn > pg_current_wal_insert_lsn()", (found[0],))
    confirmed, lost, retained, active, reader = found
    return Slot(confirmed or "", lost, retained, active, beyond_log=bool(beyond), reader=reader)


def as_dict(feed: FeedConfig, slot: Slot) -> dict[str, Any]:
    """Say for `status` what the source keeps for a feed, and up to which size it may."""
    return {
        "name": feed.slot,
        "confirmed_lsn": slot.confirmed_lsn,
        "lost": slot.lost,
        "retained_bytes": slot.retained_bytes,
        "limit_bytes": feed.max_retained_wal_bytes,
    }


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
    # By the list: one that was in the making is gone with whoever made it.
    gone = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
    gone += "WHERE slot_name = %s"
    for name, reader in ours(context, connection):
        if reader is not None:
            run(connection, "SELECT pg_terminate_backend(%s)", (reader,))
        until(lambda name=name: not value(connection, active, (name,)), worker.DEADLINE_SECONDS)
        run(connection, gone, (name,))
    log_watch.forget(connection, context.feed.slot)
