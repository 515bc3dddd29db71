"""A role that sees a part of the rows would make a copy of that part, and find both sides equal."""

from __future__ import annotations

from functools import partial

import pytest

from db_migration.agent.agent import Agent
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario

HIDE = "ALTER TABLE stream_reset ENABLE ROW LEVEL SECURITY"
LATE = """
CREATE TABLE late (id int PRIMARY KEY);
INSERT INTO late VALUES (1);
ALTER TABLE late ENABLE ROW LEVEL SECURITY
"""
SNAPSHOTS = {
    "feeds.0.mode": "snapshot",
    "feeds.0.snapshot_interval_seconds": 0.1,
    "feeds.0.working_database": None,
}
MOMENTS = {
    # the settings, whether there is a copy before, what prod does
    "before_the_first_copy": ({}, False, HIDE),
    "while_it_follows": ({}, True, HIDE),
    "with_a_late_table": ({}, True, LATE),
    "in_snapshot_mode": (SNAPSHOTS, False, HIDE),
    "between_two_snapshots": (SNAPSHOTS, True, HIDE),
}


def is_refused(scenario: Scenario, agent: Agent) -> bool:
    agent.once()
    error = scenario.state()["error"]
    return error is not None and "row security hides rows" in error["found"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_hidden_rows_are_refused_until_the_role_sees_them(scenario: Scenario, moment: str) -> None:
    settings, copied, change = MOMENTS[moment]
    scenario.settings |= settings
    agent = scenario.converge() if copied else scenario.agent()
    scenario.source.sql(change, database="airbyte")
    wait_for(partial(is_refused, scenario, agent), timeouts.CONVERGE)
    if copied:
        assert scenario.cli("verify").returncode == (0 if settings else 3)

    error = scenario.state()["error"]
    scenario.source.sql(error["way_out"].partition(" there,")[0])
    scenario.converge(agent)
    scenario.assert_equal()
    done = scenario.cli("verify")
    assert done.returncode == 0, done.stdout + done.stderr
