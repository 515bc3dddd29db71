"""Connections to a database, as HikariCP hands them out."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg.rows import DictRow, dict_row

from .runtime import pause
from .settings import StandinError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .settings import Database

POOL_WAIT_SECONDS = 30.0
RETRY_SECONDS = 0.25
MOST_WAIT_SECONDS = 1.0

Connection = psycopg.Connection[DictRow]


class PoolTimeoutError(StandinError):
    """No connection within the pool's wait."""


def connect(database: Database, name: str, to: str | None = None) -> Connection:
    """Open one connection whose statements commit by themselves."""
    return psycopg.connect(
        database.conninfo(to, f"airbyte-{name}"),
        autocommit=True,
        row_factory=dict_row,
    )


class Pool:
    """A few connections, each tested before it is handed out.

    A restart of the server therefore delays requests (up to 30 s) instead of failing those that
    have not yet begun. What was in flight fails, as in Airbyte.
    """

    def __init__(self, database: Database, name: str, size: int = 8) -> None:
        """Open nothing yet."""
        self._database = database
        self._name = name
        self._places = threading.BoundedSemaphore(size)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._wait = RETRY_SECONDS / 2
        self._closed_until = 0.0
        self._refusal = ""

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a live connection; one that ended in an error is closed, not lent again."""
        if not self._places.acquire(timeout=POOL_WAIT_SECONDS):
            msg = f"Connection is not available, request timed out after {POOL_WAIT_SECONDS:.0f} s"
            raise PoolTimeoutError(msg)
        try:
            connection = self._live(time.monotonic() + POOL_WAIT_SECONDS)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            with self._lock:
                self._idle.append(connection)
        finally:
            self._places.release()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Lend a connection inside one transaction, committed on return."""
        with self.connection() as connection, connection.transaction():
            yield connection

    def rows(self, query: LiteralString, values: Sequence[Any] = ()) -> list[DictRow]:
        """Read."""
        with self.connection() as connection:
            return connection.execute(query, values).fetchall()

    def execute(self, query: LiteralString, values: Sequence[Any] = ()) -> int:
        """Write in a transaction of its own; return the number of rows."""
        with self.connection() as connection:
            return connection.execute(query, values).rowcount

    def _live(self, deadline: float) -> Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            try:
                connection = connection or self._open()
                connection.execute("SELECT 1")
            except psycopg.OperationalError as error:
                if connection is not None:
                    connection.close()
                elif time.monotonic() > deadline or pause(RETRY_SECONDS):
                    msg = f"Connection is not available, request timed out: {error}"
                    raise PoolTimeoutError(msg) from error
            else:
                return connection

    def _open(self) -> Connection:
        """Open one connection; all who wait share one attempt in a while, which grows.

        A database that refuses this role for good is therefore asked once a second.
        """
        with self._opening:
            if time.monotonic() < self._closed_until:
                raise psycopg.OperationalError(self._refusal)
            try:
                opened = connect(self._database, self._name)
            except psycopg.OperationalError as error:
                self._wait = min(MOST_WAIT_SECONDS, self._wait * 2)
                self._closed_until, self._refusal = time.monotonic() + self._wait, str(error)
                raise
            self._wait = RETRY_SECONDS / 2
            return opened
