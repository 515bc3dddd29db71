"""Rows from server to server on libpq's own level, in blocks, without decoding.

A Python call for each row and a decoded value would cost as much as a server; a block of many rows
is handed on as it came.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator

import psycopg
from psycopg.abc import Buffer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

BLOCK_BYTES = 96 * 1024
LOOK_SECONDS = 1.0
"""How often a pipe that waits for a server looks whether it is to stop."""

PATIENCE_SECONDS = 5.0
"""How often a caller that waits for an answer hears that there is none yet."""

Seen = Callable[[int, int], None]
"""Called with the rows and bytes of each block; may raise, and so end the pipe."""


def pipe(source: PGconn, target: PGconn, read: bytes, write: bytes, seen: Seen) -> int:
    """Carry the rows of one COPY into another; return how many the target took.

    Holds one block, or one row where a row is larger. Raises the error of the server that gave up;
    both connections are then in the middle of a COPY, and to be closed.
    """
    _begin(source, read, ExecStatus.COPY_OUT)
    _begin(target, write, ExecStatus.COPY_IN)
    for rows, block in _blocks(source, seen):
        _send(target, block, seen)
        if _readable(target.socket, 0):  # only an error makes the target speak now
            break
        seen(rows, len(block))
    else:
        _end(source)
    while target.put_copy_end() == 0:
        _flush(target, seen)
    _flush(target, seen)
    return _end(target)


def answer(connection: PGconn, query: bytes, waiting: Callable[[float], None]) -> PGresult:
    """Return the one result of a command that may take long.

    `waiting` is called every few seconds with the seconds since the beginning; it may raise.
    """
    began = time.monotonic()
    connection.send_query(query)
    connection.flush()
    while connection.is_busy():
        if not _readable(connection.socket, PATIENCE_SECONDS):
            waiting(time.monotonic() - began)
        connection.consume_input()
    result = connection.get_result()
    while connection.get_result() is not None:
        continue
    if result is None:
        msg = "the server gave no answer"
        raise psycopg.OperationalError(msg)
    return result


def _begin(connection: PGconn, query: bytes, expected: ExecStatus) -> None:
    result = connection.exec_(query)
    if result.status != expected:
        raise _error(result)


def _blocks(source: PGconn, seen: Seen) -> Iterator[tuple[int, bytes]]:
    """Yield the number of rows and the bytes of each block."""
    waiting: list[Buffer] = []
    size = 0
    while True:
        length, data = source.get_copy_data(1)
        if length > 0:
            waiting.append(data)
            size += length
        elif length < 0:
            break
        else:
            while not _readable(source.socket, LOOK_SECONDS):
                seen(0, 0)
            source.consume_input()
        if size >= BLOCK_BYTES:
            yield len(waiting), b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield len(waiting), b"".join(waiting)


def _send(target: PGconn, block: bytes, seen: Seen) -> None:
    """Hand a block to the server's socket: what libpq only keeps would fill the memory."""
    while target.put_copy_data(block) == 0:
        _flush(target, seen)
    _flush(target, seen)


def _flush(target: PGconn, seen: Seen) -> None:
    while target.flush():
        readable, writable, _ = select.select([target.socket], [target.socket], [], LOOK_SECONDS)
        if readable:
            target.consume_input()
        if not writable:
            seen(0, 0)


def _readable(socket: int, seconds: float) -> bool:
    return bool(select.select([socket], [], [], seconds)[0])


def _end(connection: PGconn) -> int:
    """Take the result of a COPY; return its number of rows."""
    rows = 0
    while (result := connection.get_result()) is not None:
        if result.status != ExecStatus.COMMAND_OK:
            raise _error(result)
        rows = result.command_tuples or 0
    return rows


def _error(result: PGresult) -> psycopg.Error:
    return error_from_result(result)
