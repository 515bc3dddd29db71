"""How a connection is proven scheduled, and how the client of Airbyte's API behaves."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from db_migration.airbytes.api import AirbyteApi, Connection
from db_migration.airbytes.connections import judge
from db_migration.airbytes.jobs import Job
from db_migration.airbytes.touching import Touch, in_flight, kind, may_go, seconds_between
from db_migration.config import InstanceConfig, SchedulesConfig
from db_migration.errors import BlockedError, ConfigError, UnreachableError

SECRET = "planted-client-secret"
NOW = 1_000_000.0
HOURLY = {"basicSchedule": {"timeUnit": "hours", "units": 1}}
CRON = {"cron": {"cronExpression": "0 0 * * * ?", "cronTimeZone": "UTC"}}


def connection(kind: str = "basic", data: dict[str, Any] | None = None) -> Connection:
    return Connection("c1", "one", "active", kind, HOURLY if data is None else data)


def job(number: int, status: str = "succeeded", age: float = 60) -> Job:
    return Job(number, "c1", status, NOW - age)


PROVEN = {
    "manual": (connection("manual", {}), None, None, "manual"),
    "cron": (connection("cron", CRON), None, None, "next run at 1970-01-12T14:00:00"),
    "cron that nobody understands": (
        connection("cron", {"cron": {"cronExpression": "daily"}}), None, None, "cron daily, its"
    ),
    "not due yet": (connection(), job(7), job(7), "next run at 1970-01-12T14:45:40"),
    "overdue, and a job came": (
        connection(), job(7, age=9000), job(8, age=1), "job 8 came after the touch"
    ),
    "its job still runs": (
        connection(), job(7, "running", 9000), job(7, "running", 9000), "job 7 is running"
    ),
    "its first job came": (connection(), None, job(1, age=1), "job 1 came after the touch"),
}  # fmt: skip


@pytest.mark.parametrize(("one", "before", "last", "proof"), PROVEN.values(), ids=list(PROVEN))
def test_proofs(one: Connection, before: Job | None, last: Job | None, proof: str) -> None:
    assert judge(one, before, last, works=True, now=NOW).proof.startswith(proof)


@pytest.mark.parametrize(("one", "before", "last", "proof"), PROVEN.values(), ids=list(PROVEN))
def test_nothing_is_proven_without_a_workflow(
    one: Connection, before: Job | None, last: Job | None, proof: str
) -> None:
    del proof
    found = judge(one, before, last, works=False, now=NOW)
    assert not found.proof
    assert "connection_manager_c1" in found.missing


@pytest.mark.parametrize(
    ("last", "said"),
    [(job(7, age=9000), "overdue since"), (None, "has never run")],
)
def test_overdue_without_a_new_job_is_not_scheduled(last: Job | None, said: str) -> None:
    found = judge(connection(), last, last, works=True, now=NOW)
    assert not found.proof
    assert said in found.missing


@pytest.mark.parametrize(
    ("one", "last", "works", "expected"),
    [
        (connection(), None, False, Touch.STARTS),
        (connection(), job(7, age=9000), False, Touch.STARTS),
        (connection(), job(7, age=9000), True, Touch.STARTS),
        (connection(), job(7), False, Touch.QUIET),
        (connection("manual", {}), None, False, Touch.QUIET),
        (connection("cron", CRON), job(7, age=9000), False, Touch.QUIET),
        (connection(data={"basicSchedule": {}}), None, False, Touch.QUIET),
        (connection(), job(7, "running", 9000), True, Touch.LEAVE),
        (connection("manual", {}), job(7, "incomplete"), True, Touch.LEAVE),
        (connection(), job(7, "running"), False, Touch.QUIET),
    ],
)
def test_what_a_touch_comes_to(
    one: Connection, last: Job | None, works: bool, expected: Touch
) -> None:
    """A job whose workflow runs is left alone; one without belongs to the fenced side."""
    assert kind(one, last, works=works, now=NOW) is expected


@pytest.mark.parametrize(
    ("running", "since_last", "goes"),
    [(0, 0.0, True), (1, 0.0, True), (2, 0.0, False), (9, 9.9, False), (9, 10.0, True)],
)
def test_overdue_syncs_begin_a_few_at_a_time(running: int, since_last: float, goes: bool) -> None:
    pace = SchedulesConfig(running_at_most=2, touch_every_seconds=10)
    assert may_go(pace, running, since_last) is goes


def test_what_was_touched_counts_until_its_job_has_ended() -> None:
    started = {"never ran": None, "not yet": job(7), "began": job(7), "ended": job(7)}
    newest = {"not yet": job(7), "began": job(8, "running"), "ended": job(9)}
    assert in_flight(started, newest, ["began", "somebody else's"]) == 4


def test_schedule_without_an_interval_is_named() -> None:
    found = judge(connection(data={"basicSchedule": {}}), None, None, works=True, now=NOW)
    assert "without an interval" in found.missing
    assert seconds_between(connection()) == 3600


Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def api(tmp_path: Path) -> Callable[[Answer], AirbyteApi]:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    instance = InstanceConfig(
        name="airbyte-prod-abctl", kind="abctl", host="prod", url="http://198.51.100.11:8100",
        client_id="airbyte-migration", client_secret_file=tmp_path / "secret",
    )  # fmt: skip

    def make(answer: Answer) -> AirbyteApi:
        return AirbyteApi(instance, transport=httpx.MockTransport(answer), patience=0.5)

    return make


def token_or(answer: Answer) -> Answer:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("applications/token"):
            assert json.loads(request.content)["client_secret"] == SECRET
            return httpx.Response(200, json={"access_token": "t"})
        return answer(request)

    return serve


def test_connections_of_all_workspaces_are_listed(api: Callable[[Answer], AirbyteApi]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer t"
        if request.url.path.endswith("workspaces/list"):
            return httpx.Response(200, json={"workspaces": [{"workspaceId": n} for n in "ab"]})
        of = json.loads(request.content)["workspaceId"]
        return httpx.Response(200, json={"connections": [{"connectionId": of, "status": "active"}]})

    with api(token_or(answer)) as client:
        assert [(one.id, one.schedule_type) for one in client.connections()] == [
            ("a", "manual"),
            ("b", "manual"),
        ]


def test_touching_changes_nothing(api: Callable[[Answer], AirbyteApi]) -> None:
    bodies: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json={})

    with api(token_or(answer)) as client:
        client.touch("c1")
    assert bodies == [{"connectionId": "c1"}]


def test_token_that_has_run_out_is_renewed(api: Callable[[Answer], AirbyteApi]) -> None:
    statuses = iter([401, 503, 200])

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        return httpx.Response(next(statuses), json={"workspaces": []})

    with api(token_or(answer)) as client:
        assert client.workspaces() == []


def test_silence_ends_with_its_deadline(api: Callable[[Answer], AirbyteApi]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        said = "no route"
        raise httpx.ConnectTimeout(said, request=request)

    with api(answer) as client, pytest.raises(UnreachableError) as silent:
        client.workspaces()
    assert "ConnectTimeout" in silent.value.found
    with api(answer) as client:
        assert client.health() is None


@pytest.mark.parametrize(
    ("status", "body", "healthy"),
    [(200, {"available": True}, True), (200, {"available": False}, False), (502, "x", False)],
)
def test_health_is_that_of_its_database_too(
    api: Callable[[Answer], AirbyteApi], status: int, body: object, healthy: bool
) -> None:
    with api(lambda _: httpx.Response(status, json=body)) as client:
        assert client.health() is healthy


def test_no_message_holds_a_secret(api: Callable[[Answer], AirbyteApi]) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, text=request.content.decode())

    def break_down(request: httpx.Request) -> httpx.Response:
        return httpx.Response(422, text=f"{request.headers} {SECRET}")

    for answer in (refuse, token_or(break_down)):
        with api(answer) as client, pytest.raises(BlockedError) as refused:
            client.touch("c1")
        assert SECRET not in str(refused.value)
        assert "Bearer" not in str(refused.value)


def test_compose_takes_user_and_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(SECRET)
    compose = InstanceConfig(
        name="airbyte-prod", kind="compose", host="prod", url="http://198.51.100.11:8000",
        client_id="airbyte", client_secret_file=tmp_path / "password",
    )  # fmt: skip

    def answer(request: httpx.Request) -> httpx.Response:
        login = b64encode(f"airbyte:{SECRET}".encode()).decode()
        assert request.headers["Authorization"] == f"Basic {login}"
        asked.append(request.url.path)
        return httpx.Response(200, json={"available": True})

    asked: list[str] = []
    with AirbyteApi(compose, transport=httpx.MockTransport(answer)) as client:
        client.cancel(7)
        assert client.health() is True
    assert asked == ["/api/v1/jobs/cancel", "/api/v1/health"]


def test_instance_without_an_address_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError):
        AirbyteApi(InstanceConfig(name="airbyte-prod", kind="compose", host="prod"))
