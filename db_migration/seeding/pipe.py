"""Rows from server to server on libpq's own level, in blocks, without decoding.

A Python call for each row and a decoded value would cost as much as a server; a block of many rows
is handed on as it came.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER_BYTES = 19
TRAILER = b"\xff\xff"

Seen = Callable[[int, int], None]
"""Called with the rows and bytes of each block; may raise, and so end the pipe."""


@dataclass(frozen=True)
class Digest:
    """What rows add up to in whatever order they come: their number, and the sum of their hashes.

    The hash is Python's own of a row's bytes, which has another key in each process: digests of two
    processes can not be compared.
    """

    rows: int = 0
    total: int = 0

    def __add__(self, other: Digest) -> Digest:
        """Return the digest of both, as of parts of a table."""
        return Digest(self.rows + other.rows, self.total + other.total)


def pipe(source: PGconn, target: PGconn, read: bytes, write: bytes, seen: Seen) -> Digest:
    """Carry the rows of one COPY into another of its format; return the digest of what was carried.

    Holds one block, or one row where a row is larger. Raises the error of the server that gave up;
    both connections are then in the middle of a COPY, and to be closed.
    """
    _begin(source, read, ExecStatus.COPY_OUT)
    _begin(target, write, ExecStatus.COPY_IN)
    total = 0
    for rows, block, hashes in _blocks(source, seen):
        total += hashes
        _send(target, block, seen)
        if _readable(target.socket, 0):  # only an error makes the target speak now: see `pinned`
            break
        seen(rows, len(block))
    else:
        _end(source, seen)
    while target.put_copy_end() == 0:
        _flush(target, seen)
    _flush(target, seen)
    return Digest(_end(target, seen), total)


def digest(source: PGconn, read: bytes, seen: Seen) -> Digest:
    """Read the rows of one COPY, and keep nothing but their digest."""
    _begin(source, read, ExecStatus.COPY_OUT)
    messages = _messages(source, seen)
    total = _hash_of_first(next(messages, b"")) + sum(map(hash, messages))
    return Digest(_end(source, seen), total)


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


def _messages(source: PGconn, seen: Seen) -> Iterator[Buffer]:
    """Yield what the server sends, a message for each row; see `_hash_of_first` for the others."""
    take = source.get_copy_data
    while True:
        length, data = take(1)
        if length > 0:
            yield data
        elif length < 0:
            return
        else:
            while not _readable(source.socket, LOOK_SECONDS):
                seen(0, 0)
            source.consume_input()


def _hash_of_first(message: Buffer) -> int:
    """Return the hash of the first message, less what is no row.

    The header comes with the first row, the trailer as a message of its own (PostgreSQL's
    documentation, COPY, "Binary Format"); text has neither. Seen, not sliced: of a row of 400 MB
    two copies are much.
    """
    if bytes(message[: len(SIGNATURE)]) != SIGNATURE:
        return hash(message)
    return hash(memoryview(message)[HEADER_BYTES:]) - hash(TRAILER)


def _blocks(source: PGconn, seen: Seen) -> Iterator[tuple[int, bytearray, int]]:
    """Yield the number of rows, the bytes and the sum of the hashes of each block."""
    messages = _messages(source, seen)
    first = next(messages, b"")
    block, rows, hashes = bytearray(first), 1, _hash_of_first(first)
    # Appended at once: a list of rows keeps the garbage collector busy (a quarter of our time).
    for data in messages:
        block += data
        rows += 1
        hashes += hash(data)
        if len(block) >= BLOCK_BYTES:
            yield rows, block, hashes
            block, rows, hashes = bytearray(), 0, 0
    if block:
        yield rows, block, hashes


def _send(target: PGconn, block: bytearray, seen: Seen) -> None:
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


def _end(connection: PGconn, seen: Seen) -> int:
    """Take the result of a COPY; return its number of rows."""
    rows = 0
    while (result := _result(connection, seen)) is not None:
        if result.status != ExecStatus.COMMAND_OK:
            raise _error(result)
        rows = result.command_tuples or 0
    return rows


def _result(connection: PGconn, seen: Seen) -> PGresult | None:
    """Wait for the next result; `get_result` would keep every thread of this process waiting.

    A COPY that waits for a table which another thread loads would then wait for ever.
    """
    while connection.is_busy():
        if not _readable(connection.socket, LOOK_SECONDS):
            seen(0, 0)
        connection.consume_input()
    return connection.get_result()


def _error(result: PGresult) -> psycopg.Error:
    return error_from_result(result)
