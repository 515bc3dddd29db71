"""What the audit trail says of a step that fails again and again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from db_migration.agent.patience import LOOKS_UNTIL_BELIEVED
from db_migration.agent.plan import Decision, Step
from db_migration.agent.trail import Trail
from db_migration.errors import NoRoomError

OURS, THEIRS = "ours", "theirs"
DAY = 24 * 3600 // 2
"""Tries a day: one every two seconds."""


class Paper:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str, str]] = []
        self.room = True

    def event(
        self, step: str, phase: str, detail: str, evidence: Mapping[str, Any] | None = None
    ) -> int:
        del evidence
        if not self.room:
            raise NoRoomError(label="target", said="No space left on device")
        return self.add(OURS, step, phase, detail)

    def add(self, feed: str, step: str, phase: str, detail: str = "") -> int:
        self.lines.append((feed, step, phase, detail))
        return len(self.lines)

    def newest(self, but: Collection[str]) -> int:
        numbers = [number for number, (feed, *_) in enumerate(self.lines, 1) if feed not in but]
        return max(numbers, default=0)

    def ours(self) -> list[tuple[str, ...]]:
        return [tuple(said) for feed, *said in self.lines if feed == OURS]


@pytest.fixture
def paper() -> Paper:
    return Paper()


@pytest.fixture
def trail(paper: Paper) -> Trail:
    return Trail(paper, {THEIRS}, structlog.get_logger())


SWAP = Decision(Step.SWAP_MIRROR, "a copy is complete")
DROP = Decision(Step.DROP_SLOT, "no copy can be followed from it")


def fail(trail: Trail, text: str = "in use", decision: Decision = SWAP) -> None:
    trail.begins(decision, {})
    trail.failed(decision, text)


def succeed(trail: Trail, decision: Decision = SWAP) -> None:
    trail.begins(decision, {})
    trail.done(decision)


STARTED = ("swap_mirror", "started", "a copy is complete")
FAILED = ("swap_mirror", "failed", "in use")


def test_a_day_of_one_failure_is_a_handful_of_lines(paper: Paper, trail: Trail) -> None:
    for _ in range(DAY):
        fail(trail)
    with capture_logs() as logged:
        succeed(trail)
    assert paper.ours() == [
        *(STARTED, FAILED),
        *(STARTED, ("swap_mirror", "failed", "in use (10 times by now)")),
        *(STARTED, ("swap_mirror", "failed", "in use (100 times by now)")),
        *(STARTED, ("swap_mirror", "failed", "in use (1000 times by now)")),
        *(STARTED, ("swap_mirror", "failed", "in use (10000 times by now)")),
        ("swap_mirror", "done", f"after {DAY + 1} tries"),
    ]
    assert [(line["event"], line["tries"]) for line in logged] == [
        ("swap_mirror is done", DAY + 1),
    ]


def test_what_succeeds_at_once_is_begun_and_done(paper: Paper, trail: Trail) -> None:
    with capture_logs() as logged:
        succeed(trail)
        succeed(trail)
    assert paper.ours() == [STARTED, ("swap_mirror", "done", "")] * 2
    assert logged == []


def test_another_error_is_written_at_once(paper: Paper, trail: Trail) -> None:
    for text in ("in use", "in use", "no rights", "no rights", "in use"):
        fail(trail, text)
    assert [line for line in paper.ours() if line[1] == "failed"] == [
        FAILED,
        ("swap_mirror", "failed", "no rights"),
        FAILED,
    ]
    succeed(trail)
    assert paper.ours()[-1] == ("swap_mirror", "done", "after 6 tries")


def test_what_failed_before_a_step_that_was_done_is_new(paper: Paper, trail: Trail) -> None:
    fail(trail)
    succeed(trail)
    fail(trail)
    succeed(trail, DROP)
    fail(trail)
    assert [phase for _, phase, _ in paper.ours()] == [
        *("started", "failed", "done"),
        *("started", "failed"),
        *("started", "done"),
        *("started", "failed"),
    ]


def test_what_is_done_for_another_reason_is_written(paper: Paper, trail: Trail) -> None:
    fail(trail)
    fail(trail, decision=replace(SWAP, why="another copy is complete"))
    assert paper.ours() == [STARTED, FAILED, (*STARTED[:2], "another copy is complete"), FAILED]


def test_what_failed_before_a_while_without_a_fault_is_new(paper: Paper, trail: Trail) -> None:
    fail(trail)
    for _ in range(LOOKS_UNTIL_BELIEVED - 1):
        trail.unseen()
    fail(trail)
    assert paper.ours() == [STARTED, FAILED]
    for _ in range(LOOKS_UNTIL_BELIEVED):
        trail.unseen()
    fail(trail)
    assert paper.ours() == [STARTED, FAILED] * 2


@pytest.mark.parametrize(
    ("who", "begun"), [(OURS, 2), ("failover", 2), (THEIRS, 1)], ids=["ours", "failover", "theirs"]
)
def test_a_step_is_seen_to_begin_after_whatever_has_happened_since(
    who: str, begun: int, paper: Paper, trail: Trail
) -> None:
    """A failover asks the trail whether a mirror was begun since it was at work."""
    fail(trail)
    paper.add(who, "promote", "done")
    for _ in range(5):
        fail(trail)
    assert paper.ours().count(STARTED) == begun
    assert paper.ours().count(FAILED) == begun


def test_a_trail_that_was_lost_begins_anew(paper: Paper, trail: Trail) -> None:
    fail(trail)
    paper.lines.clear()
    fail(trail)
    fail(trail)
    assert paper.ours() == [STARTED, FAILED]


def test_another_process_writes_what_it_begins(paper: Paper, trail: Trail) -> None:
    """Whoever is killed in the midst of it leaves that line."""
    fail(trail)
    fail(trail)
    Trail(paper, {THEIRS}, structlog.get_logger()).begins(SWAP, {})
    assert paper.ours() == [STARTED, FAILED, STARTED]


def test_a_disk_without_room_forbids_no_step_and_is_told_once(paper: Paper, trail: Trail) -> None:
    paper.room = False
    with capture_logs() as logged:
        for _ in range(4):
            fail(trail)
    assert [line["event"] for line in logged] == ["the journal has no room"]
    paper.room = True
    fail(trail)
    assert paper.ours() == [STARTED, FAILED]
