"""SQL that turns rows into numbers, the same on PostgreSQL 13 and 17 for the same values.

Each column is hashed by its type with its position as seed, the columns are XORed, the result is
hashed once more and summed over the rows. A NULL has a number of its own: it differs from ''.
"""

from __future__ import annotations

from psycopg import sql

from db_migration.catalog import Column, Table

BUCKETS = 1024
_INTEGERS = frozenset({"int2", "int4", "int8"})
_NULL = 7_046_029_254_386_353_131


def column_hash(column: Column, position: int) -> sql.Composed:
    """Return the expression that hashes one column."""
    name, seed = sql.Identifier(column.name), sql.Literal(position)
    if column.base in _INTEGERS:
        hashed = sql.SQL("hashint8extended({}::int8, {})").format(name, seed)
    elif column.base == "uuid":
        hashed = sql.SQL("uuid_hash_extended({}, {})").format(name, seed)
    elif column.base == "timestamp":
        hashed = sql.SQL("timestamp_hash_extended({}, {})").format(name, seed)
    elif column.base == "timestamptz":
        hashed = sql.SQL("timestamp_hash_extended(timezone('UTC', {}), {})").format(name, seed)
    else:
        hashed = sql.SQL('hashtextextended({}::text COLLATE "C", {})').format(name, seed)
    return sql.SQL("coalesce({}, {})").format(hashed, sql.Literal(_NULL - position))


def row_hash(columns: list[Column]) -> sql.Composed:
    """Return the expression that hashes a row."""
    parts = [column_hash(column, position) for position, column in enumerate(columns, 1)]
    mixed = sql.SQL(" # ").join(parts) if parts else sql.SQL("0::int8")
    return sql.SQL("hashint8extended({}, 0)").format(mixed)


def key_text(columns: list[Column], key: list[str]) -> sql.Composed:
    """Return the expression that names a row: its key, or for want of one its own hash."""
    if not key:
        return sql.SQL("({})::text").format(row_hash(columns))
    names = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in key)
    return sql.SQL("ARRAY[{}]::text").format(names)


def table_sum(table: Table, columns: list[Column]) -> sql.Composed:
    """Return the query for a table's number of rows and sum of hashes."""
    return sql.SQL("SELECT count(*), coalesce(sum({}), 0)::text FROM ONLY {}").format(
        row_hash(columns), sql.Identifier(table.schema, table.name)
    )


def buckets(table: Table, columns: list[Column], key: list[str]) -> sql.Composed:
    """Return the query for the sums of the parts of a table."""
    return sql.SQL(
        "SELECT bucket, count(*), sum(hash)::text FROM (SELECT {hash} AS hash, "
        "hashtextextended({key}, 0) & {mask} AS bucket FROM ONLY {table}) AS hashed GROUP BY bucket"
    ).format(
        hash=row_hash(columns),
        key=key_text(columns, key),
        mask=sql.Literal(BUCKETS - 1),
        table=sql.Identifier(table.schema, table.name),
    )


def rows_in_buckets(table: Table, columns: list[Column], key: list[str]) -> sql.Composed:
    """Return the query for the rows of some parts: name of the row, how often, hash."""
    return sql.SQL(
        "SELECT key, count(*), sum(hash)::text FROM (SELECT {key} AS key, {hash} AS hash "
        "FROM ONLY {table}) AS hashed WHERE hashtextextended(key, 0) & {mask} = ANY(%s) GROUP BY "
        "key"
    ).format(
        hash=row_hash(columns),
        key=key_text(columns, key),
        mask=sql.Literal(BUCKETS - 1),
        table=sql.Identifier(table.schema, table.name),
    )


def rows_by_key(table: Table, columns: list[Column], key: list[str]) -> sql.Composed:
    """Return the query for some rows: name, how often, hash, and the hash of each column."""
    each = sql.SQL(", ").join(
        column_hash(column, position) for position, column in enumerate(columns, 1)
    )
    return sql.SQL(
        "SELECT key, count(*), sum(hash)::text, min(each::text) FROM (SELECT {key} AS key, "
        "{hash} AS hash, ARRAY[{each}]::int8[] AS each FROM {rows}) AS hashed "
        "WHERE key = ANY(%(keys)s) GROUP BY key"
    ).format(
        hash=row_hash(columns),
        key=key_text(columns, key),
        each=each,
        rows=_found(table, columns, key),
    )


def _found(table: Table, columns: list[Column], key: list[str]) -> sql.Composed:
    """Return the rows to look at: by index where there is a key, or else all."""
    name = sql.Identifier(table.schema, table.name)
    if not key:
        return sql.SQL("ONLY {}").format(name)
    types = {column.name: sql.SQL(column.type) for column in columns}
    parts = [
        sql.SQL("((wanted.name::text[])[{}])::{}").format(sql.Literal(place), types[part])
        for place, part in enumerate(key, 1)
    ]
    mine = sql.SQL(", ").join(sql.Identifier("t", part) for part in key)
    return sql.SQL(
        "(SELECT t.* FROM unnest(%(keys)s::text[]) AS wanted (name) "
        "JOIN ONLY {} AS t ON ({}) = ({})) AS found"
    ).format(name, mine, sql.SQL(", ").join(parts))
