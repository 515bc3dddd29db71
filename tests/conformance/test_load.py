"""The load generator: acknowledged means written, it outlives its target, it stays in the lab."""

import json
import socket
from pathlib import Path

import pytest

from lab import load_verdict
from lab.load import Load, LoadError, Plan, main
from lab.load_target import Login, logins, point, write_logins
from tests.conformance.harness import Airbyte, eventually

NOBODY = "http://127.0.0.1:1"
ADMIN = {
    "API_AUTHORIZATION_ENABLED": "true",
    "AB_INSTANCE_ADMIN_PASSWORD": "p",
    "AB_INSTANCE_ADMIN_CLIENT_ID": "id",
    "AB_INSTANCE_ADMIN_CLIENT_SECRET": "geheim",
    "AB_JWT_SIGNATURE_SECRET": "k",
}


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(airbyte: Airbyte) -> list[tuple[int, int]]:
    return [(row["id"], row["n"]) for row in airbyte.sql(load_verdict.ROWS)]


def test_every_acknowledged_id_is_in_the_database(booted: Airbyte, tmp_path: Path) -> None:
    """Issue A1, part 6: load from outside with a file of acknowledged ids."""
    server = booted.server()
    plan = Plan(target=server.url, rate=50, seconds=1, folder=tmp_path / "load")
    with Load(plan) as load:
        assert load.ended.wait(30)
    noted = lines(plan.folder / "acknowledged.jsonl")
    assert 20 <= len(noted) <= 50
    assert {"id", "at", "target", "latency_ms"} <= set(noted[0])
    stored = {row["id"] for row in booted.sql("SELECT id FROM jobs")}
    assert {line["id"] for line in noted} == stored
    assert load.summary()["p99_ms"] is not None


def test_failures_are_noted_with_their_reason(tmp_path: Path) -> None:
    """A refused write is in failed.jsonl, with time and reason."""
    plan = Plan(target=NOBODY, rate=20, seconds=0.2, folder=tmp_path)
    with Load(plan) as load:
        assert load.ended.wait(30)
    failed = lines(tmp_path / "failed.jsonl")
    assert 1 <= len(failed) <= 4
    assert "refused" in str(failed[0]["reason"])


def test_it_follows_the_target_file_and_no_write_is_given_up(
    booted: Airbyte, tmp_path: Path
) -> None:
    """A2, part 6: prod moves; what it refused meanwhile is written where prod is then."""
    first, second = booted.server(), booted.server(**ADMIN)
    file = tmp_path / "target"
    point(file, first.url)
    by_url = {second.url: Login(client_id="id", client_secret="geheim")}
    plan = Plan(target_file=file, logins=by_url, rate=50, seconds=60, folder=tmp_path / "load")
    with Load(plan) as load:
        eventually(lambda: load.notes.latencies, "a write on the first")
        first.kill()
        eventually(lambda: load.notes.failed, "a refused write")
        point(file, second.url)
        before = len(load.notes.latencies)
        eventually(lambda: len(load.notes.latencies) > before + 20, "writes on the second")
    verdict = load_verdict.judge(plan.folder, lambda: rows(booted))
    assert load.notes.given_up == 0
    assert set(verdict.by_target) == {first.url, second.url}
    assert [(gap.before, gap.after) for gap in verdict.changes] == [(first.url, second.url)]
    assert verdict.clean


def test_a_write_that_hangs_is_given_up_when_the_target_changes(
    booted: Airbyte, tmp_path: Path
) -> None:
    """A host that lost its power does not answer, nor refuse; its clients do not wait for ever."""
    server = booted.server()
    file = tmp_path / "target"
    deaf = socket_that_never_answers()
    with deaf:
        point(file, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        plan = Plan(target_file=file, rate=50, seconds=60, folder=tmp_path / "load")
        with Load(plan) as load:
            held, _ = deaf.accept()
            point(file, server.url)
            eventually(lambda: load.notes.latencies, "a write on the second")
            eventually(lambda: load.notes.failed, "the write that hung")
            held.close()


def socket_that_never_answers() -> socket.socket:
    """Listen, as a host does whose power is cut after the handshake."""
    return socket.create_server(("127.0.0.1", 0))


def test_the_verdict_names_what_is_missing_and_what_nobody_was_told(tmp_path: Path) -> None:
    """Acknowledged and not there is a loss, even when its id was given to another row."""
    note(tmp_path / "acknowledged.jsonl", {"id": 7, "n": 1, "at": 10.0, "target": "a"})
    note(tmp_path / "acknowledged.jsonl", {"id": 8, "n": 2, "at": 14.5, "target": "b"})
    note(tmp_path / "failed.jsonl", {"n": 3, "at": 12.0, "target": "a", "reason": "gone"})
    foreign = (1, 999)
    judged = load_verdict.judge(tmp_path, lambda: [(7, 1), (9, 3), foreign]).rows
    assert judged is not None
    assert (judged.missing_ids, judged.never_acknowledged, judged.found) == ([8], 1, 2)
    reused = load_verdict.judge(tmp_path, lambda: [(7, 1), (8, 3)]).rows
    assert reused is not None
    assert reused.missing_ids == [8]


def test_the_gap_of_a_change_is_told_from_the_longest_one_without(tmp_path: Path) -> None:
    """From the last accepted write there to the first one here."""
    for at, target in ((1.0, "a"), (3.0, "a"), (8.0, "b"), (8.5, "b")):
        note(
            tmp_path / "acknowledged.jsonl",
            {"id": int(at * 2), "n": 1, "at": at, "target": target},
        )
    verdict = load_verdict.judge(tmp_path)
    assert [(gap.seconds, gap.before, gap.after) for gap in verdict.changes] == [(5.0, "a", "b")]
    assert verdict.longest is not None
    assert verdict.longest.seconds == 2.0
    assert load_verdict.first_accepted_after(tmp_path, 3.5) == 8.0


def test_the_verdicts_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3 for a loss, the whole verdict as JSON."""
    note(tmp_path / "acknowledged.jsonl", {"id": 7, "n": 1, "at": 10.0, "target": "a"})
    table = tmp_path / "rows"
    table.write_text("7|1\n")
    assert load_verdict.main([str(tmp_path), "--rows", str(table)]) == 0
    table.write_text("7 2\n")
    assert load_verdict.main([str(tmp_path), "--rows", str(table)]) == 3
    assert '"missing": 1' in capsys.readouterr().out


def note(path: Path, line: dict[str, object]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_logins_are_the_owners_alone(tmp_path: Path) -> None:
    """A file that others can read is refused."""
    path = tmp_path / "logins"
    write_logins(path, {NOBODY: Login(user="airbyte", password="x")})
    assert logins(path)[NOBODY].password == "x"
    path.chmod(0o644)
    with pytest.raises(LoadError, match="chmod 600"):
        logins(path)


def test_a_stop_file_ends_it(tmp_path: Path) -> None:
    """A stop file ends the load before its time."""
    stop = tmp_path / "stop"
    stop.touch()
    plan = Plan(target=NOBODY, seconds=600, folder=tmp_path, stop_file=stop)
    with Load(plan) as load:
        assert load.ended.wait(30)
    assert load.summary()["failed"] == 0


@pytest.mark.parametrize(
    "plan",
    [
        Plan(target="http://203.0.113.7:8000"),
        Plan(seconds=7201),
        Plan(rate=0),
        Plan(threads=1000),
    ],
)
def test_bounds(plan: Plan) -> None:
    """Only loopback and lab addresses, at most two hours."""
    with pytest.raises(LoadError):
        plan.check()


def test_command_line_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused plan ends with 2 and says why."""
    assert main(["--seconds", "9999"]) == 2
    assert "at most 7200" in capsys.readouterr().err
