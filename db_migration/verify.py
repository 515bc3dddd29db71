"""Prove that source and mirror are equal, or name every difference.

Continuous strength, no lock on the source: hash every table on both sides; of a table that differs
read the parts, then the rows that differ, and those again until the mirror has passed the LSN of
the first reading. A value that the source did not have in that time is a real difference.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from db_migration import catalog, compare, hashing
from db_migration.catalog import Column, Table
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.journal import Journal
from db_migration.postgres import Connection, rows, until, value

ROUNDS = 30
SAMPLED_ROWS = 500
SAMPLE_SECONDS = 0.002
NAMED_ROWS = 20
SETTLED_ROWS = 5000

UNREADABLE = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedTable,
    psycopg.errors.InsufficientPrivilege,
)
Rows = dict[str, tuple[Any, ...]]
Values = dict[str, list[tuple[Any, ...] | None]]


@dataclass
class Result:
    """What a verification found; `differences` are for people, without values."""

    tables: int = 0
    rows: int = 0
    bytes: int = 0
    target_bytes: int = 0
    differences: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the journal keeps it."""
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "tables": self.tables,
            "rows": self.rows,
            "bytes": self.bytes,
            "source_bytes": self.bytes,
            "target_bytes": self.target_bytes,
            "equal": not self.differences,
            "differences": self.differences,
        }


@dataclass(frozen=True)
class Sides:
    """Both databases, open."""

    context: Context
    source: Connection
    mirror: Connection


def verify_and_record(context: Context, journal: Journal) -> dict[str, Any]:
    """Verify and keep the result."""
    result = verify(context).as_dict()
    journal.save_verification(result)
    return result


def verify(context: Context) -> Result:
    """Compare definitions, rights, sequences and every row."""
    result = Result()
    with context.reader.connect() as source, context.mirror.connect() as mirror:
        sides = Sides(context, source, mirror)
        result.differences += compare.definitions(source, mirror)
        result.differences += compare.rights(source, mirror, context)
        result.differences += compare.sequences(source, mirror)
        found = {table.full_name: table for table in catalog.tables(source, PUBLICATION)}
        here = {table.full_name: table.bytes for table in catalog.tables(mirror)}
        result.target_bytes = sum(here.values())
        common = [table for name, table in found.items() if name in here]
        _compare_rows(sides, common, result)
    return result


def _compare_rows(sides: Sides, tables: list[Table], result: Result) -> None:
    """Hash all tables on both sides at once, then look closer at what differs."""
    columns = {table.full_name: catalog.columns(sides.source, table) for table in tables}
    with ThreadPoolExecutor(2) as pool:
        there = pool.submit(_sums, sides.context, sides.source, tables, columns)
        here = pool.submit(_sums, sides.context, sides.mirror, tables, columns)
        sums, copies = there.result(), here.result()
    for table in tables:
        name = table.full_name
        result.tables += 1
        result.bytes += table.bytes
        if sums[name] is None or copies[name] is None:
            result.differences.append(f"table {name}: its rows can not be read on both sides")
            continue
        result.rows += sums[name][0]
        if sums[name] != copies[name]:
            result.differences += _settle(sides, table, columns[name])


def _sums(
    context: Context, connection: Connection, tables: list[Table], columns: dict[str, list[Column]]
) -> dict[str, Any]:
    """Return rows and sum of hashes of each table, None where a column is missing."""
    sums: dict[str, Any] = {}
    for table in tables:
        context.breathe()
        try:
            query = hashing.table_sum(table, columns[table.full_name])
            sums[table.full_name] = rows(connection, query)[0]
        except UNREADABLE:
            sums[table.full_name] = None
    return sums


def _settle(sides: Sides, table: Table, columns: list[Column]) -> list[str]:
    """Read what differs again and again until it is equal or proven to differ.

    Each round reads the rows on the source, and goes on reading them until the mirror has passed
    the first reading: whatever the mirror shows then must be one of the values read. Proof of a
    difference is a row that had only one value meanwhile, and the mirror has another.
    """
    key = catalog.primary_key(sides.source, table)
    suspects = _suspects(sides, table, columns, key)
    dropped = len(suspects) - SETTLED_ROWS
    open_keys = set(sorted(suspects)[:SETTLED_ROWS])
    query = hashing.rows_by_key(table, columns, key)
    proven: dict[str, str] = {}
    for _ in range(ROUNDS):
        if not open_keys:
            break
        values = _read_until_passed(sides, query, open_keys)
        copy = _read(sides.mirror, query, open_keys)
        _add(values, open_keys, _read(sides.source, query, open_keys))
        for name in list(open_keys):
            if copy.get(name) in values[name]:
                open_keys.discard(name)
            elif len(values[name]) == 1:
                proven[name] = _difference(columns, values[name][0], copy.get(name))
                open_keys.discard(name)
    return _report(table, proven, sorted(open_keys), max(dropped, 0))


def _read_until_passed(sides: Sides, query: sql.Composed, keys: set[str]) -> Values:
    """Collect the values of the rows on the source until the mirror has applied the first ones."""
    values: Values = {}
    _add(values, keys, _read(sides.source, query, keys))
    slot, now = sides.context.feed.slot, value(sides.source, "SELECT pg_current_wal_lsn()::text")
    applied = "SELECT confirmed_flush_lsn >= %s FROM pg_replication_slots WHERE slot_name = %s"

    def passed() -> bool:
        sides.context.breathe()
        if len(keys) <= SAMPLED_ROWS:
            _add(values, keys, _read(sides.source, query, keys))
        return bool(value(sides.source, applied, (now, slot)))

    if not until(passed, sides.context.config.catch_up_seconds, every=SAMPLE_SECONDS):
        raise BlockedError(
            found=f"the mirror has not reached {now} of the source within "
            f"{sides.context.config.catch_up_seconds:g} s",
            needed="a mirror that follows, so that a difference can be told from a delay",
            way_out="look at `db-migration status`; verify again when the feed is `following`",
        )
    return values


def _add(values: Values, keys: set[str], found: Rows) -> None:
    for name in keys:
        known = values.setdefault(name, [])
        if found.get(name) not in known:
            known.append(found.get(name))


def _suspects(sides: Sides, table: Table, columns: list[Column], key: list[str]) -> set[str]:
    """Return the names of the rows that differ at a first, unsynchronised look."""
    query = hashing.buckets(table, columns, key)
    there = {bucket: rest for bucket, *rest in rows(sides.source, query)}
    here = {bucket: rest for bucket, *rest in rows(sides.mirror, query)}
    differing = [
        bucket for bucket in there.keys() | here.keys() if there.get(bucket) != here.get(bucket)
    ]
    inside = hashing.rows_in_buckets(table, columns, key)
    left = {name: rest for name, *rest in rows(sides.source, inside, (differing,))}
    right = {name: rest for name, *rest in rows(sides.mirror, inside, (differing,))}
    return {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}


def _read(connection: Connection, query: sql.Composed, keys: set[str]) -> Rows:
    cursor = connection.execute(query, {"keys": list(keys)})
    return {found[0]: found[1:] for found in cursor.fetchall()}


def _difference(
    columns: list[Column], there: tuple[Any, ...] | None, here: tuple[Any, ...] | None
) -> str:
    """Say what differs about one row, without its values: they may be secrets."""
    if here is None:
        return "missing on the mirror"
    if there is None:
        return "only on the mirror"
    if there[0] != here[0]:
        return f"{there[0]} times on the source, {here[0]} times on the mirror"
    pairs = zip(columns, _numbers(there[2]), _numbers(here[2]), strict=True)
    names = [column.name for column, one, other in pairs if one != other]
    return f"differs in {', '.join(names)}"


def _numbers(array: str) -> list[str]:
    return array.strip("{}").split(",")


def _report(table: Table, proven: dict[str, str], unsettled: list[str], more: int) -> list[str]:
    """Name the rows, and say how many more there are."""
    lines = [
        f"table {table.full_name}: row {name} {what}"
        for name, what in sorted(proven.items())[:NAMED_ROWS]
    ]
    rest = len(proven) - NAMED_ROWS + more
    if rest > 0:
        lines.append(f"table {table.full_name}: {rest} more rows differ")
    if unsettled:
        changing = f"{len(unsettled)} rows changed at every one of {ROUNDS} readings"
        lines.append(f"table {table.full_name}: {changing}, so they are not proven equal")
    return lines
