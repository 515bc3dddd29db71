"""Settings of the source's server that a feed changes by ALTER SYSTEM, and what they go back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import sql

from db_migration import catalog
from db_migration.context import Context
from db_migration.following import notes
from db_migration.postgres import Connection, rows, run


@dataclass(frozen=True)
class Setting:
    """A setting as it is, and as it will be."""

    running: str
    fixed: bool
    """Whether it is given on the server's command line, above every file."""
    configured: str
    """What counts after the next restart, as far as this role may read the files."""
    by_system: str | None = None
    """What ALTER SYSTEM has set it to."""


def look(connection: Connection, name: str) -> Setting:
    """Read a setting, and the server's files where this role may."""
    query = "SELECT setting, source = 'command line', boot_val FROM pg_settings WHERE name = %s"
    running, fixed, initial = rows(connection, query, (name,))[0]
    if fixed or not catalog.settings_file_readable(connection):
        return Setting(running, fixed, running)
    found = rows(
        connection,
        "SELECT setting, sourcefile ~ 'postgresql[.]auto[.]conf$' FROM pg_file_settings "
        "WHERE name = %s ORDER BY seqno",
        (name,),
    )
    by_system = [setting for setting, by_system in found if by_system]
    configured = found[-1][0] if found else initial
    return Setting(running, fixed, configured, by_system[-1] if by_system else None)


def change(context: Context, connection: Connection, name: str, to: str) -> None:
    """Set it by ALTER SYSTEM, noting first what would count without us."""
    now = look(connection, name)
    notes.keep_setting(context, connection, KEYS[name], now.configured, now.by_system)
    run(connection, _set(name, to))


def put_back(connection: Connection, name: str, noted: dict[str, Any]) -> bool:
    """Have ALTER SYSTEM say again what it said before us; False if it was not us who set it."""
    if f"{KEYS[name]}_was" not in noted:
        return False
    before = said_before(name, noted)
    reset = sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name))
    run(connection, reset if before is None else _set(name, before))
    return True


def said_before(name: str, noted: dict[str, Any]) -> str | None:
    """Return what ALTER SYSTEM said before us; None of nothing."""
    found: str | None = noted.get(f"{KEYS[name]}_system")
    return found


def _set(name: str, to: str) -> sql.Composed:
    return sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(to))


WAL_LEVEL, WAL_BOUND = "wal_level", "max_slot_wal_keep_size"
KEYS = {WAL_LEVEL: "wal_level", WAL_BOUND: "wal_bound"}
"""How the notes of a role call them."""
