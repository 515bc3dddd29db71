"""SQL that turns rows into numbers, the same on PostgreSQL 13 and 17 for the same values.

Each column is hashed by its type, and the result is the seed of the next column's hash: so the
place of a value counts. Which columns are NULL is hashed before them: NULL differs from ''. The
rows' hashes are summed.

PostgreSQL folds 64 bits to 32 before it hashes an int8 or a timestamp (hashint8extended in
src/backend/access/hash/hashfunc.c: 1 and 4294967296 are the same to it), so an int8 is hashed
twice, and a timestamp by its epoch: a double, which tells microseconds apart up to 2^32 s from
1970. Beyond that its own hash is added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from psycopg import sql

from db_migration.catalog import Column, Table

BUCKETS = 1024
SHOWN_CHARACTERS = 200
_SMALL_INTEGERS = frozenset({"int2", "int4"})
_NULLS_IN_A_WORD = 30

_EPOCH = (
    "hashfloat8extended(date_part('epoch', coalesce({{name}}, 'epoch')), {{seed}} # "
    "CASE WHEN {{name}} < '1900-01-01 00:00+00' OR {{name}} >= '2100-01-01 00:00+00' "
    "THEN timestamp_hash_extended({}, 1) ELSE 0 END)"
)
_LINKS = {
    "bool": "hashint4extended(coalesce({name}, false)::int4, {seed})",
    "int8": "hashint8extended(coalesce({name}, 0) >> 32, "
    "hashint8extended(coalesce({name}, 0), {seed}))",
    "uuid": "uuid_hash_extended(coalesce({name}, "
    "'00000000-0000-0000-0000-000000000000'::uuid), {seed})",
    "timestamp": _EPOCH.format("{name}"),
    "timestamptz": _EPOCH.format("timezone('UTC', {name})"),
    **dict.fromkeys(_SMALL_INTEGERS, "hashint4extended(coalesce({name}, 0)::int4, {seed})"),
}
_BY_TEXT = "hashtextextended(coalesce({name}::text, '') COLLATE \"C\", {seed})"


def column_hash(column: Column, seed: sql.Composable) -> sql.Composed:
    """Return the expression that hashes one column; NULL counts as its type's empty value."""
    link = _LINKS.get(column.base, _BY_TEXT)
    return sql.SQL(link).format(name=sql.Identifier(column.name), seed=seed)


def row_hash(columns: list[Column]) -> sql.Composable:
    """Return the expression that hashes a row."""
    found: sql.Composable = sql.SQL("1::int8")
    for start in range(0, len(columns), _NULLS_IN_A_WORD):
        nulls = [
            sql.SQL("CASE WHEN {} IS NULL THEN {} ELSE 0 END").format(
                sql.Identifier(column.name), sql.Literal(1 << place)
            )
            for place, column in enumerate(columns[start : start + _NULLS_IN_A_WORD])
        ]
        word = sql.SQL(" | ").join(nulls)
        found = sql.SQL("hashint4extended({}, {})").format(word, found)
    for column in columns:
        found = column_hash(column, found)
    return found


def key_text(columns: list[Column], key: list[str]) -> sql.Composable:
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


def rows_in_buckets(
    table: Table, columns: list[Column], key: list[str], parts: Iterable[int]
) -> sql.Composed:
    """Return the query for the rows of some parts in the order of their names: name, how often,
    hash.
    """
    return sql.SQL(
        'SELECT key, count(*), sum(hash)::text FROM (SELECT {key} COLLATE "C" AS key, {hash} '
        "AS hash FROM ONLY {table}) AS hashed "
        "WHERE hashtextextended(key, 0) & {mask} = ANY({parts}) GROUP BY key ORDER BY key"
    ).format(
        hash=row_hash(columns),
        key=key_text(columns, key),
        mask=sql.Literal(BUCKETS - 1),
        table=sql.Identifier(table.schema, table.name),
        parts=sql.Literal(sorted(parts)),
    )


def rows_by_key(
    table: Table, columns: list[Column], key: list[str], keys: Collection[str], hidden: set[str]
) -> sql.Composed:
    """Return the query for some rows: name, how often, hash, hash and text of each column.

    Of a column in `hidden` only the length of its text leaves the server.
    """
    name = sql.Literal(sorted(keys))
    each, shown = sql.SQL("NULL::int8"), sql.SQL("NULL::text")
    if columns:
        each = sql.SQL(", ").join(_hash_or_null(column) for column in columns)  # type: ignore[assignment]
        shown = sql.SQL(", ").join(_text(column, hidden) for column in columns)  # type: ignore[assignment]
    return sql.SQL(
        "SELECT key, count(*), sum(hash)::text, min(each), min(shown) FROM (SELECT {key} AS key, "
        "{hash} AS hash, ARRAY[{each}] AS each, ARRAY[{shown}] AS shown FROM {rows}) AS hashed "
        "WHERE key = ANY({keys}::text[]) GROUP BY key"
    ).format(
        hash=row_hash(columns),
        key=key_text(columns, key),
        each=each,
        shown=shown,
        rows=_found(table, columns, key, name),
        keys=name,
    )


def _hash_or_null(column: Column) -> sql.Composed:
    return sql.SQL("CASE WHEN {} IS NOT NULL THEN {} END").format(
        sql.SQL("{}::text").format(sql.Identifier(column.name)),
        column_hash(column, sql.SQL("1")),
    )


def _text(column: Column, hidden: set[str]) -> sql.Composed:
    text = sql.SQL("{}::text").format(sql.Identifier(column.name))
    if column.name in hidden:
        return sql.SQL("'(masked, ' || length({}) || ' characters)'").format(text)
    return sql.SQL("left({}, {})").format(text, sql.Literal(SHOWN_CHARACTERS))


def _found(
    table: Table, columns: list[Column], key: list[str], keys: sql.Literal
) -> sql.Composable:
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
        "(SELECT t.* FROM unnest({}::text[]) AS wanted (name) "
        "JOIN ONLY {} AS t ON ({}) = ({})) AS found"
    ).format(keys, name, mine, sql.SQL(", ").join(parts))
