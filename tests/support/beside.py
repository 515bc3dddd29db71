"""Something that goes on in a thread beside a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg

from db_migration.errors import UnreachableError
from db_migration.postgres import Connection, Endpoint, value
from tests.support import timeouts
from tests.support.fix_postgres import wait_for


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `work` until the block ends, which sets its event."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Reader:
    """Reads the mirror all the time, and comes in again when it is thrown out."""

    def __init__(self, mirror: Endpoint, query: LiteralString) -> None:
        self.broken: list[Exception] = []
        self.seen: list[int] = []
        self._mirror, self._query = mirror, query
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Reader:
        self._thread.start()
        wait_for(lambda: self.seen, timeouts.FOLLOW)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeouts.AGENT_STEP)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                with self._mirror.connect() as connection:
                    self._read(connection)
            except psycopg.Error as error:
                self.broken.append(error)
            except UnreachableError:
                continue

    def _read(self, connection: Connection) -> None:
        while not self._ended.is_set():
            self.seen.append(value(connection, self._query))
