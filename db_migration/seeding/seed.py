"""Make a complete copy in a database of its own, at the very point where a new slot starts.

The slot's exported snapshot lives as long as a connection that holds it: a lost connection of a
worker costs one job, a lost process the whole seed, which is then made anew. The mark of
a complete copy is written last.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import structlog
from psycopg import sql
from psycopg.errors import DuplicateObject, error_from_result
from psycopg.pq import ExecStatus

from db_migration import catalog, catalog_described, catalog_grants, catalog_keys
from db_migration.agent.state import Mark
from db_migration.catalog_keys import Constraint, Index
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError
from db_migration.following import marks, sequences
from db_migration.postgres import Connection, become, run, run_script, value
from db_migration.seeding import dump, kept
from db_migration.seeding import plan as seed_plan
from db_migration.seeding.crew import Crew, Tally, open_snapshot
from db_migration.seeding.jobs import Work
from db_migration.seeding.pipe import answer
from db_migration.sides import promotion

WORKERS = min(max(os.cpu_count() or 2, 2), 4)
"""Of the target's host, where this runs: rows and indexes cost most there. Prod is spared more."""

LONG_SECONDS = 4.0
NAMED_TABLES = 5
log = structlog.get_logger()


@dataclass(frozen=True)
class Start:
    """A slot's starting point and the snapshot that shows the source at it."""

    lsn: str
    snapshot: str


@dataclass(frozen=True)
class Plan:
    """What is to be copied, read in the snapshot."""

    tables: list[catalog.Table]
    unpublished: list[catalog.Table]
    mark: Mark
    columns: Mapping[str, list[catalog.Column]] = field(default_factory=dict)
    indexes: Sequence[Index] = ()
    constraints: Sequence[Constraint] = ()


@dataclass(frozen=True)
class Loaded:
    """What a seed has carried."""

    rows: int
    bytes: int
    differences: list[str] | None = None
    """Tables that are not equal to the snapshot; None where they were not compared."""


def seed(context: Context, *, verify: bool = False) -> Loaded:
    """Slot, schema, rows, indexes, constraints, statistics, sequences, mark.

    With `verify` every table is read back while others still load, and compared with what was read
    in the snapshot; a copy that differs stays unfinished, and BlockedError names the tables.
    """
    with _replication(context) as walsender:
        start = create_slot(context, walsender)
        with _snapshot(context, start) as source:
            what = read_plan(source, start)
            seed_plan.refuse_hidden(what.tables, context.reader.login.user)
            # Two connections stand for the snapshot: the loss of one does not end it.
            again = value(source, "SELECT pg_export_snapshot()")
            with ThreadPoolExecutor() as pool:  # one core would be idle until the rows come
                before, after = (
                    pool.submit(definitions, context, start, what, section)
                    for section in ("pre-data", "post-data")
                )
                create_database(context)
                restore_schema(context, before.result())
            names = [start.snapshot, again]
            loaded = run_jobs(context, names, what, after.result(), verify=verify)
    if loaded.differences:
        rest = len(loaded.differences) - NAMED_TABLES
        named = loaded.differences[:NAMED_TABLES] + ([f"{rest} more"] if rest > 0 else [])
        raise BlockedError(
            found=f"the new copy is not what was read: {'; '.join(named)}",
            needed="a copy with the source's rows",
            way_out="nothing to do if the source emptied or rewrote it (TRUNCATE, CLUSTER, VACUUM "
            "FULL), else look at the disks and memory of the target; a new copy is made by itself",
        )
    sequences.advance(context, context.seed)
    mark_seeded(context, what.mark)
    log.info("seeded", rows=loaded.rows, bytes=loaded.bytes, verified=verify)
    return loaded


@contextmanager
def _replication(context: Context) -> Iterator[Connection]:
    """Open a walsender: the only kind of connection that can export a slot's snapshot."""
    with context.reader.connect(replication="database") as connection:
        # A slot waits for prod's transactions as for locks; nobody queues behind that.
        run(connection, "SET lock_timeout = 0")
        yield connection


@effect(Effect.CREATE_SLOT)
def create_slot(context: Context, walsender: Connection) -> Start:
    """Create the slot; the snapshot is valid until the walsender's next command."""
    create = sql.SQL("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT")
    query = create.format(sql.Identifier(context.feed.slot)).as_string(walsender)
    result = answer(walsender.pgconn, query.encode(), partial(_wait_for_slot, context))
    if result.status != ExecStatus.TUPLES_OK:
        error = error_from_result(result)
        raise _taken(context) if isinstance(error, DuplicateObject) else error
    fields = [(result.get_value(0, number) or b"").decode() for number in range(3)]
    return Start(lsn=fields[1], snapshot=fields[2])


def _taken(context: Context) -> BlockedError:
    """Say whose slot has our name: of prod's own database before another one got its name."""
    slot = context.feed.slot
    with context.reader.connect() as source:
        query = "SELECT database FROM pg_replication_slots WHERE slot_name = %s"
        database = value(source, query, (slot,))
    return BlockedError(
        found=f"the source's server has a slot `{slot}` of database `{database}`, not of "
        f"`{context.feed.source.database}`",
        needed=f"that name for the slot of `{context.feed.source.database}`",
        way_out=f"if `{database}` was prod's database before: SELECT pg_drop_replication_slot("
        f"'{slot}'), for it keeps prod's log; else give `target.name` another name; a new copy is "
        "then made by itself",
    )


def _wait_for_slot(context: Context, seconds: float) -> None:
    """Say why it takes long: a slot waits for every transaction that was open before it."""
    context.breathe()
    if seconds >= LONG_SECONDS:
        text = f"the slot waits for prod's open transactions, for {seconds:.0f} s by now"
        log.info("seeding", text=text)
        context.tell("progress", {"text": text})
        kept.watch(context)


@contextmanager
def _snapshot(context: Context, start: Start) -> Iterator[Connection]:
    """Read the source as it was at the slot's starting point."""
    with context.reader.connect() as connection:
        open_snapshot(connection, [start.snapshot])
        yield connection


def read_plan(source: Connection, start: Start) -> Plan:
    """Take only what is published: of the rest the slot would not carry the changes."""
    found = catalog.tables(source, PUBLICATION)
    seed_plan.refuse_same_names(found)
    published = [table for table in found if table.published]
    described = catalog_described.read(source)
    mark = Mark(
        start.lsn,
        described.fingerprints(published),
        described.types,
        bodies={table.full_name: table.body for table in published},
        listings={table.full_name: table.listing for table in published},
    )
    return Plan(
        published,
        [table for table in found if not table.published],
        mark,
        {table.full_name: catalog.columns(source, table) for table in published},
        catalog_keys.indexes(source),
        catalog_keys.constraints(source),
    )


@effect(Effect.CREATE_SEED)
def create_database(context: Context) -> None:
    """Make the database of the new copy, like the mirror; nobody else may enter it."""
    with context.control.connect() as connection:
        promotion.create_like(connection, context.seed_name, context.feed.target.database)
        marks.write_unfinished(connection, context.seed_name)
        name = sql.Identifier(context.seed_name)
        run(connection, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))


def definitions(context: Context, start: Start, what: Plan, section: str) -> str:
    """Return the SQL of one section of what the snapshot shows, less what is not published."""
    without = [(table.schema, table.name) for table in what.unpublished]
    return dump.definitions(context.reader, section, snapshot=start.snapshot, without=without)


@effect(Effect.RESTORE_SCHEMA)
def restore_schema(context: Context, script: str) -> None:
    """Make types, tables and sequences, owned by Airbyte's role."""
    with context.seed.connect() as connection:
        _in_owners_name(context, connection, script)


def _in_owners_name(context: Context, connection: Connection, script: str) -> None:
    """Run DDL as the owning role; the right to make things is lent for this transaction only."""
    owner = context.feed.target.owner_role
    role, database = sql.Identifier(owner), sql.Identifier(connection.info.dbname)
    with connection.transaction():
        run(connection, sql.SQL("GRANT CREATE, USAGE ON SCHEMA public TO {}").format(role))
        run(connection, sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, role))
        with become(connection, owner):
            run_script(connection, script)
        run(connection, sql.SQL("REVOKE CREATE ON DATABASE {} FROM {}").format(database, role))


def run_jobs(
    context: Context, snapshots: list[str], what: Plan, script: str, *, verify: bool
) -> Loaded:
    """Rows, indexes, keys, foreign keys and statistics, on several workers."""
    after = seed_plan.Definitions(dump.items(script), what.indexes, what.constraints)
    jobs, rest = seed_plan.jobs(what.tables, after, WORKERS, verify=verify)
    tally = Tally(len(what.tables))
    crew = Crew(context, snapshots, tally)
    work = Work(context, what.columns, crew.ended, tally)
    crew.run(jobs, WORKERS, work.carry_out)
    if verify and (doubtful := work.doubtful() | _moved(context, what.tables)):
        log.info("bytes prove nothing, so values are compared", tables=sorted(doubtful))
        again = [table for table in what.tables if table.full_name in doubtful]
        crew.run(seed_plan.comparisons(again), WORKERS, work.carry_out)
    add_rest(context, rest)
    return Loaded(tally.rows, tally.bytes, sorted(work.differences) if verify else None)


def _moved(context: Context, tables: list[catalog.Table]) -> set[str]:
    """Name the tables that CLUSTER or VACUUM FULL has rewritten since the snapshot, or that were
    renamed.

    Between two parts of a table its rows have then changed pages: some were read twice, some never.
    Under a name that two tables had, those of the wrong one were read.
    """
    with context.reader.connect() as source:
        now = catalog.tables(source)
    return {*catalog.moved(tables, now), *catalog.renamed(tables, now)}


@effect(Effect.ADD_CONSTRAINTS)
def add_rest(context: Context, rest: str) -> None:
    """Add triggers and whatever else comes after the keys, then PUBLIC's rights."""
    with context.seed.connect() as connection:
        _in_owners_name(context, connection, rest)
        copy_public_grants(context, connection)


def copy_public_grants(
    context: Context, connection: Connection, tables: Collection[str] | None = None
) -> None:
    """Give PUBLIC the same rights as on the source, on everything or on these tables.

    Other roles are the target's own affair.
    """
    with context.reader.connect() as source:
        found = [
            grant
            for grant in catalog_grants.grants(source)
            if tables is None or grant.table in tables
        ]
    with connection.transaction(), become(connection, context.feed.target.owner_role):
        for grant in found:
            name = grant.identifier.as_string(connection)
            known = value(connection, "SELECT to_regclass(%s)", (name,)) is not None
            if known and grant.grantee == catalog_grants.PUBLIC:
                run(connection, grant.statement)


@effect(Effect.MARK_SEEDED)
def mark_seeded(context: Context, mark: Mark) -> None:
    """Say that the copy is complete, and where its stream starts."""
    with context.control.connect() as connection:
        marks.write_mirror(connection, context.seed_name, mark)
