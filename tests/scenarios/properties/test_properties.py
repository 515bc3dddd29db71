"""Random tables of every type arrive identical, through the copy and through the stream; and what
is then changed on the mirror is found, that and nothing else.

With PROPERTY_ROUNDS=N so many others are drawn (`make properties`); without it the same few.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from db_migration.verification import pause as verify_pause
from db_migration.verification import verify
from tests.scenarios.properties import values
from tests.scenarios.properties.tables import Table, worlds
from tests.support.fix_postgres import PgServer
from tests.support.scenario import Scenario

ROUNDS = int(os.environ.get("PROPERTY_ROUNDS", "0"))
FEW = 3
"""The first that hypothesis draws is the simplest one, so at least two."""

drawn = settings(
    max_examples=ROUNDS or FEW,
    derandomize=not ROUNDS,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # a world takes seconds: too long to shrink
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[PgServer, PgServer], Scenario]:
    def make(source: PgServer, target: PgServer) -> Scenario:
        return Scenario(source, target, tmp_path_factory.mktemp("properties"))

    return make


@pytest.fixture(scope="module", autouse=True)
def without_haste() -> Iterator[None]:
    """Nobody writes while we verify, so that the pause may be long on a machine without time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify_pause, "LOCKING_MS", 5000)
        for name in ("LIMIT_MS", "PAUSE_MS"):
            patch.setattr(verify_pause, name, 10_000)
        yield


def run(scenario: Scenario, statements: list[Any]) -> None:
    with scenario.source.connect("airbyte") as prod:
        for statement in statements:
            note(statement.as_string(prod))
            prod.execute(statement)


def arrives(scenario: Scenario, tables: list[Table]) -> None:
    scenario.reset(values.SETUP)
    run(scenario, [table.create() for table in tables])
    run(scenario, [statement for table in tables for statement in table.fill()])
    scenario.converge()
    scenario.assert_equal()
    run(scenario, [change for table in tables for change in table.changes])
    scenario.assert_equal()
    for check in (verify.verify, verify.verify_exactly):
        assert check(scenario.context()).differences == []


def damage_is_found(scenario: Scenario, tables: list[Table]) -> None:
    """Judged by the test's own reading: whatever differs there, and nothing else, is named."""
    with scenario.target.connect("airbyte_mirror") as mirror:
        for table in tables:
            if table.damage is not None:
                note(table.damage.as_string(mirror))
                mirror.execute(table.damage)
    there = scenario.content(scenario.source, "airbyte")
    here = scenario.content(scenario.target, "airbyte_mirror")
    differing = {name for name in there if there[name] != here[name]}
    for check in (verify.verify, verify.verify_exactly):
        assert set(check(scenario.context()).counts) == differing


@drawn
@given(tables=worlds(13))
def test_from_13_to_17(
    pg13: PgServer,
    pg17: PgServer,
    made: Callable[[PgServer, PgServer], Scenario],
    tables: list[Table],
) -> None:
    scenario = made(pg13, pg17)
    arrives(scenario, tables)
    damage_is_found(scenario, tables)


@pytest.mark.long
@drawn
@given(tables=worlds(17))
def test_from_17_to_17(
    pg17_too: PgServer,
    pg17: PgServer,
    made: Callable[[PgServer, PgServer], Scenario],
    tables: list[Table],
) -> None:
    """As in v2: the intermediary is prod's database, core-worker-01 has the copy."""
    scenario = made(pg17_too, pg17)
    arrives(scenario, tables)
    damage_is_found(scenario, tables)
