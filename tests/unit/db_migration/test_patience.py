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
    assert fault.told("failed 1 time") == "failed 1 time"
    assert fault.told("failed 2 time") is None
    for _ in range(LOOKS_UNTIL_BELIEVED - 1):
        fault.unseen()
    assert fault.told("failed 3 time") is None
    for _ in range(LOOKS_UNTIL_BELIEVED):
        fault.unseen()
    assert fault.told("failed 4 time") == "failed 4 time"
    assert fault.told("another one") == "another one"
    assert fault.told("failed 5 time") == "failed 5 time"


def test_fault_that_lasts_is_said_again_ever_more_rarely() -> None:
    fault = Fault()
    said = [text for number in range(86_400) if (text := fault.told(f"disk is full at {number}"))]
    assert said == [
        "disk is full at 0",
        "disk is full at 9 (10 times by now)",
        "disk is full at 99 (100 times by now)",
        "disk is full at 999 (1000 times by now)",
        "disk is full at 9999 (10000 times by now)",
    ]


def test_fault_is_quiet_where_nothing_would_be_said_of_it_if_it_came_again() -> None:
    fault = Fault()
    assert not fault.quiet
    for _ in range(30):
        was_quiet = fault.quiet
        assert was_quiet is (fault.told("the same") is None)
