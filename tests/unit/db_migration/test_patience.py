"""What the agent believes only after some looks."""

from __future__ import annotations

from itertools import count, repeat

import pytest

from db_migration.agent.patience import (
    FAILURES_UNTIL_STUCK,
    LOOKS_UNTIL_BELIEVED,
    LOOKS_UNTIL_STALLED,
    MOST_FAILURES,
    Applying,
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


STUCK = FAILURES_UNTIL_STUCK


@pytest.mark.parametrize(
    ("looks", "stuck"),
    [
        ([("0/1", 7), ("0/1", 6 + STUCK)], False),
        ([("0/1", 7), ("0/1", 7 + STUCK)], True),
        ([("0/1", 7), ("0/2", 6 + STUCK), ("0/2", 7 + STUCK)], False),
        ([("0/1", 7), (None, 7 + STUCK), ("0/1", 7 + STUCK)], False),
        ([("0/1", 7), ("0/1", 0), ("0/1", 7 + STUCK)], True),
        ([("0/1", 7 + STUCK)], False),
    ],
    ids=["a few", "many", "it got on", "nobody knew where", "counted anew", "before our time"],
)
def test_worker_is_stuck_that_fails_at_one_change(
    looks: list[tuple[str | None, int]], stuck: bool
) -> None:
    applying = Applying()
    assert [applying.stuck(*look) for look in looks][-1] is stuck


def test_every_copy_that_a_stuck_worker_led_to_is_given_more_time() -> None:
    applying = Applying()
    taken = [
        next(errors for errors in count() if applying.stuck(f"0/{copy}", errors))
        for copy in range(5)
    ]
    assert taken == [STUCK, 2 * STUCK, 4 * STUCK, MOST_FAILURES, MOST_FAILURES]


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
