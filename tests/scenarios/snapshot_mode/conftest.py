"""A prod that may not be restarted, and an agent that takes a copy whenever a test wants one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from db_migration.agent.agent import Agent
from db_migration.agent.plan import Step
from db_migration.snapshots import look as snapshot_look
from db_migration.snapshots import plan as snapshot_plan
from tests.scenarios.conftest import COMMON
from tests.support import timeouts
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.scenario import FEED, Scenario

ALWAYS_DUE = {
    "feeds.0.allow_source_restart": False,
    "feeds.0.snapshot_interval_seconds": 0.001,
    "feeds.0.working_database": None,
    "schema_quiet_seconds": 0.01,
}


@dataclass
class Snapshots:
    """A feed in snapshot mode."""

    scenario: Scenario
    agent: Agent

    def copy(self) -> dict[str, Any]:
        """Take one copy, swapped in if it differs; return what it has cost."""
        self.until(Step.SNAPSHOT)
        if self.databases("_seed"):
            self.until(Step.SWAP_SNAPSHOT)
        return self.runs()[0]

    def until(self, step: Step) -> None:
        wait_for(lambda: self.agent.attempt() is step, timeouts.CONVERGE)

    def runs(self) -> list[dict[str, Any]]:
        with self.agent.context.control.connect() as connection:
            return snapshot_look.history(connection, FEED)

    def databases(self, suffix: str) -> list[str]:
        query = "SELECT datname FROM pg_database WHERE datname = 'airbyte_mirror' || %s"
        return [name for (name,) in self.scenario.target.sql(query, suffix)]

    def prod(self, query: str) -> list[tuple[Any, ...]]:
        return self.scenario.source.sql(query, database="airbyte")

    def mirror(self, query: str) -> list[tuple[Any, ...]]:
        return self.scenario.target.sql(query, database="airbyte_mirror")

    def content(self) -> dict[str, list[Any]]:
        return self.scenario.content(self.scenario.target, "airbyte_mirror")

    def assert_given_up(self, kept: dict[str, list[Any]]) -> None:
        """See that a copy that failed has left the last one in place, and that the next works."""
        assert self.content() == kept
        wait_for(lambda: self.agent.memory.copies.seconds() == 0, timeouts.FOLLOW)
        self.copy()
        self.assert_equal()

    def assert_equal(self) -> None:
        assert self.content() == self.scenario.content(self.scenario.source, "airbyte")


def fresh(pg13: PgServer, pg17: PgServer, folder: Path) -> Snapshots:
    scenario = Scenario(pg13, pg17, folder)
    additions = Path(__file__).with_name("additions.sql").read_text()
    scenario.reset(COMMON.read_text() + additions, wal_level="replica")
    scenario.settings |= ALWAYS_DUE
    return Snapshots(scenario, scenario.agent())


@pytest.fixture(scope="module")
def snapshots(
    pg13: PgServer, pg17: PgServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Snapshots]:
    """One world for all tests of a module; the next copy is always due."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(snapshot_plan, "BUSY", 0)
        yield fresh(pg13, pg17, tmp_path_factory.mktemp("snapshots"))
    pg13.sql("ALTER SYSTEM RESET log_statement")
    pg13.sql("SELECT pg_reload_conf()")
