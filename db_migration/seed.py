"""Make a complete copy in a database of its own, at the very point where a new slot starts.

The slot's exported snapshot lives as long as the connection that made it; so a seed that is
interrupted can not be continued, only made anew, and the mark is written last.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import structlog
from psycopg import sql
from psycopg.pq import ExecStatus

from db_migration import catalog, dump, marks, promotion, sequences
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.postgres import Connection, become, rows, run, run_script, value
from db_migration.state import Mark

WORKERS = 2
CHUNK_BYTES = 64 * 1024
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


def seed(context: Context) -> None:
    """Slot, schema, rows, indexes, constraints, sequences, mark."""
    with _replication(context) as walsender:
        start = create_slot(context, walsender)
        with _snapshot(context, start) as source:
            what = read_plan(source, start)
        create_database(context)
        restore_schema(context, start, what)
        _copy_all(context, start, what)
        _build(context, start, what)
    sequences.advance(context, context.seed)
    _analyze(context)
    mark_seeded(context, what.mark)


@contextmanager
def _replication(context: Context) -> Iterator[Connection]:
    """Open a walsender: the only kind of connection that can export a slot's snapshot."""
    with context.reader.connect(replication="database") as connection:
        yield connection


@effect(Effect.CREATE_SLOT)
def create_slot(context: Context, walsender: Connection) -> Start:
    """Create the slot; the snapshot is valid until the walsender's next command."""
    create = sql.SQL("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT")
    query = create.format(sql.Identifier(context.feed.slot)).as_string(walsender)
    result = walsender.pgconn.exec_(query.encode())
    if result.status != ExecStatus.TUPLES_OK:
        raise psycopg.OperationalError(result.get_error_message())
    fields = [(result.get_value(0, number) or b"").decode() for number in range(3)]
    return Start(lsn=fields[1], snapshot=fields[2])


@contextmanager
def _snapshot(context: Context, start: Start) -> Iterator[Connection]:
    """Read the source as it was at the slot's starting point."""
    with context.reader.connect() as connection:
        run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        run(connection, sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(start.snapshot)))
        yield connection


def read_plan(source: Connection, start: Start) -> Plan:
    """Take only what is published: of the rest the slot would not carry the changes."""
    lines = catalog.definitions(source)
    found = catalog.tables(source, PUBLICATION)
    published = [table for table in found if table.published]
    fingerprints = {
        table.full_name: catalog.fingerprint(lines.get(table.full_name, [])) for table in published
    }
    mark = Mark(start.lsn, fingerprints, catalog.fingerprint(catalog.types(source)))
    return Plan(published, [table for table in found if not table.published], mark)


@effect(Effect.CREATE_SEED)
def create_database(context: Context) -> None:
    """Make the database of the new copy, like the mirror; nobody else may enter it."""
    with context.control.connect() as connection:
        promotion.create_like(connection, context.seed_name, context.feed.target.database)
        name = sql.Identifier(context.seed_name)
        run(connection, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))


@effect(Effect.RESTORE_SCHEMA)
def restore_schema(context: Context, start: Start, what: Plan) -> None:
    """Make types, tables and sequences, owned by Airbyte's role."""
    without = [(table.schema, table.name) for table in what.unpublished]
    script = dump.definitions(context.reader, "pre-data", snapshot=start.snapshot, without=without)
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


def _copy_all(context: Context, start: Start, what: Plan) -> None:
    """Copy the tables, big ones first, on two threads."""
    _in_parallel(
        context,
        [
            (lambda table=table: copy_table(context, start, table))
            for table in sorted(what.tables, key=lambda table: -table.bytes)
        ],
    )


def _in_parallel(context: Context, jobs: list) -> None:  # type: ignore[type-arg]
    """Run the jobs; the first failure keeps the rest from starting."""
    failed = threading.Event()

    def guarded(job) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        if failed.is_set():
            return
        try:
            context.breathe()
            job()
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(WORKERS) as pool:
        for future in [pool.submit(guarded, job) for job in jobs]:
            future.result()


@effect(Effect.COPY_TABLE)
def copy_table(context: Context, start: Start, table: catalog.Table) -> None:
    """Stream one table from server to server in binary, in one transaction."""
    owner = context.feed.target.owner_role
    with _snapshot(context, start) as source, context.seed.connect() as target:
        columns = catalog.columns(source, table)
        if not columns:
            return
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        what = {"table": sql.Identifier(table.schema, table.name), "columns": names}
        read = sql.SQL("COPY {table} ({columns}) TO STDOUT (FORMAT binary)").format(**what)
        write = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT binary)").format(**what)
        with (
            target.transaction(),
            become(target, owner),
            target.cursor() as cursor,
            cursor.copy(write) as copy,
        ):
            for chunk in _chunks(context, source, read):
                copy.write(chunk)


def _chunks(context: Context, source: Connection, query: sql.Composed) -> Iterator[bytes]:
    """Read COPY data on libpq's own level: a Python call for each row would cost as much as a
    server.
    """
    pgconn = source.pgconn
    result = pgconn.exec_(query.as_string(source).encode())
    if result.status != ExecStatus.COPY_OUT:
        raise psycopg.OperationalError(result.get_error_message())
    waiting = bytearray()
    while True:
        size, data = pgconn.get_copy_data(1)
        if size == -1:
            break
        if size == 0:
            select.select([pgconn.socket], [], [])
            pgconn.consume_input()
            continue
        waiting += data
        if len(waiting) >= CHUNK_BYTES:
            context.breathe()
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
    while (ended := pgconn.get_result()) is not None:
        if ended.status != ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError(ended.get_error_message())


def _build(context: Context, start: Start, what: Plan) -> None:
    """Indexes and keys in parallel, then what refers to them in the order of the dump."""
    without = [(table.schema, table.name) for table in what.unpublished]
    script = dump.definitions(context.reader, "post-data", snapshot=start.snapshot, without=without)
    found = dump.items(script)
    first = [item for item in found if item.kind in {"INDEX", "CONSTRAINT"}]
    rest = [item for item in found if item.kind not in {"INDEX", "CONSTRAINT"}]
    _in_parallel(context, [(lambda item=item: build_index(context, item)) for item in first])
    add_constraints(context, rest)


@effect(Effect.BUILD_INDEX)
def build_index(context: Context, item: dump.Item) -> None:
    """Build one index or key."""
    with context.seed.connect() as connection:
        _in_owners_name_light(context, connection, item.text)


@effect(Effect.ADD_CONSTRAINTS)
def add_constraints(context: Context, rest: list[dump.Item]) -> None:
    """Add foreign keys and all else that needs the keys."""
    with context.seed.connect() as connection:
        _in_owners_name(context, connection, "\n".join(item.text for item in rest))
        copy_public_grants(context, connection)


def _in_owners_name_light(context: Context, connection: Connection, script: str) -> None:
    """Run DDL that needs no right on the database; safe beside another of its kind."""
    with connection.transaction(), become(connection, context.feed.target.owner_role):
        run_script(connection, script)


def copy_public_grants(context: Context, connection: Connection) -> None:
    """Give PUBLIC the same rights on tables as on the source; other roles are the target's own
    affair.
    """
    with context.reader.connect() as source:
        found = rows(source, PUBLIC_GRANTS)
    with connection.transaction(), become(connection, context.feed.target.owner_role):
        for schema, name, privilege in found:
            table = sql.Identifier(schema, name)
            known = value(connection, "SELECT to_regclass(%s)", (table.as_string(connection),))
            if known is not None:
                grant = sql.SQL("GRANT {} ON TABLE {} TO PUBLIC")
                run(connection, grant.format(sql.SQL(privilege), table))


PUBLIC_GRANTS = """
SELECT n.nspname, c.relname, a.privilege_type
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(c.relacl) a
WHERE a.grantee = 0 AND c.relkind = 'r'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
"""


def _analyze(context: Context) -> None:
    """Give the planner of the copy its statistics; a failure costs speed, not truth."""
    with context.seed.connect() as connection, become(connection, context.feed.target.owner_role):
        run(connection, "ANALYZE")


@effect(Effect.MARK_SEEDED)
def mark_seeded(context: Context, mark: Mark) -> None:
    """Say that the copy is complete, and where its stream starts."""
    with context.control.connect() as connection:
        marks.write_mirror(connection, context.seed_name, mark)
