"""What a verification leaves behind: a line of the audit trail, and a warning where it must."""

from __future__ import annotations

import json
from typing import Any

from tests.support.deployment import KEEPER, Deployment
from tests.support.scenario import Scenario, command

ALTERED = "UPDATE jobs SET scope = 'altered' WHERE id = 1"


def lines(scenario: Scenario) -> list[dict[str, Any]]:
    """Return the results in the audit trail, the newest first."""
    told = json.loads(scenario.cli("history", "--json").stdout)["feeds"][0]["events"]
    return [line for line in told if (line["step"], line["phase"]) == ("verify", "result")]


def test_who_verified_and_what_was_found(scenario: Scenario) -> None:
    scenario.converge()
    (by_the_agent,) = lines(scenario)
    assert by_the_agent["detail"].startswith("equal, continuous, ")

    scenario.target.sql(ALTERED, database="airbyte_mirror")
    by_hand = scenario.cli("verify", DB_MIGRATION_OPERATOR="alice")
    assert by_hand.returncode == 3
    assert "source and mirror differ" in by_hand.stderr
    newest = lines(scenario)[0]
    assert newest["who"].startswith("alice: verify on ")
    assert newest["detail"].startswith("DIFFERENT: table public.jobs: row {1} differs in scope")
    assert "altered" not in newest["detail"]


def test_of_many_differences_the_first_are_told(scenario: Scenario) -> None:
    scenario.converge()
    scenario.target.sql("DELETE FROM attempts WHERE id < 6", database="airbyte_mirror")
    assert scenario.cli("verify").returncode == 3
    assert "; 2 more, continuous, " in lines(scenario)[0]["detail"]


def test_feed_that_is_not_live_is_not_called_equal(deployment: Deployment) -> None:
    """And where nothing was compared, `verify` has not done what it is for."""
    path = deployment.write_config(KEEPER)
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "initial": {**whole["initial"], "database": "lost"}}))
    for options in ((), ("--json",)):
        done = command(path, "verify", *options)
        assert done.returncode == 3
        for feed in whole["feeds"]:
            waits = f"{feed['name']} waits: the active database is lost; nothing compared"
            assert waits in done.stderr
    assert "nothing compared" in json.loads(done.stdout)["error"]["found"]
