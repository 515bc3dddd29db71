"""What the agent believes only after some looks."""

from __future__ import annotations

from itertools import repeat

from db_migration.agent.patience import (
    LOOKS_UNTIL_BELIEVED,
    LOOKS_UNTIL_STALLED,
    Fault,
    Worker,
)


def looked(*missing: bool) -> Worker:
    worker = Worker()
    for each in missing:
        worker.look(missing=each)
    return worker


def test_worker_that_was_never_missed_is_believed_at_once() -> None:
    worker = Worker()
    assert not any((worker.doubtful, worker.missed, worker.stalled))


def test_worker_that_is_missing_is_told_of_and_then_mended() -> None:
    few = looked(*repeat(True, LOOKS_UNTIL_BELIEVED - 1))
    assert few.doubtful
    assert not few.missed
    assert looked(*repeat(True, LOOKS_UNTIL_BELIEVED)).missed
    assert not looked(*repeat(True, LOOKS_UNTIL_STALLED - 1)).stalled
    assert looked(*repeat(True, LOOKS_UNTIL_STALLED)).stalled


def test_worker_that_was_mended_is_given_its_time_again() -> None:
    mended = looked(*repeat(True, LOOKS_UNTIL_STALLED + 1))
    assert not any((mended.stalled, mended.missed))
    assert mended.doubtful


def test_worker_that_fails_again_and_again_is_not_taken_for_one_that_works() -> None:
    assert looked(True, False).doubtful
    assert looked(True, False, True, *repeat(False, LOOKS_UNTIL_BELIEVED - 1)).doubtful
    assert not looked(True, *repeat(False, LOOKS_UNTIL_BELIEVED)).doubtful


def test_fault_is_said_once_as_long_as_it_lasts() -> None:
    fault = Fault()
    assert fault.is_new("failed 1 time")
    assert not fault.is_new("failed 2 time")
    for _ in range(LOOKS_UNTIL_BELIEVED - 1):
        fault.unseen()
    assert not fault.is_new("failed 3 time")
    for _ in range(LOOKS_UNTIL_BELIEVED):
        fault.unseen()
    assert fault.is_new("failed 4 time")
    assert fault.is_new("another one")
