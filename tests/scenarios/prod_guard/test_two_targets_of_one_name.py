"""Two servers that follow under one name would take each other's slot without end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import timeouts
from tests.support.fix_postgres import PgServer, drop_everything, wait_for
from tests.support.scenario import Scenario


@pytest.fixture
def second(scenario: Scenario, pg17_too: PgServer, tmp_path: Path) -> Iterator[Scenario]:
    folder = tmp_path / "second"
    folder.mkdir()
    drop_everything(pg17_too)
    found = Scenario(scenario.source, pg17_too, folder)
    found.set_up_target()
    yield found
    drop_everything(pg17_too)  # its subscription would take the slots of the next tests


def test_the_second_one_says_who_was_there_first(scenario: Scenario, second: Scenario) -> None:
    first = scenario.converge()
    agent = second.agent()
    wait_for(lambda: second.state()["error"] or agent.once() == "seed", timeouts.AGENT_STEP)
    error = second.state()["error"]
    assert error is not None
    assert "is read by somebody else, from 127.0.0.1" in error["found"]
    assert "target.name" in error["way_out"]
    scenario.source.sql("UPDATE jobs SET scope = 'moved on'", database="airbyte")
    scenario.converge(first)
    scenario.assert_equal()
    assert scenario.copies() == 1

    assert scenario.cli("release").returncode == 0
    second.converge(agent)
    second.assert_equal()
