"""What the pipe between two servers makes of the messages that it carries."""

from __future__ import annotations

import tracemalloc

from db_migration.seeding import pipe

ROW = b"\0\1" + b"x" * 8_000_000
FIRST = pipe.SIGNATURE.ljust(pipe.HEADER_BYTES, b"\0") + ROW


def test_a_row_has_the_same_hash_behind_the_header_and_is_not_copied_for_it() -> None:
    tracemalloc.start()
    try:
        found = pipe._hash_of_first(FIRST)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == hash(ROW) - hash(pipe.TRAILER)
    assert most < len(ROW) / 8
