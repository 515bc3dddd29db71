"""Snapshot mode: a copy that equals one moment of the source, at no change to the source.

Source and mirror are hashed at the same time. If they are equal, the mirror is as new as the
snapshot, and only its mark is written. Else the shadow takes what has changed from the source, what
only it lacks from the mirror beside it, and is hashed table by table before it gets its mark.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from db_migration import catalog
from db_migration.agent.state import Mark
from db_migration.agent.state import Snapshot as Shown
from db_migration.catalog import Column, Table
from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.following import marks, sequences
from db_migration.journal import LOCK_CLASS, Journal
from db_migration.postgres import Connection, Endpoint, run, value
from db_migration.seeding import dump, seed
from db_migration.seeding import plan as seed_plan
from db_migration.snapshots import shadow as snapshot_shadow
from db_migration.snapshots import source as snapshot_source
from db_migration.snapshots.look import COST, STEP
from db_migration.snapshots.plan import Origin, differs, origins
from db_migration.snapshots.source import Cost, Definitions, Snapshot
from db_migration.verification import compare, verify
from db_migration.verification import rows as verify_rows

FAILOVER = "failover"
"""The lock that a failover takes before it waits for the feeds (failover/failover.py)."""
FAILOVER_WAITS = """
SELECT EXISTS (
    SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND d.datname = current_database() AND l.granted
      AND l.classid::bigint = %s AND l.objid::bigint = hashtext(%s)::bigint & 4294967295)
"""


@dataclass(frozen=True)
class Copy:
    """One copy in the making."""

    context: Context
    taken: Snapshot
    definitions: Definitions
    tables: Mapping[str, Table]
    columns: Mapping[str, list[Column]]
    sums: Mapping[str, str]
    numbers: Mapping[str, int]

    @property
    def mark(self) -> Mark:
        """What the copy shows."""
        source = self.context.feed.source.name
        shown = Shown(self.taken.taken_at, source, dict(self.sums), self.numbers)
        return Mark(self.taken.lsn, self.definitions.tables, self.definitions.types, shown)

    def of_same_schema(self, found: Mark | None) -> bool:
        """Tell whether a database was made from the same definitions."""
        if found is None or found.snapshot is None:
            return False
        return differs(found, self.definitions.tables, self.definitions.types) is None


@dataclass(frozen=True)
class Made:
    """A shadow that needs no source any more: what it still lacks."""

    keys: list[str]
    """Foreign keys, to be made again."""
    rest: str
    """In a new database: indexes, keys and all else."""
    whence: Mapping[str, Origin]


def take(context: Context, journal: Journal) -> None:
    """Take a copy as of now: into the mirror's mark, or into a shadow that waits to be swapped in.

    Raises BlockedError when the copy is not what the snapshot shows; the mirror stays as it is.
    """
    cost, started = Cost(), time.monotonic()
    with context.control.connect() as connection:
        comments = marks.of_databases(connection)
    mirror, old = (
        marks.mirror_mark(comments.get(name))
        for name in (context.feed.target.database, context.old_mirror_name)
    )
    made = None
    with snapshot_source.snapshot(context, cost) as taken:
        copy, here = _look(context, taken, mirror)
        same = copy.of_same_schema(mirror) and here == copy.sums
        if not same or _differences(context, context.mirror):
            fit = copy.of_same_schema(old) and snapshot_shadow.refillable(context)
            made = _fill(copy, here, old if fit else None)
        snapshot_source.refuse_moved(context, copy.definitions)
    endpoint = context.mirror
    if made is not None:
        endpoint = context.seed
        _complete(copy, made)
    sequences.advance(context, endpoint)
    if found := _differences(context, endpoint):
        raise _unequal(found[0])
    snapshot_shadow.mark(context, endpoint.database, copy.mark)
    _record(copy, journal, time.monotonic() - started)


def _look(context: Context, taken: Snapshot, mirror: Mark | None) -> tuple[Copy, dict[str, str]]:
    """Hash the source and, where that makes sense, the mirror, both at once."""
    with taken.reading() as source:
        found = snapshot_source.definitions(source)
        listed = catalog.tables(source)
        seed_plan.refuse_same_names(listed)
        tables = {table.full_name: table for table in listed}
        columns = {name: catalog.columns(source, table) for name, table in tables.items()}
        numbers = sequences.numbers(source)
    copy = Copy(context, taken, found, tables, columns, {}, numbers)
    with ThreadPoolExecutor(1) as other:
        here = (
            other.submit(sums_of, context.mirror, tables, columns)
            if copy.of_same_schema(mirror)
            else None
        )
        sums = snapshot_source.sums(taken, tables, columns)
        return replace(copy, sums=sums), here.result() if here is not None else {}


def sums_of(
    endpoint: Endpoint, tables: Mapping[str, Table], columns: Mapping[str, list[Column]]
) -> dict[str, str]:
    """Hash the tables of a database of the target; what somebody has dropped has no hash."""
    sums: dict[str, str] = {}
    with endpoint.connect() as connection:
        run(connection, verify_rows.SESSION)
        for name, table in tables.items():
            with suppress(*verify_rows.UNREADABLE):
                sums[name] = snapshot_source.table_sum(connection, table, columns[name])
    return sums


def _fill(copy: Copy, mirror: Mapping[str, str], old: Mark | None) -> Made:
    """Make the shadow, and bring into it what only the source has."""
    context, taken = copy.context, copy.taken
    shadow = old.snapshot.sums if old is not None and old.snapshot is not None else None
    if shadow is not None:
        snapshot_shadow.adopt(context)
    else:
        seed.create_database(context)
        script = dump.definitions(context.reader, "pre-data", snapshot=taken.id)
        seed.restore_schema(context, script)
    whence = origins(copy.sums, shadow or {}, mirror)
    changed = [name for name, origin in whence.items() if origin is not Origin.SHADOW]
    keys = snapshot_shadow.drop_keys(context, changed) if shadow is not None else []
    _on_each(copy, _read, [name for name in changed if whence[name] is Origin.SOURCE])
    rest = (
        dump.definitions(context.reader, "post-data", snapshot=taken.id) if shadow is None else ""
    )
    return Made(keys, rest, whence)


def _on_each(copy: Copy, do: Callable[[Copy, Connection, str], None], names: list[str]) -> None:
    """Do something with tables of the shadow, the big ones first."""
    context, lend, borrowed = copy.context, snapshot_source.lend, snapshot_source.borrowed
    with lend(context.seed) as shadows, lend(context.control) as controls:

        def job(name: str) -> None:
            context.breathe()
            with borrowed(controls) as control:
                _give_way(control)
            with borrowed(shadows) as shadow:
                do(copy, shadow, name)

        biggest_first = sorted(names, key=lambda name: -copy.tables[name].bytes)
        snapshot_source.in_parallel([partial(job, name) for name in biggest_first])


def _give_way(control: Connection) -> None:
    """Leave off when a failover waits: the mirror is there, and prod's successor is needed now."""
    if value(control, FAILOVER_WAITS, (LOCK_CLASS, FAILOVER)):
        raise BlockedError(
            found="a failover is at work, and it needs the mirror as it is",
            needed="nothing: the copy is left off",
            way_out="nothing to do",
        )


def _read(copy: Copy, shadow: Connection, name: str) -> None:
    with copy.taken.reading() as source:
        size, rows = snapshot_shadow.replace_table(
            copy.context, source, shadow, copy.tables[name], copy.columns[name]
        )
    copy.taken.cost.add(tables_read=1, bytes_read=size, rows_read=rows)


def _complete(copy: Copy, made: Made) -> None:
    """Do all that needs no source: rows that the mirror has, the proof, keys and indexes."""

    def prove(copy: Copy, shadow: Connection, name: str) -> None:
        table, columns = copy.tables[name], copy.columns[name]
        if made.whence[name] is Origin.MIRROR:
            with copy.context.mirror.connect() as mirror:
                snapshot_shadow.replace_table(copy.context, mirror, shadow, table, columns)
        if snapshot_source.table_sum(shadow, table, columns) != copy.sums[name]:
            raise _unequal(name)

    _on_each(copy, prove, list(made.whence))
    if made.rest:
        seed.add_rest(copy.context, made.rest)
    changed = [name for name, origin in made.whence.items() if origin is not Origin.SHADOW]
    snapshot_shadow.add_keys(copy.context, made.keys, [copy.tables[name] for name in changed])


def _differences(context: Context, endpoint: Endpoint) -> list[str]:
    """Name what differs in definitions and rights."""
    with context.reader.connect() as source, endpoint.connect() as copy:
        return compare.definitions_and_rights(source, copy, context)


def _unequal(what: str) -> BlockedError:
    return BlockedError(
        found=f"the new copy does not equal its snapshot in: {what}",
        needed="a copy that equals its snapshot, before it takes the mirror's place",
        way_out="nothing to do: the mirror stays as it was, and the next copy is made anew",
    )


def _record(copy: Copy, journal: Journal, seconds: float) -> None:
    """Keep the proof, and what the copy has cost."""
    counted = sum(snapshot_source.rows_of(found) for found in copy.sums.values())
    size = sum(table.bytes for table in copy.tables.values())
    proof = verify.Result(verify.Strength.SNAPSHOT, len(copy.tables), counted, size, size)
    journal.save_verification(proof.as_dict())
    cost = {"taken_at": copy.taken.taken_at, "seconds": round(seconds, 3)}
    journal.event(STEP, COST, json.dumps(cost | copy.taken.cost.as_dict()))
