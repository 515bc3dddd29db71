"""SQL that turns rows into numbers, the same on PostgreSQL 13 to 17 for the same values.

Each column is hashed by its type, and the result is the seed of the next column's hash: so the
place of a value counts. NULL is hashed as a value that its type does not have; of int8, uuid and
text, which have all, as one drawn by lot. The rows' hashes are summed.

PostgreSQL folds 64 bits to 32 before it hashes an int8 or a timestamp (hashint8extended in
src/backend/access/hash/hashfunc.c: 1 and 4294967296 are the same to it), so an int8 is hashed
twice, and a timestamp by its epoch: a double, which tells microseconds apart up to 2^32 s from
1970. Beyond that its own hash is added. The hash of a double 0 is its seed (hashfloat8extended),
as if the column were not there: no double here is 0.

The columns of a wide table are hashed in parts, each from a seed of its own: the parser's stack
bounds how deep calls may be nested.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from psycopg import sql

from db_migration.catalog import Column, Table

BUCKETS = 1024
COLUMNS_IN_EACH_OTHER = 400
SHOWN_CHARACTERS = 200

_EPOCH = (
    "hashfloat8extended(coalesce(date_part('epoch', {{name}}) + 1e-7, 1e300), {{seed}} # "
    "CASE WHEN {{name}} < '1900-01-01 00:00+00' OR {{name}} >= '2100-01-01 00:00+00' "
    "THEN timestamp_hash_extended({}, 1) ELSE 0 END)"
)
_TEXT = "hashtextextended(coalesce({}, 'NULL 8c1f6e0b92d7453aa0e4') COLLATE \"C\", {{seed}})"
_XML = "textin(xml_out({name}))"
_BY_TEXT = _TEXT.format("{name}::text")
_LINKS = {
    "bool": "hashint4extended(coalesce({name}::int4, 2), {seed})",
    "int2": "hashint4extended(coalesce({name}::int4, 32768), {seed})",
    "int4": "hashfloat8extended(coalesce({name} + 0.5::float8, 1e300), {seed})",
    "int8": "hashint8extended(coalesce({name} >> 32, 1203384755), "
    "hashint8extended(coalesce({name}, 1905374629), {seed}))",
    "uuid": "uuid_hash_extended(coalesce({name}, "
    "'6fdb1c32-90ae-2b57-e84d-37a1c5f00e96'::uuid), {seed})",
    "timestamp": _EPOCH.format("{name}"),
    "timestamptz": _EPOCH.format("timezone('UTC', {name})"),
    # Not by a cast, which takes the blanks away from the end.
    "bpchar": _TEXT.format("textin(bpcharout({name}))"),
    # Not by a cast, which shows the declaration as it is stored: on its way its encoding changes.
    "xml": _TEXT.format(_XML),
}


def column_hash(column: Column, seed: sql.Composable) -> sql.Composed:
    """Return the expression that hashes one column."""
    link = _LINKS.get(column.base, _BY_TEXT) if _is_built_in(column) else _BY_TEXT
    return sql.SQL(link).format(name=sql.Identifier(column.name), seed=seed)


def _is_built_in(column: Column) -> bool:
    """Tell it by the type's name, which is without a schema only if that is pg_catalog."""
    return "." not in column.type


def row_hash(columns: list[Column]) -> sql.Composable:
    """Return the expression that hashes a row."""
    starts = range(0, max(len(columns), 1), COLUMNS_IN_EACH_OTHER)
    parts = [
        _chain(columns[start : start + COLUMNS_IN_EACH_OTHER], seed)
        for seed, start in enumerate(starts, 1)
    ]
    return parts[0] if len(parts) == 1 else sql.SQL("({})").format(sql.SQL(" # ").join(parts))


def _chain(columns: list[Column], seed: int) -> sql.Composable:
    """Return the expression that hashes some columns, each from the hash before it."""
    found = sql.SQL(f"{seed}::int8")
    for column in columns:
        # Not nested: hundreds of parts in each other are too deep for Python's stack.
        found = sql.SQL(column_hash(column, found).as_string(None))
    return found


def key_text(columns: list[Column], key: list[str]) -> sql.Composable:
    """Return the expression that names a row: its key, or for want of one its own hash.

    In one collation, since the columns' own may differ, or take unlike keys for equal.
    """
    if not key:
        return sql.SQL("({})::text").format(row_hash(columns))
    part = sql.SQL('{}::text COLLATE "C"')
    names = sql.SQL(", ").join(part.format(sql.Identifier(name)) for name in key)
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
    return sql.SQL(
        "SELECT key, count(*), sum(hash)::text, min(each), min(shown) FROM (SELECT {key} AS key, "
        "{hash} AS hash, ARRAY[{each}]::int8[] AS each, ARRAY[{shown}]::text[] AS shown "
        "FROM {rows}) AS hashed WHERE key = ANY({keys}::text[]) GROUP BY key"
    ).format(
        hash=row_hash(columns),
        key=key_text(columns, key),
        each=sql.SQL(", ").join(_hash_or_null(column) for column in columns),
        shown=sql.SQL(", ").join(_text(column, hidden) for column in columns),
        rows=_found(table, columns, key, name),
        keys=name,
    )


def _hash_or_null(column: Column) -> sql.Composed:
    return sql.SQL("CASE WHEN {} IS NOT NULL THEN {} END").format(
        sql.SQL("{}::text").format(sql.Identifier(column.name)),
        column_hash(column, sql.SQL("1")),
    )


def _text(column: Column, hidden: set[str]) -> sql.Composed:
    plain = _XML if column.base == "xml" and _is_built_in(column) else "{name}::text"
    text = sql.SQL(plain).format(name=sql.Identifier(column.name))
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
    named = {column.name: column for column in columns}
    same = [_same(named[part], place) for place, part in enumerate(key, 1)]
    return sql.SQL(
        "(SELECT t.* FROM unnest({}::text[]) AS wanted (name) JOIN ONLY {} AS t ON {}) AS found"
    ).format(keys, name, sql.SQL(" AND ").join(same))


def _same(column: Column, place: int) -> sql.Composed:
    """Compare a part of a key with its place in a row's name.

    A type of theirs by its text: its operators are in a schema that no query of ours looks into.
    """
    kind, how = sql.SQL(column.type), "{mine} = {wanted}::{kind}"
    if not _is_built_in(column):
        how = '{mine}::text = {wanted} COLLATE "C"'
    wanted = sql.SQL("((wanted.name::text[])[{}])").format(sql.Literal(place))
    return sql.SQL(how).format(mine=sql.Identifier("t", column.name), wanted=wanted, kind=kind)
