"""What the heartbeat says of the lag: measured, growing, or not known; never what it once was."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any
from unittest.mock import MagicMock

import psycopg
import pytest
from structlog.testing import capture_logs

from db_migration.following import heartbeat as heartbeats
from db_migration.following.heartbeat import SILENT_SECONDS, Beat, Heartbeat, Lag
from tests.support import timeouts

NOW = 1000.0
MET = Lag(bytes=12.0, seconds=0.004, resolution_seconds=0.002, measured_at="measured")
OUTAGE = {"bytes": None, "resolution_seconds": None, "measured_at": "heard"}


def beat(age: float, size: float | None) -> Beat:
    return Beat("0/1", NOW - age, 0.01, size)


@pytest.fixture
def heartbeat(monkeypatch: pytest.MonkeyPatch) -> Heartbeat:
    monkeypatch.setattr(time, "monotonic", lambda: NOW)
    found = Heartbeat(MagicMock())
    found.follow(on=True)
    return found


@pytest.mark.parametrize(
    ("lag", "on_its_way", "silent_for", "expected"),
    [
        (MET, None, 1, {"bytes": 12.0, "seconds": 0.004, "measured_at": "measured"}),
        (MET, beat(0.5, 40.0), 0.5, {"bytes": 12.0, "seconds": 0.004}),
        (MET, beat(2, 40.0), 1, {"bytes": 40.0, "seconds": 2}),
        (MET, beat(9, None), 1, {"bytes": None, "seconds": 9}),
        (None, beat(0.5, None), 0.1, None),
        (MET, None, SILENT_SECONDS + 1, {**OUTAGE, "seconds": SILENT_SECONDS + 2}),
        (MET, beat(3600, 40.0), 3600, {**OUTAGE, "seconds": 3600}),
    ],
    ids=["met", "under way", "late", "late, no slot", "first", "outage", "outage, late before"],
)
def test_what_is_said(
    heartbeat: Heartbeat,
    lag: Lag | None,
    on_its_way: Beat | None,
    silent_for: float,
    expected: dict[str, Any] | None,
) -> None:
    heartbeat._lag, heartbeat._beat = lag, on_its_way
    heartbeat._sent = on_its_way.sent if on_its_way else NOW - silent_for - 1
    heartbeat._heard = NOW - silent_for, "heard"
    found = heartbeat.lag()
    assert (found and {key: found[key] for key in expected or found}) == expected


def test_nothing_is_said_of_what_is_followed_no_longer(heartbeat: Heartbeat) -> None:
    heartbeat._lag, heartbeat._heard = MET, (NOW, "heard")
    heartbeat.follow(on=False)
    assert heartbeat.lag() is None
    heartbeat.follow(on=True)
    assert heartbeat.lag() is None


def test_an_outage_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "BEAT_SECONDS", 0.001)
    tried_often, tries = threading.Event(), itertools.count()

    def connect() -> None:
        if next(tries) == 10:
            tried_often.set()
        raise psycopg.OperationalError

    context = MagicMock()
    context.reader.connect = connect
    found = Heartbeat(context)
    with capture_logs() as logs:
        found.start()
        found.follow(on=True)
        assert tried_often.wait(timeouts.AGENT_STEP)
        found.stop()
    assert [line["event"] for line in logs] == ["no heartbeat"]


@pytest.mark.parametrize(
    ("received", "confirmed", "expected"),
    [((5.0,), None, 5.0), (None, (33e6,), 33e6), (None, (None,), None), (None, None, None)],
    ids=["worker", "no worker", "slot without a position", "no slot"],
)
def test_without_a_worker_the_slot_says_what_is_missing(
    heartbeat: Heartbeat,
    monkeypatch: pytest.MonkeyPatch,
    received: tuple[float] | None,
    confirmed: tuple[float | None] | None,
    expected: float | None,
) -> None:
    source, target = MagicMock(), MagicMock()
    answers = {id(source): confirmed, id(target): received}
    monkeypatch.setattr(heartbeats, "value", lambda *_: "0/1")
    monkeypatch.setattr(heartbeats, "row", lambda where, *_: answers[id(where)])
    assert heartbeat._behind(source, target) == expected


def test_is_not_waited_for_while_a_server_keeps_its_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that was told to end would wait for a frozen server."""
    monkeypatch.setattr(heartbeats, "SILENT_SECONDS", 0.05)
    asked, answered = threading.Event(), threading.Event()

    def connect() -> None:
        asked.set()
        answered.wait()
        raise psycopg.OperationalError

    context = MagicMock()
    context.reader.connect = connect
    heartbeat = Heartbeat(context)
    heartbeat.start()
    heartbeat.follow(on=True)
    assert asked.wait(timeouts.ARRIVES)
    stopping = threading.Thread(target=heartbeat.stop, daemon=True)
    stopping.start()
    stopping.join(timeouts.ARRIVES)
    ended = not stopping.is_alive()
    answered.set()
    assert ended
