"""Rows of both sides: those that differ, and how they differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from db_migration import catalog
from db_migration.catalog import Column, Table
from db_migration.context import Context
from db_migration.postgres import Connection, rows, run
from db_migration.verification import hashing, masking

FETCHED_ROWS = 5000
KEPT_NAMES = 100_000
UNREADABLE = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.DatatypeMismatch,
    psycopg.errors.InvalidTextRepresentation,
)
SESSION = """
SET max_parallel_workers_per_gather = 0;
SET synchronous_commit = 'local'
"""
"""One process a side: prod keeps its other cores. `local`: the marks that we wait for are flushed
at once, but wait for no standby of prod's.
"""
AT_SNAPSHOT = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}
"""
TOGETHER = "SET LOCAL lock_timeout = 1; LOCK TABLE {} IN ACCESS SHARE MODE NOWAIT"
"""`lock_timeout`: a query locks the indexes of its tables, too, and has no NOWAIT for these."""


@dataclass(frozen=True)
class Sides:
    """Both databases, open; without a `snapshot` the source is read as it moves."""

    context: Context
    source: Connection
    mirror: Connection
    snapshot: str = ""

    def pin(self) -> None:
        """Set what a comparison must not inherit from a server's or a role's settings."""
        for connection in (self.source, self.mirror):
            run(connection, SESSION)

    @contextmanager
    def there(self, tables: Sequence[Table]) -> Iterator[Connection]:
        """Lend the source for some tables, in a transaction of its own.

        Who holds a table while he waits for another may meet prod's DDL in a circle, and it is
        prod's statement that dies of it. So several tables are not waited for: LockNotAvailable.
        """
        with self.source.transaction():
            if self.snapshot:
                run(self.source, sql.SQL(AT_SNAPSHOT).format(sql.Literal(self.snapshot)))
            if len(tables) > 1:
                names = (sql.Identifier(each.schema, each.name) for each in tables)
                listed = sql.SQL(", ").join(sql.SQL("ONLY {}").format(name) for name in names)
                run(self.source, sql.SQL(TOGETHER).format(listed))
            yield self.source

    @contextmanager
    def here(self, _: Sequence[Table]) -> Iterator[Connection]:
        """Lend the mirror."""
        with self.mirror.transaction():
            yield self.mirror


@dataclass(frozen=True)
class Shape:
    """A table as it is compared; `hidden` columns are never shown. No `key`: a bag of rows."""

    table: Table
    columns: list[Column]
    key: list[str]
    hidden: set[str]


@dataclass(frozen=True)
class Row:
    """A row on one side: how often, its hash, and hash and text of each of its columns."""

    count: int
    hash: str
    each: tuple[int | None, ...]
    shown: tuple[str | None, ...]


@dataclass(frozen=True)
class Difference:
    """One value, or one row, that differs; with values only where people may see them."""

    table: str
    key: str
    what: str
    column: str | None = None
    source: str | None = None
    mirror: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the difference as `--json` shows it; None is NULL."""
        return dict(vars(self))


@dataclass(frozen=True)
class Differing:
    """What differs in one table: how many rows, and the first ones of them."""

    count: int
    lines: list[str]
    rows: list[Difference]


SHAPES = """
SELECT n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod), t.typname,
       array_position(i.indkey[0:i.indnkeyatts - 1], a.attnum)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE {} AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY c.oid, a.attnum
"""


def shapes(connection: Connection, tables: list[Table]) -> list[Shape]:
    """Read how the tables are to be compared, all in one query."""
    columns: dict[str, list[Column]] = {}
    keys: dict[str, list[tuple[int, str]]] = {}
    query = sql.SQL(SHAPES).format(sql.SQL(catalog.USER_SCHEMAS))
    for table, name, kind, base, place in rows(connection, query):
        columns.setdefault(table, []).append(Column(name, kind, base))
        if place is not None:
            keys.setdefault(table, []).append((place, name))
    found = []
    for table in tables:
        mine = columns.get(table.full_name, [])
        key = [name for _, name in sorted(keys.get(table.full_name, []))]
        found.append(Shape(table, mine, key, masking.hidden(table, mine)))
    return found


def suspects(sides: Sides, of: Shape, keep: int) -> tuple[list[str], int]:
    """Return the names of the rows that differ at a look at either side, and how many there are.

    At most `keep` names are kept; both sides are read side by side in the order of the names, so
    that memory does not grow with the differences.
    """
    query = hashing.buckets(of.table, of.columns, of.key)
    there = {bucket: rest for bucket, *rest in rows(sides.source, query)}
    here = {bucket: rest for bucket, *rest in rows(sides.mirror, query)}
    parts = [part for part in there.keys() | here.keys() if there.get(part) != here.get(part)]
    names: list[str] = []
    count = 0
    if parts:
        inside = hashing.rows_in_buckets(of.table, of.columns, of.key, parts)
        for name in _unequal(_stream(sides.source, inside), _stream(sides.mirror, inside)):
            count += 1
            if len(names) < keep:
                names.append(name)
    return names, count


def _stream(connection: Connection, query: sql.Composed) -> Iterator[tuple[Any, ...]]:
    """Read chunk by chunk; a server's cursor could not be closed over a connection that broke."""
    with connection.cursor() as cursor:
        yield from cursor.stream(query, size=FETCHED_ROWS)


def _unequal(there: Iterator[tuple[Any, ...]], here: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    """Yield the names that are not on both sides with the same number and hash; both are sorted."""
    left, right = next(there, None), next(here, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None  # noqa: S101 - for mypy
            yield left[0]
            left = next(there, None)
        elif left is None or right[0] < left[0]:
            yield right[0]
            right = next(here, None)
        else:
            if left != right:
                yield left[0]
            left, right = next(there, None), next(here, None)


def read(connection: Connection, of: Shape, names: Collection[str]) -> dict[str, Row]:
    """Return the rows of these names."""
    query = hashing.rows_by_key(of.table, of.columns, of.key, names, of.hidden)
    return {
        name: Row(count, total, tuple(each), tuple(shown))
        for name, count, total, each, shown in rows(connection, query)
    }


Pair = tuple[Row | None, Row | None]


def describe(of: Shape, pairs: Mapping[str, Pair], count: int, limit: int) -> Differing:
    """Name the first rows and say how many there are; lines go without values, into journals."""
    where = of.table.full_name
    lines: list[str] = []
    found: list[Difference] = []
    for name, (there, here) in sorted(pairs.items())[:limit]:
        key = masking.key(name, of.key, of.hidden)
        lines.append(f"table {where}: row {key} {_what(of, there, here)}")
        found += _values(of, key, there, here)
    more = count - min(len(pairs), limit)
    if more > 0:
        lines.append(f"table {where}: {more} more rows differ")
    return Differing(count, lines, found)


def _what(of: Shape, there: Row | None, here: Row | None) -> str:
    """Say what differs about one row, without its values."""
    if here is None:
        return "missing on the mirror"
    if there is None:
        return "only on the mirror"
    if there.count != here.count:
        return f"{there.count} times on the source, {here.count} times on the mirror"
    return f"differs in {', '.join(of.columns[place].name for place in _places(there, here))}"


def _places(there: Row, here: Row) -> list[int]:
    pairs = zip(there.each, here.each, strict=True)
    return [place for place, (one, other) in enumerate(pairs) if one != other]


def _values(of: Shape, key: str, there: Row | None, here: Row | None) -> list[Difference]:
    """Return both values of each column that differs; of a row on one side only, that it is so."""
    what = _what(of, there, here)
    where = of.table.full_name
    if there is None or here is None or there.count != here.count:
        return [Difference(where, key if of.key else _bag_key(of, there or here), what)]
    return [
        Difference(
            where,
            key,
            "differs",
            of.columns[place].name,
            masking.shown(there.shown[place]),
            masking.shown(here.shown[place]),
        )
        for place in _places(there, here)
    ]


def _bag_key(of: Shape, row: Row | None) -> str:
    """Name a row of a table without a key by what may be seen of it."""
    if row is None:
        return ""
    pairs = zip(of.columns, row.shown, strict=True)
    texts = ((column.name, masking.shown(text)) for column, text in pairs)
    return ", ".join(f"{name}={'NULL' if text is None else text}" for name, text in texts)
