"""The shadow: the database on the target in which the next copy is made, proven and swapped in."""

from __future__ import annotations

from psycopg import sql

from db_migration import sessions
from db_migration.agent.state import Mark
from db_migration.catalog import Column, Table
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.following import marks
from db_migration.postgres import Connection, become, run, value
from db_migration.seeding.jobs import copy_number, copy_statements
from db_migration.seeding.pipe import pipe
from db_migration.seeding.plan import Part

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
    old, shadow = context.old_mirror_name, context.seed_name
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")

    def take(connection: Connection) -> None:
        with connection.transaction():
            marks.write_unfinished(connection, old)
            run(connection, rename.format(sql.Identifier(old), sql.Identifier(shadow)))

    sessions.alone(context.control, [old], take, sessions.WE_MAY_END)


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
