"""Read the source in one snapshot, by several connections, and count what that costs it.

One connection holds the snapshot and locks nothing. The others read each table in a transaction of
its own: a lock that outlived its table would let prod's DDL wait, and behind that prod itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from db_migration import catalog, catalog_described
from db_migration.catalog import Column, Table
from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.postgres import Connection, Endpoint, row, run, value
from db_migration.seeding.crew import open_snapshot
from db_migration.verification import hashing
from db_migration.verification import rows as verify_rows

READERS = 2
T = TypeVar("T")
Lent: TypeAlias = "SimpleQueue[Connection]"


@contextmanager
def lend(endpoint: Endpoint) -> Iterator[Lent]:
    """Open a connection for each thread; what they read is shown alike by every server."""
    with ExitStack() as stack:
        lent: Lent = SimpleQueue()
        for _ in range(READERS):
            connection = stack.enter_context(endpoint.connect())
            run(connection, verify_rows.SESSION)
            lent.put(connection)
        yield lent


@contextmanager
def borrowed(lent: Lent) -> Iterator[Connection]:
    """Take a connection for a while."""
    connection = lent.get()
    try:
        yield connection
    finally:
        lent.put(connection)


@dataclass
class Cost:
    """What one copy has cost the source; bytes, rows and seconds."""

    tables: int = 0
    tables_read: int = 0
    """Read over the wire; all are hashed."""
    rows_read: int = 0
    bytes_read: int = 0
    """Sent over the wire."""
    bytes_hashed: int = 0
    """Size of the tables that the source's server looked through."""
    reading_seconds: float = 0
    """Summed over the connections."""
    held_seconds: float = 0
    """Age of the snapshot when it was let go: for as long prod's VACUUM kept what it showed."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **more: float) -> None:
        """Add to some of the numbers."""
        with self._lock:
            for name, number in more.items():
                setattr(self, name, getattr(self, name) + number)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for the journal."""
        shown = {name: getattr(self, name) for name in self.__dict__ if not name.startswith("_")}
        return {
            name: round(number, 3) if isinstance(number, float) else number
            for name, number in shown.items()
        }


@dataclass(frozen=True)
class Definitions:
    """What the tables are, and which file each of them is in, since it got its name."""

    tables: dict[str, str]
    types: str
    files: dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Snapshot:
    """One moment of the source, and connections that see it."""

    context: Context
    cost: Cost
    id: str
    lsn: str
    taken_at: str
    readers: Lent

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection that sees the snapshot; nothing stays locked afterwards."""
        self.context.breathe()
        with borrowed(self.readers) as connection:
            started = time.monotonic()
            open_snapshot(connection, [self.id])
            yield connection
            run(connection, "COMMIT")
            self.cost.add(reading_seconds=time.monotonic() - started)


@contextmanager
def snapshot(context: Context, cost: Cost) -> Iterator[Snapshot]:
    """Take a snapshot and hold it."""
    with ExitStack() as stack:
        here = stack.enter_context(context.control.connect())
        holder = stack.enter_context(context.reader.connect())
        readers = stack.enter_context(lend(context.reader))
        # The clock and the log before the snapshot: the copy is never older than it says.
        taken_at = value(here, "SELECT now()::text")
        lsn = value(holder, "SELECT pg_current_wal_lsn()::text")
        run(holder, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        started = time.monotonic()
        name = value(holder, "SELECT pg_export_snapshot()")
        try:
            yield Snapshot(context, cost, name, lsn, taken_at, readers)
        finally:
            cost.add(held_seconds=time.monotonic() - started)


def definitions(connection: Connection) -> Definitions:
    """Read the definitions as this connection sees them."""
    described, found = catalog_described.read(connection), catalog.tables(connection)
    return Definitions(
        described.fingerprints(found),
        described.types,
        {table.full_name: (table.file, table.version) for table in found},
    )


def refuse_moved(context: Context, before: Definitions) -> None:
    """Give the copy up when a table was emptied or changed while it was read."""
    with context.reader.connect() as connection:
        now = definitions(connection)
    if now != before:
        raise BlockedError(
            found="a table of the source was changed or renamed, or emptied by TRUNCATE, during "
            "the copy",
            needed="a while in which no table is changed, emptied or rewritten",
            way_out="nothing to do: the copy stays as it was, the next one is tried by itself",
        )


def in_parallel(jobs: list[Callable[[], T]], threads: int = READERS) -> list[T]:
    """Run the jobs; the first failure keeps the rest from starting."""
    failed = threading.Event()

    def guarded(job: Callable[[], T]) -> T | None:
        if failed.is_set():
            return None
        try:
            return job()
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(guarded, job) for job in jobs]
    for future in futures:
        if (error := future.exception()) is not None:
            raise error
    return [future.result() for future in futures]  # type: ignore[misc]


def table_sum(connection: Connection, table: Table, columns: list[Column]) -> str:
    """Return rows and hash of a table, as marks keep them."""
    found = row(connection, hashing.table_sum(table, columns)) or ()
    return ":".join(str(part) for part in found)


def rows_of(found: str) -> int:
    """Return the rows of a table's sum."""
    return int(found.split(":")[0])


def sums(
    taken: Snapshot, tables: dict[str, Table], columns: dict[str, list[Column]]
) -> dict[str, str]:
    """Hash every table of the source, the big ones first."""

    def one(name: str) -> tuple[str, str]:
        with taken.reading() as connection:
            found = table_sum(connection, tables[name], columns[name])
        taken.cost.add(tables=1, bytes_hashed=tables[name].bytes)
        return name, found

    biggest_first = sorted(tables, key=lambda name: -tables[name].bytes)
    return dict(in_parallel([partial(one, name) for name in biggest_first]))
