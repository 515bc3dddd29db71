"""An attempt to take in a late table ends half way, and prod goes on meanwhile."""

from __future__ import annotations

from types import ModuleType
from typing import Protocol

import pytest

from db_migration.agent.agent import Agent
from db_migration.config import PUBLICATION
from db_migration.following import follow, late, prepare
from tests.scenarios.late_table.test_late_table import arrives
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario


class Killed(Protocol):
    """Where an agent is killed."""

    def __call__(self, module: ModuleType, name: str, *, after: bool = False) -> Agent: ...


CHANGED_MEANWHILE = {
    "dropped": "DROP TABLE passing",
    "altered": "ALTER TABLE passing ADD COLUMN later int",
    "one without long values emptied": "TRUNCATE bare",
    "an index more": "CREATE INDEX ON passing (name)",
    "dropped, and another one made": "DROP TABLE passing; CREATE TABLE other (id int PRIMARY KEY)",
}

FIRST, *OTHERS = CHANGED_MEANWHILE
CASES = (FIRST, *(pytest.param(case, marks=pytest.mark.long) for case in OTHERS))


@pytest.fixture
def killed(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Killed:
    """Have an agent take in table `passing`, and be killed just before it does something, or just
    after.
    """

    def at(module: ModuleType, name: str, *, after: bool = False) -> Agent:
        agent = scenario.converge()
        made = "CREATE TABLE passing (id int PRIMARY KEY, name text); "
        made += "INSERT INTO passing VALUES (1); CREATE TABLE bare (id int PRIMARY KEY)"
        scenario.source.sql(made, database="airbyte")

        do = getattr(module, name)

        def die(*args: object) -> None:
            if after:
                do(*args)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(module, name, die)
            with pytest.raises(KeyboardInterrupt):
                wait_for(lambda: agent.once() is None, timeouts.AGENT_STEP)
        assert "public.passing" in scenario.content(scenario.target, "airbyte_mirror")
        return agent

    return at


@pytest.mark.parametrize("case", CASES)
def test_what_a_killed_attempt_has_made_is_not_forgotten(
    scenario: Scenario, killed: Killed, case: str
) -> None:
    agent = killed(prepare, "publish_late")
    scenario.source.sql(CHANGED_MEANWHILE[case], database="airbyte")
    arrives(scenario, agent)


@pytest.mark.parametrize("case", CASES)
def test_nor_is_it_when_prod_changes_it_after_the_look(
    scenario: Scenario, killed: Killed, case: str
) -> None:
    agent = killed(prepare, "publish_late")
    scenario.source.sql(CHANGED_MEANWHILE[case], database="airbyte")
    late.add_tables(agent.context)
    arrives(scenario, agent)


def test_one_that_was_copied_is_not_published_for_a_while(
    scenario: Scenario, killed: Killed
) -> None:
    agent = killed(follow, "refresh", after=True)
    out, back = (f"ALTER PUBLICATION {PUBLICATION} {how}" for how in ("DROP", "ADD"))
    meanwhile = "INSERT INTO passing VALUES (2)"
    for statement in (f"{out} TABLE passing", meanwhile, f"{back} TABLE passing"):
        scenario.source.sql(statement, database="airbyte")
    arrives(scenario, agent)


def test_one_that_was_copied_and_is_made_again_does_not_keep_its_rows(
    scenario: Scenario, killed: Killed
) -> None:
    agent = killed(follow, "refresh", after=True)
    made_again = "DROP TABLE passing; CREATE TABLE passing (id int PRIMARY KEY, name text); "
    scenario.source.sql(made_again + "INSERT INTO passing VALUES (2)", database="airbyte")
    arrives(scenario, agent)
