"""What an agent remembers of its copies."""

from __future__ import annotations

import pytest

from db_migration.agent.memory import FIRST_REST_SECONDS, Memory
from db_migration.agent.plan import Step
from db_migration.following.log_watch import LogMemory


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


@pytest.mark.parametrize(
    ("readings", "set_back"),
    [
        ([("a", 10)], False),
        ([("a", 10), ("a", 10), ("a", 11)], False),
        ([("a", 10), ("a", 9)], True),
        ([("a", 10), ("a", 9), ("a", 20)], True),
        ([("a", 10), ("b", 9)], False),
        ([("a", 10), ("a", 9), ("b", 9)], False),
    ],
)
def test_a_log_that_was_once_shorter_was_set_back(
    readings: list[tuple[str, int]], *, set_back: bool
) -> None:
    log = LogMemory()
    assert [log.note(*reading) for reading in readings][-1] is set_back


def test_a_new_copy_begins_with_the_logs_as_they_are() -> None:
    memory = Memory()
    for log in (memory.source_log, memory.target_log):
        log.note("a", 10)
        assert log.note("a", 9)
    memory.begins(Step.SEED)
    assert not any(log.note("a", 9) for log in (memory.source_log, memory.target_log))
