"""What a worker does for each kind of job: one transaction on the target, as Airbyte's role."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from psycopg import sql

from db_migration import catalog
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import Stopping
from db_migration.postgres import Connection, rows, run, run_script, value
from db_migration.seeding.crew import Tally, Worker
from db_migration.seeding.pipe import Digest, digest, pipe
from db_migration.seeding.plan import SMALL_BYTES, Job, Kind, Part
from db_migration.verification import hashing

TEXT_ALONE = frozenset({"tsquery", "_tsquery", "int2vector", "oidvector"})
"""Types whose empty value each server writes in binary, and refuses to read."""


@dataclass
class Work:
    """What the jobs of one seed share."""

    context: Context
    columns: Mapping[str, list[catalog.Column]]
    ended: threading.Event
    tally: Tally
    digests: dict[Job, Digest] = field(default_factory=dict)
    """Of each part of a table as it was sent, and as it was read back."""
    counts: dict[str, int] = field(default_factory=dict)
    """The rows of each table that the snapshot shows."""
    differences: list[str] = field(default_factory=list)

    def doubtful(self) -> set[str]:
        """Name the tables whose bytes do not prove that what is there is what was read.

        They may be equal all the same: a composite value's bytes name its types by number, which
        each server gives out for itself.
        """
        sums: dict[tuple[Kind, str], Digest] = defaultdict(Digest)
        for job, found in self.digests.items():
            sums[job.kind, job.tables[0]] += found
        return {
            name
            for name, count in self.counts.items()
            if (sent := sums[Kind.COPY, name]) != sums[Kind.READ_BACK, name] or sent.rows != count
        }

    def carry_out(self, worker: Worker, job: Job) -> None:
        """Do one job, of whatever kind."""
        doing: dict[Kind, Callable[[Work, Worker, Job], None]] = {
            Kind.COPY: copy_part,
            Kind.INDEX: build_index,
            Kind.KEY: add_constraint,
            Kind.FOREIGN_KEY: add_constraint,
            Kind.ANALYZE: analyze,
            Kind.READ_BACK: read_back,
            Kind.COMPARE: compare_values,
        }
        doing[job.kind](self, worker, job)


def copy_statements(
    table: catalog.Table, columns: list[catalog.Column], part: Part
) -> tuple[sql.Composed, sql.Composed]:
    """Return what reads the part on the source and what writes it on the target.

    A whole table is written frozen if it is not small: nobody has to visit its rows again to mark
    them as seen by all.
    """
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    in_text = not TEXT_ALONE.isdisjoint(column.base for column in columns)
    what = {
        "table": sql.Identifier(table.schema, table.name),
        "columns": names,
        "format": sql.SQL("text" if in_text else "binary"),
    }
    if part.whole:
        read = sql.SQL("COPY {table} ({columns}) TO STDOUT (FORMAT {format})")
        frozen = ", FREEZE" if table.bytes >= SMALL_BYTES else ""
        write = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT {format}{frozen})")
        return read.format(**what), write.format(**what, frozen=sql.SQL(frozen))
    pages = f"ctid >= '({part.first},0)'"
    pages += f" AND ctid < '({part.end},0)'" if part.end is not None else ""
    read = sql.SQL(
        "COPY (SELECT {columns} FROM ONLY {table} WHERE {pages}) TO STDOUT (FORMAT {format})"
    )
    write = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT {format})")
    return read.format(**what, pages=sql.SQL(pages)), write.format(**what)


@effect(Effect.COPY_TABLE)
def copy_part(work: Work, worker: Worker, job: Job) -> None:
    """Stream a table, or some pages of it, from server to server."""
    table = job.table
    if table is None:
        return
    columns = work.columns[table.full_name]
    if not columns:
        _load_number(work, worker, job)
        return
    read, write = copy_statements(table, columns, job.part)
    passed = [0, 0]

    def seen(number: int, size: int) -> None:
        if work.ended.is_set():
            raise Stopping
        passed[0] += number
        passed[1] += size
        work.tally.add(job, number, size)

    try:
        with worker.transaction() as target:
            if job.part.whole and table.bytes >= SMALL_BYTES:  # COPY FREEZE asks for it
                name = sql.Identifier(table.schema, table.name)
                run(target, sql.SQL("TRUNCATE ONLY {}").format(name))
            texts = [text.as_string(target).encode() for text in (read, write)]
            sent = pipe(worker.source.pgconn, target.pgconn, texts[0], texts[1], seen)
            work.digests[job] = sent  # before the commit: one that is not heard of counts too
    except BaseException:
        work.tally.add(job, -passed[0], -passed[1])
        raise
    work.tally.add(job, sent.rows - passed[0], 0)


def _load_number(work: Work, worker: Worker, job: Job) -> None:
    """Load a table without stored columns, of whose rows there is only their number."""
    if job.table is None or job.part.first > 0:
        return
    with worker.transaction() as target:
        number = copy_number(worker.source, target, job.table)
        work.digests[job] = Digest(number)
    work.tally.add(job, number, 0)


def copy_number(source: Connection, target: Connection, table: catalog.Table) -> int:
    """Make as many rows as the source has, and return how many: COPY needs a column to say it."""
    number = _number(source, table)
    name = sql.Identifier(table.schema, table.name)
    make = sql.SQL("INSERT INTO {} SELECT FROM generate_series(1, {})")
    run(target, make.format(name, sql.Literal(number)))
    return number


def _number(connection: Connection, table: catalog.Table) -> int:
    """Count the rows of a table."""
    name = sql.Identifier(table.schema, table.name)
    return int(value(connection, sql.SQL("SELECT count(*) FROM ONLY {}").format(name)))


@effect(Effect.BUILD_INDEX)
def build_index(_: Work, worker: Worker, job: Job) -> None:
    """Build one index, that of a key too."""
    _as_owner(worker, job)


@effect(Effect.ADD_CONSTRAINTS)
def add_constraint(_: Work, worker: Worker, job: Job) -> None:
    """Make an index the key, or add a foreign key."""
    _as_owner(worker, job)


def _as_owner(worker: Worker, job: Job) -> None:
    """Run DDL that needs no right on the database; safe beside another of its kind."""
    with worker.transaction() as target:
        run_script(target, job.text)


def analyze(_: Work, worker: Worker, job: Job) -> None:
    """Give the planner of the copy its statistics."""
    with worker.transaction() as target:
        run_script(target, job.text)


def read_back(work: Work, worker: Worker, job: Job) -> None:
    """Read what was loaded, as the source was read.

    Prod only counts its rows: it is not to read them out a second time, but nothing else tells of
    rows that were never asked for.
    """

    def seen(*_: int) -> None:
        if work.ended.is_set():
            raise Stopping

    if job.table is None:
        return
    if job.part.first == 0:
        work.counts[job.table.full_name] = _number(worker.source, job.table)
    if columns := work.columns[job.table.full_name]:
        read, _ = copy_statements(job.table, columns, job.part)
        text = read.as_string(worker.target).encode()
        work.digests[job] = digest(worker.target.pgconn, text, seen)
    elif job.part.first == 0:
        work.digests[job] = Digest(_number(worker.target, job.table))


def compare_values(work: Work, worker: Worker, job: Job) -> None:
    """Hash the values of a table on both sides, and name it if they differ."""
    if job.table is None:
        return
    query = hashing.table_sum(job.table, work.columns[job.table.full_name])
    there, here = (rows(side, query)[0] for side in (worker.source, worker.target))
    if there != here:
        hashes = "equal" if there[1] == here[1] else "differ"
        work.differences.append(
            f"table {job.table.full_name}: {there[0]} rows on the source, {here[0]} in the copy, "
            f"hashes {hashes}"
        )
