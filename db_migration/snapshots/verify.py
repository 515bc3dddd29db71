"""Whether a mirror still equals the snapshot that it was proven equal to when it was made.

The source has moved on since, and no log says how; so the mirror is held against what was read in
the snapshot, which stands in its mark. Whoever has written to the mirror is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import psycopg

from db_migration import catalog, catalog_grants
from db_migration.agent.state import Mark
from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.following import marks, sequences
from db_migration.postgres import Connection
from db_migration.snapshots import source as snapshot_source
from db_migration.verification import compare


@dataclass(frozen=True)
class Held:
    """What the mirror holds, and how that differs from its snapshot."""

    tables: int
    rows: int
    bytes: int
    differences: list[str]


def of_mirror(context: Context, *, exact: bool = False) -> Held | None:
    """Compare the mirror with its snapshot; None for a mirror that follows.

    Raises BlockedError for the exact strength: equal to its snapshot would be read as equal to the
    source, and a move begun on that loses what was written since.
    """
    with context.control.connect() as connection:
        mark = marks.mirror_mark(marks.of_database(connection, context.feed.target.database))
    if mark is None or mark.snapshot is None:
        return None
    if exact:
        raise BlockedError(
            found=f"the mirror shows the source as of {mark.snapshot.taken_at} and follows nothing "
            "(snapshot mode)",
            needed="a mirror that follows, to compare both sides at one LSN",
            way_out="`verify` without `--exact` holds it against its snapshot; to have the "
            "source's last rows, stop its writers and wait for a copy that was begun after that "
            "(`snapshot.taken_at` in `db-migration status --json`)",
        )
    with context.mirror.connect() as mirror:
        tables = {table.full_name: table for table in catalog.tables(mirror)}
        found = {name: _sum(mirror, table) for name, table in tables.items()}
        differences = [*_definitions(mirror, mark), *_rows(mark.snapshot.sums, found)]
        differences += _numbers(mirror, mark.snapshot.numbers)
        differences += compare.ownership(mirror, context) + _granted(mirror, context)
    return Held(
        tables=len(tables),
        rows=sum(snapshot_source.rows_of(one) for one in found.values() if one),
        bytes=sum(table.bytes for table in tables.values()),
        differences=differences,
    )


def _sum(mirror: Connection, table: catalog.Table) -> str | None:
    try:
        return snapshot_source.table_sum(mirror, table, catalog.columns(mirror, table))
    except psycopg.errors.InsufficientPrivilege:
        return None


def _definitions(mirror: Connection, mark: Mark) -> list[str]:
    here = snapshot_source.definitions(mirror)
    names = sorted(mark.tables.keys() | here.tables.keys())
    found = [
        f"table {name}: not defined as in the snapshot"
        for name in names
        if mark.tables.get(name) != here.tables.get(name)
    ]
    if mark.types != here.types:
        found.append("what is of no table (types, functions, views, …): not as in the snapshot")
    return found


def _granted(mirror: Connection, context: Context) -> list[str]:
    """Name what a single role may do; what everybody may is part of the definitions."""
    ours = {catalog_grants.PUBLIC, context.feed.source.reader.user}
    found = catalog_grants.grants(mirror)
    return compare.only_granted(
        (grant.name, grant.grantee, grant.privilege) for grant in found if grant.grantee not in ours
    )


def _numbers(mirror: Connection, noted: Mapping[str, int]) -> list[str]:
    here = catalog.sequences(mirror)
    seen = [each for each in here if each.readable and each.full_name in noted]
    return sequences.late([replace(each, last_value=noted[each.full_name]) for each in seen], here)


def _rows(sums: Mapping[str, str], now: Mapping[str, str | None]) -> list[str]:
    return [
        f"table {name}: its rows are not those of the snapshot"
        for name in sorted(sums)
        if now.get(name) != sums[name]
    ]
