"""For how long a server may keep a question: a frozen one takes it and never answers.

TCP does not tell: the kernel of a host whose PostgreSQL, or whose disk, stands still goes on
acknowledging, and so does the near end of a tunnel.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import psycopg

from db_migration.errors import UnreachableError

CANCEL_SECONDS = 2.0

_seconds: ContextVar[float | None] = ContextVar("seconds", default=None)


@contextmanager
def answers_within(seconds: float) -> Iterator[None]:
    """Give every connection that this thread opens in the `with` a deadline for all its work."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


@contextmanager
def watched(connection: psycopg.Connection[tuple[object, ...]], label: str) -> Iterator[None]:
    """End a connection that is open past the deadline; then raises UnreachableError."""
    seconds = _seconds.get()
    if seconds is None:
        yield
        return
    watch = _Watch(connection, seconds)
    try:
        yield
    except psycopg.OperationalError:
        if watch.ended:
            raise UnreachableError(
                found=f"{label} has taken a question and not answered it within {seconds:g} s",
                needed="a server that answers",
                way_out="look whether its host, its container (`docker unpause`) or its disk "
                "stands still; this is tried again by itself",
            ) from None
        raise
    finally:
        watch.close()


def interrupt(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """End what a connection is at; and the connection, if its server is too frozen to hear it."""
    with suppress(psycopg.Error):
        try:
            connection.cancel_safe(timeout=CANCEL_SECONDS)
        except psycopg.errors.CancellationTimeout:
            _shut(connection.fileno())


class _Watch:
    """A timer that shuts one connection down; once that is closed its number may be another's."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], seconds: float) -> None:
        self.ended = False
        self._socket = connection.fileno()
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        with self._lock:
            self._timer.cancel()
            self._socket = -1

    def _end(self) -> None:
        with self._lock:
            if self._socket >= 0:
                self.ended = True
                _shut(self._socket)


def _shut(number: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(number)) as ours:
        ours.shutdown(socket.SHUT_RDWR)
