"""A pooler in front of a server: what we set would last in sessions of prod's, who fails of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from db_migration.preflight.checklist import Result
from tests.scenarios.preflight.test_preflight import checked
from tests.support.pooler import Pooler
from tests.support.scenario import Scenario

OURS = "SELECT rolname FROM pg_roles WHERE rolname = 'airbyte_migration'"
PORTS = {"source": ["feeds.0.source.port"], "target": ["feeds.0.target.port", "control.port"]}


@pytest.fixture(params=[False, True], ids=["refuses", "leaves_out"])
def pooler(scenario: Scenario, side: str, request: pytest.FixtureRequest) -> Iterator[Pooler]:
    server = {"source": scenario.source, "target": scenario.target}[side]
    found = Pooler(server.port, leaves_out=request.param)
    for key in PORTS[side]:
        scenario.settings[key] = found.port
    yield found
    found.close()


@pytest.mark.usefixtures("pooler")
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_pooler_is_named_and_nothing_is_done(scenario: Scenario, side: str) -> None:
    check = checked(scenario)[f"{side}.reachable"]
    assert check.result is Result.FAIL
    assert "options" in check.found
    assert "PgBouncer" in check.way_out
    agent = scenario.agent()
    assert agent.once() == "wait"
    error = agent.board.state(agent.name)["error"]
    assert "PgBouncer" in error["way_out"]
    assert scenario.source.sql(OURS) == []
