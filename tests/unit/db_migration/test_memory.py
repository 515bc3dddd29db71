"""What an agent remembers of its copies."""

from __future__ import annotations

from db_migration.agent.memory import FIRST_REST_SECONDS, Memory


def test_a_copy_fails_once_however_often_it_is_told() -> None:
    memory = Memory()
    memory.copies.begin()
    first, second = RuntimeError("outgrown"), RuntimeError("found to be outgrown")
    memory.copies.fail(first)
    memory.copies.fail(second)
    assert (memory.copies.failed, memory.copies.failure) == (1, first)
    assert memory.copies.seconds() <= FIRST_REST_SECONDS
    memory.copies.begin()
    memory.copies.fail(second)
    assert (memory.copies.failed, memory.copies.failure) == (2, second)


def test_a_copy_of_another_process_fails_too() -> None:
    memory = Memory()
    memory.copies.fail(RuntimeError("outgrown"))
    assert memory.copies.failed == 1
    assert memory.copies.seconds() > 0
