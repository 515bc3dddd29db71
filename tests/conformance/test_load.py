"""The load generator: acknowledged means written, and it stays inside the lab."""

import json
from pathlib import Path

import pytest

from lab.load import Load, LoadError, Plan, main
from tests.conformance.harness import Airbyte


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_acknowledged_id_is_in_the_database(booted: Airbyte, tmp_path: Path) -> None:
    """Issue A1, part 6: load from outside with a file of acknowledged ids."""
    server = booted.server()
    plan = Plan(target=server.url, rate=50, seconds=1, folder=tmp_path / "load")
    with Load(plan) as load:
        assert load.ended.wait(30)
    noted = lines(plan.folder / "acknowledged.jsonl")
    assert 20 <= len(noted) <= 50
    assert {"id", "at", "latency_ms"} <= set(noted[0])
    stored = {row["id"] for row in booted.sql("SELECT id FROM jobs")}
    assert {line["id"] for line in noted} == stored
    assert load.summary()["p99_ms"] is not None


def test_failures_are_noted_with_their_reason(tmp_path: Path) -> None:
    """A refused write is in failed.jsonl, with time and reason."""
    plan = Plan(target="http://127.0.0.1:1", rate=20, seconds=0.2, folder=tmp_path)
    with Load(plan) as load:
        assert load.ended.wait(30)
    failed = lines(tmp_path / "failed.jsonl")
    assert 1 <= len(failed) <= 4
    assert "refused" in str(failed[0]["reason"])


def test_a_stop_file_ends_it(tmp_path: Path) -> None:
    """A stop file ends the load before its time."""
    stop = tmp_path / "stop"
    stop.touch()
    plan = Plan(target="http://127.0.0.1:1", seconds=600, folder=tmp_path, stop_file=stop)
    with Load(plan) as load:
        assert load.ended.wait(30)
    assert load.summary()["failed"] == 0


@pytest.mark.parametrize(
    "plan",
    [
        Plan(target="http://203.0.113.7:8000"),
        Plan(seconds=1801),
        Plan(rate=0),
        Plan(threads=1000),
    ],
)
def test_bounds(plan: Plan) -> None:
    """Only loopback and lab addresses, at most 30 minutes."""
    with pytest.raises(LoadError):
        plan.check()


def test_command_line_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused plan ends with 2 and says why."""
    assert main(["--seconds", "9999"]) == 2
    assert "at most 1800" in capsys.readouterr().err
