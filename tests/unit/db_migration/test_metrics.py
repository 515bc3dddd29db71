"""Metrics and probes: what is on the board, and nothing else."""

from __future__ import annotations

import http.client
import threading
import time
from typing import Any

import pytest
from prometheus_client import parser
from structlog.testing import capture_logs

from db_migration.config import HttpConfig
from db_migration.preflight import probes
from db_migration.reporting import board as boards
from db_migration.reporting import metrics
from db_migration.reporting.board import Board
from tests.support.fix_postgres import free_port

FEED = {"feed": "a"}
FOLLOWING: dict[str, Any] = {
    "name": "a",
    "state": "following",
    "mode": "logical",
    "lag": {"bytes": 120.0, "seconds": 0.25},
    "source_seen": True,
    "slot": {"retained_bytes": 4096, "limit_bytes": 8192, "lost": False},
    "subscription": {"enabled": True, "worker": True, "errors": 2},
    "verified": {"at": "2026-11-23T00:00:00+00:00", "equal": False, "rows": 7},
    "working_database": {"age_seconds": 60.5},
    "sequences_ahead": True,
    "error": None,
    "a key of somebody else's": {"anything": "at all"},
}


def sample(board: Board) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    _, _, body = probes.answer("/metrics", board, metrics.registry(board))
    return {
        (one.name.removeprefix("db_migration_"), tuple(sorted(one.labels.items()))): one.value
        for family in parser.text_string_to_metric_families(body.decode())
        for one in family.samples
    }


def of_feed(found: dict[Any, float], name: str, **labels: str) -> float:
    return found[name, tuple(sorted({**FEED, **labels}.items()))]


@pytest.fixture
def board() -> Board:
    found = Board()
    found.join("a")
    found.show("a", FOLLOWING)
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lag_bytes", 120),
        ("lag_seconds", 0.25),
        ("retained_wal_bytes", 4096),
        ("retained_wal_limit_bytes", 8192),
        ("worker_up", 1),
        ("apply_errors", 2),
        ("verification_equal", 0),
        ("verification_rows", 7),
        ("verification_timestamp_seconds", 1795392000),
        ("working_database_age_seconds", 60.5),
        ("sequences_ahead", 1),
        ("live", 1),
        ("error", 0),
    ],
)
def test_every_value_is_that_of_the_state(
    board: Board, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    at_once = board.entries()["a"].shown_at
    monkeypatch.setattr(time, "monotonic", lambda: at_once)
    assert of_feed(sample(board), name) == value


def test_exactly_one_state_holds(board: Board) -> None:
    found = sample(board)
    assert {state: of_feed(found, "state", state=state) for state in metrics.STATES} == {
        state: float(state == "following") for state in metrics.STATES
    }
    board.show("a", {**FOLLOWING, "slot": {"lost": True}})
    assert of_feed(sample(board), "slot_state", slot_state="lost") == 1
    board.show("a", {"state": "preparing", "source_seen": True, "slot": None})
    assert of_feed(sample(board), "slot_state", slot_state="none") == 1


def test_what_is_not_known_is_left_out_and_not_zero(board: Board) -> None:
    board.show("a", {"state": "seeding", "lag": None, "verified": None})
    names = {name for name, _ in sample(board)}
    assert not names & {"lag_bytes", "verification_equal", "snapshot_age_seconds", "epoch"}


def test_of_an_agent_that_has_not_spoken_nothing_is_known() -> None:
    silent = Board()
    silent.join("a")
    found = sample(silent)
    assert not {name for name, _ in found} & {"live", "error"}
    assert of_feed(found, "state", state="following") == 0


def test_of_a_silent_source_the_lag_grows_and_the_slot_is_not_known(board: Board) -> None:
    lag = {"bytes": None, "seconds": 3600.0}
    board.show("a", {"state": "broken", "lag": lag, "source_seen": False, "slot": None})
    found = sample(board)
    assert of_feed(found, "lag_seconds") == 3600
    assert not {name for name, _ in found} & {"lag_bytes", "slot_state"}


def test_copies_grow_older_while_nothing_new_is_said(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.show("a", {**FOLLOWING, "snapshot": {"age_seconds": 5.0}})
    later = board.entries()["a"].shown_at + 3600
    monkeypatch.setattr(time, "monotonic", lambda: later)
    found = sample(board)
    assert of_feed(found, "working_database_age_seconds") == pytest.approx(3660.5)
    assert of_feed(found, "snapshot_age_seconds") == pytest.approx(3605)


def test_steps_seeds_and_errors_are_counted(board: Board) -> None:
    with board.step("a", "seed"):
        assert board.entries()["a"].busy_with == "seed"
    with pytest.raises(ValueError, match="no"), board.step("a", "seed"):
        raise ValueError("no")  # noqa: EM101
    board.failed("a")
    with board.loop("a"):
        pass
    found = sample(board)
    assert of_feed(found, "steps_total", step="seed", result="done") == 1
    assert of_feed(found, "steps_total", step="seed", result="failed") == 1
    assert of_feed(found, "seeds_total") == 1
    assert of_feed(found, "errors_total") == 1
    assert of_feed(found, "loops_total") == 1


def test_the_epoch_and_the_active_side(board: Board) -> None:
    board.active = {"epoch": 3, "database": "intermediary", "airbyte": "airbyte-prod-abctl"}
    found = sample(board)
    assert found["epoch", ()] == 3
    active = (("airbyte", "airbyte-prod-abctl"), ("database", "intermediary"))
    assert found["active", active] == 1


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("following", 200),
        ("waiting", 200),
        ("released", 200),
        ("seeding", 503),
        ("paused", 503),
        ("broken", 503),
        (None, 503),
    ],
)
def test_ready_is_who_follows_or_has_nothing_to_do(
    board: Board, state: str | None, status: int
) -> None:
    board.show("a", {"state": state} if state else {})
    assert probes.answer("/readyz", board, metrics.registry(board))[0] == status


def test_healthy_is_whose_agent_lives(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    assert board.dead() == []
    monkeypatch.setattr(boards, "SILENT_SECONDS", -1)
    assert board.dead() == ["a"]
    with board.step("a", "seed"):
        assert board.dead() == []  # a copy may take long
    monkeypatch.undo()
    ended = threading.Thread()
    board.join("a", ended.is_alive)
    for path in ("/healthz", "/readyz"):
        assert probes.answer(path, board, metrics.registry(board))[0] == 503


def test_served_over_http_and_off_with_port_0(board: Board) -> None:
    with probes.serving(HttpConfig(port=0), board) as port:
        assert port is None
    wanted = free_port()
    with probes.serving(HttpConfig(port=wanted), board) as port:
        assert port == wanted
        with capture_logs() as logs, probes.serving(HttpConfig(port=wanted), board) as second:
            assert second is None  # taken: the feed goes on without
        assert "`http.port`" in logs[0]["hint"]
        connection = http.client.HTTPConnection("127.0.0.1", wanted, timeout=10)
        answers = {}
        for path in ("/metrics", "/healthz", "/readyz", "/secrets"):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            answers[path] = response.status
            length = response.getheader("Content-Length")
            connection.request("HEAD", path)
            head = connection.getresponse()
            assert (head.status, head.getheader("Content-Length")) == (response.status, length)
            assert head.read() == b""
        connection.close()
    assert answers == {"/metrics": 200, "/healthz": 200, "/readyz": 200, "/secrets": 404}
