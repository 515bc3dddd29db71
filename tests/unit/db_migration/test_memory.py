"""What an agent remembers of its copies."""

from __future__ import annotations

from db_migration.agent.memory import FIRST_REST_SECONDS, Memory


def test_a_copy_fails_once_however_often_it_is_told() -> None:
    memory = Memory()
    memory.copy_begins()
    first, second = RuntimeError("outgrown"), RuntimeError("found to be outgrown")
    memory.copy_failed(first)
    memory.copy_failed(second)
    assert (memory.failed_copies, memory.failure) == (1, first)
    assert memory.rest_seconds() <= FIRST_REST_SECONDS
    memory.copy_begins()
    memory.copy_failed(second)
    assert (memory.failed_copies, memory.failure) == (2, second)


def test_a_copy_of_another_process_fails_too() -> None:
    memory = Memory()
    memory.copy_failed(RuntimeError("outgrown"))
    assert memory.failed_copies == 1
    assert memory.rest_seconds() > 0
