"""A source that is ready to be copied."""

from __future__ import annotations

import pytest

from db_migration.agent.plan import Step
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario
from tests.support.timeouts import CONVERGE

BEFORE_SEED = frozenset(Step) - {Step.SEED}


@pytest.fixture
def prepared(scenario: Scenario) -> Scenario:
    """A source that is published, and nothing copied yet."""
    agent = scenario.agent()
    wait_for(
        lambda: agent.attempt(BEFORE_SEED) == "wait" and scenario.source.sql(
            "SELECT FROM pg_publication", database="airbyte"
        ),
        CONVERGE,
    )  # fmt: skip
    return scenario


@pytest.fixture
def filled(prepared: Scenario) -> Scenario:
    """The same with a table that is larger than what servers and client hold between them."""
    prepared.source.sql(
        "INSERT INTO jobs (scope, status, config) SELECT 'scope ' || n, 'succeeded', "
        "jsonb_build_object('n', repeat(md5(n::text), 60)) FROM generate_series(1, 10000) n",
        database="airbyte",
    )
    return prepared
