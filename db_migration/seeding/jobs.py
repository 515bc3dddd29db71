"""What a worker does for each kind of job: one transaction on the target, as Airbyte's role."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from psycopg import sql

from db_migration import catalog
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import Stopping
from db_migration.postgres import rows, run, run_script
from db_migration.seeding.crew import Tally, Worker
from db_migration.seeding.pipe import pipe
from db_migration.seeding.plan import SMALL_BYTES, Job, Kind, Part
from db_migration.verification import hashing

Sum = tuple[int, str]
"""A table's number of rows and sum of hashes."""


@dataclass
class Work:
    """What the jobs of one seed share."""

    context: Context
    columns: Mapping[str, list[catalog.Column]]
    ended: threading.Event
    tally: Tally
    sums: dict[tuple[Kind, str], Sum] = field(default_factory=dict)

    def carry_out(self, worker: Worker, job: Job) -> None:
        """Do one job, of whatever kind."""
        doing: dict[Kind, Callable[[Work, Worker, Job], None]] = {
            Kind.COPY: copy_part,
            Kind.INDEX: build_index,
            Kind.KEY: add_constraint,
            Kind.FOREIGN_KEY: add_constraint,
            Kind.ANALYZE: analyze,
            Kind.HASH_SOURCE: hash_table,
            Kind.HASH_COPY: hash_table,
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
    what = {"table": sql.Identifier(table.schema, table.name), "columns": names}
    if part.whole:
        read = sql.SQL("COPY {table} ({columns}) TO STDOUT (FORMAT binary)")
        frozen = ", FREEZE" if table.bytes >= SMALL_BYTES else ""
        write = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT binary{frozen})")
        return read.format(**what), write.format(**what, frozen=sql.SQL(frozen))
    pages = f"ctid >= '({part.first},0)'"
    pages += f" AND ctid < '({part.end},0)'" if part.end is not None else ""
    read = sql.SQL(
        "COPY (SELECT {columns} FROM ONLY {table} WHERE {pages}) TO STDOUT (FORMAT binary)"
    )
    write = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT binary)")
    return read.format(**what, pages=sql.SQL(pages)), write.format(**what)


@effect(Effect.COPY_TABLE)
def copy_part(work: Work, worker: Worker, job: Job) -> None:
    """Stream a table, or some pages of it, from server to server."""
    table = job.table
    columns = work.columns[table.full_name] if table is not None else []
    if not columns or table is None:
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
            done = pipe(worker.source.pgconn, target.pgconn, texts[0], texts[1], seen)
    except BaseException:
        work.tally.add(job, -passed[0], -passed[1])
        raise
    work.tally.add(job, done - passed[0], 0)


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


def hash_table(work: Work, worker: Worker, job: Job) -> None:
    """Hash a table of the source in the snapshot, or of the copy as it was loaded."""
    if job.table is None:
        return
    side = worker.source if job.kind is Kind.HASH_SOURCE else worker.target
    count, total = rows(side, hashing.table_sum(job.table, work.columns[job.table.full_name]))[0]
    work.sums[job.kind, job.table.full_name] = (count, total)
