"""The shadow: the database on the target in which the next copy is made, proven and swapped in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import sql

from db_migration.agent.state import Mark
from db_migration.catalog import Column, Table
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError
from db_migration.following import marks
from db_migration.postgres import (
    Connection,
    become,
    run,
    terminate_sessions,
    until,
    value,
)
from db_migration.seeding.jobs import copy_number, copy_statements
from db_migration.seeding.pipe import pipe
from db_migration.seeding.plan import Part

SWAP_DEADLINE_SECONDS = 10
FOREIGN_KEYS = """
SELECT o.conname, n.nspname, c.relname, pg_get_constraintdef(o.oid)
FROM pg_constraint o
JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class f ON f.oid = o.confrelid JOIN pg_namespace m ON m.oid = f.relnamespace
WHERE o.contype = 'f' AND o.conparentid = 0
  AND (n.nspname || '.' || c.relname = ANY(%(names)s)
       OR m.nspname || '.' || f.relname = ANY(%(names)s))
ORDER BY 2, 3, 1
"""
END_SESSIONS = """
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datname = %s AND a.pid <> pg_backend_pid() AND pg_has_role(r.oid, 'USAGE')
  AND (NOT r.rolsuper OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
  AND EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'object' AND l.objid = a.datid
              AND l.classid = 'pg_database'::regclass AND l.mode = 'AccessExclusiveLock'
              AND l.granted)
"""
"""Once the rename has its lock: whoever was ended before could come in again."""


REFILLABLE = """
SELECT NOT EXISTS (SELECT FROM pg_trigger WHERE NOT tgisinternal)
   AND NOT EXISTS (SELECT FROM pg_class WHERE relkind = 'p')
"""


def refillable(context: Context) -> bool:
    """Tell whether the replaced mirror's tables can be emptied and filled one by one.

    A trigger would change the rows on their way in, and a partition's foreign keys are its
    parent's.
    """
    with context.server.at(context.old_mirror_name).connect() as connection:
        return bool(value(connection, REFILLABLE))


@effect(Effect.ADOPT_SHADOW)
def adopt(context: Context) -> None:
    """Make the replaced mirror the shadow; unfinished, for its mark is not true any longer."""
    old, shadow = sql.Identifier(context.old_mirror_name), sql.Identifier(context.seed_name)
    with context.control.connect() as connection:
        terminate_sessions(connection, context.old_mirror_name)
        with connection.transaction():
            marks.write_unfinished(connection, context.old_mirror_name)
            run(connection, sql.SQL("ALTER DATABASE {} RENAME TO {}").format(old, shadow))


@effect(Effect.DROP_KEYS)
def drop_keys(context: Context, names: list[str]) -> list[str]:
    """Drop the foreign keys of and to these tables; return the SQL that makes them again."""
    with context.seed.connect() as connection, connection.transaction():
        found = connection.execute(FOREIGN_KEYS, {"names": names}).fetchall()
        with become(connection, context.feed.target.owner_role):
            for key, schema, table, _ in found:
                run(connection, _alter(schema, table, "DROP CONSTRAINT {}", key))
        return [
            _alter(schema, table, "ADD CONSTRAINT {} ", key).as_string(connection) + definition
            for key, schema, table, definition in found
        ]


def _alter(schema: str, table: str, how: str, key: str) -> sql.Composed:
    what = sql.SQL("ALTER TABLE ONLY {} ").format(sql.Identifier(schema, table))
    return what + sql.SQL(how).format(sql.Identifier(key))


@effect(Effect.ADD_KEYS)
def add_keys(context: Context, statements: list[str], changed: list[Table]) -> None:
    """Make the foreign keys again, checked against the new rows, and renew the statistics."""
    with context.seed.connect() as connection, become(connection, context.feed.target.owner_role):
        with connection.transaction():
            for statement in statements:
                connection.execute(statement.encode())
        for table in changed:
            name = sql.Identifier(table.schema, table.name)
            run(connection, sql.SQL("ANALYZE {}").format(name))


@effect(Effect.REPLACE_TABLE)
def replace_table(
    context: Context,
    reading: Connection,
    shadow: Connection,
    table: Table,
    columns: list[Column],
) -> tuple[int, int]:
    """Empty a table of the shadow and fill it by what `reading` sees; return bytes and rows.

    After an error both connections are only fit to be closed.
    """
    owner, name = context.feed.target.owner_role, sql.Identifier(table.schema, table.name)
    read, write = (
        text.as_string(shadow).encode() for text in copy_statements(table, columns, Part())
    )
    sizes: list[int] = []

    def seen(_: int, size: int) -> None:
        context.breathe()
        sizes.append(size)

    run(shadow, "BEGIN")
    run(shadow, sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(owner)))
    run(shadow, sql.SQL("TRUNCATE ONLY {}").format(name))
    if columns:
        count = pipe(reading.pgconn, shadow.pgconn, read, write, seen).rows
    else:
        count = copy_number(reading, shadow, table)
    run(shadow, "COMMIT")
    return sum(sizes), count


@effect(Effect.MARK_SNAPSHOT)
def mark(context: Context, database: str, what: Mark) -> None:
    """Say which snapshot the database equals."""
    with context.control.connect() as connection:
        marks.write_mirror(connection, database, what)


@effect(Effect.SWAP_SNAPSHOT)
def swap(context: Context) -> None:
    """Put the shadow in the mirror's place: both renames in one transaction.

    The rename keeps newcomers out of the mirror while it waits for those inside, and only then are
    these ended: whoever reads the mirror has to come in again, once.
    """
    mirror = context.feed.target.database
    with (
        context.control.connect() as ours,
        context.control.connect() as other,
        ThreadPoolExecutor(1) as pool,
    ):
        terminate_sessions(other, context.seed_name)
        renamed = pool.submit(_rename, context, ours)

        def ended() -> bool:
            run(other, END_SESSIONS, (mirror,))
            return renamed.done()

        until(ended, SWAP_DEADLINE_SECONDS, every=0.01)
        try:
            renamed.result()
        except psycopg.errors.ObjectInUse:
            raise _in_use(other, mirror) from None


def _rename(context: Context, connection: Connection) -> None:
    mirror, rename = context.feed.target.database, sql.SQL("ALTER DATABASE {} RENAME TO {}")
    names = [(mirror, context.old_mirror_name), (context.seed_name, mirror)]
    with connection.transaction():
        there = set(marks.of_databases(connection))
        for now, then in names:
            if now in there:
                run(connection, rename.format(sql.Identifier(now), sql.Identifier(then)))


def _in_use(connection: Connection, mirror: str) -> BlockedError:
    who = "SELECT coalesce(string_agg(DISTINCT usename::text, ', '), 'somebody') "
    who += "FROM pg_stat_activity WHERE datname = %s"
    name = value(connection, who, (mirror,))
    return BlockedError(
        found=f"{name} reads `{mirror}`, and may not be asked by us to leave",
        needed="a moment without such a session, to put the new copy in its place",
        way_out="end these sessions, or read the mirror as a role that the feed's role is a member "
        "of; this is tried again by itself",
    )
