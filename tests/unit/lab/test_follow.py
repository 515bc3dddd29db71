"""Who is prod, read from what `status --watch --json` says line by line."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lab.demo import follow
from lab.demo.follow import Active, Follower, active_in, lines_of
from lab.demo.places import ABCTL, AIRBYTES, REPLICA

EPOCH = '{"epoch": {"epoch": 7, "database": "intermediary", "airbyte": "airbyte-prod-abctl"}}'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (EPOCH, Active(epoch=7, database="intermediary", airbyte=ABCTL)),
        ('{"epoch": null}', None),
        ('{"error": {"found": "control database: no answer"}}', None),
        ("Error response from daemon: container db-migration is not running", None),
        (EPOCH[:20], None),
    ],
)
def test_a_line_names_who_is_active_or_nobody(line: str, expected: Active | None) -> None:
    assert active_in(line) == expected


def test_lines_come_whole_and_end_with_who_says_them() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        os.write(writing, b"one\ntw")
        lines = lines_of(pipe, threading.Event())
        assert next(lines) == "one"
        os.write(writing, b"o\nthr")
        assert next(lines) == "two"
        os.close(writing)
        assert list(lines) == []


def test_a_host_that_falls_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(follow, "PAUSE_SECONDS", 0.01)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        assert list(lines_of(pipe, threading.Event())) == []
    os.close(writing)


def test_an_older_epoch_of_another_host_leads_nobody_back(tmp_path: Path) -> None:
    target = tmp_path / "target"
    follower = Follower(target, [])
    for epoch, airbyte in ((2, ABCTL), (3, REPLICA), (2, ABCTL), (3, REPLICA)):
        follower.learn(Active(epoch=epoch, database="intermediary", airbyte=airbyte))
    assert [change.active.epoch for change in follower.changes] == [2, 3]
    assert target.read_text().strip() == AIRBYTES[REPLICA]
