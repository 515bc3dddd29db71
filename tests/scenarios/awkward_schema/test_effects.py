"""The model that the planner's tests trust does what the real steps do, effect for effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from db_migration import effects
from db_migration.agent.plan import Step
from db_migration.effects import Effect
from tests.support.scenario import Scenario
from tests.unit.db_migration.model import World
from tests.unit.db_migration.model import effects as model_effects

R = TypeVar("R")
SIDE_BY_SIDE = {Effect.COPY_TABLE, Effect.BUILD_INDEX, Effect.ADD_CONSTRAINTS}
"""A seed's workers meet these at the same time, table by table."""

JOURNAL = {Effect.OPEN_JOURNAL, Effect.WRITE_JOURNAL}


def in_order(met: list[Effect]) -> list[Effect]:
    """Return each effect once, those of the workers in a fixed order."""
    once = list(dict.fromkeys(met))
    beside = iter(sorted(name for name in once if name in SIDE_BY_SIDE))
    return [next(beside) if name in SIDE_BY_SIDE else name for name in once]


def test_steps_have_the_effects_of_the_model(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[Effect] = []

    def perform(name: Effect, function: Callable[[], R]) -> R:
        if name not in JOURNAL:
            met.append(name)
        return function()

    monkeypatch.setattr(effects, "perform", perform)
    scenario.set_wal_level("replica")
    agent = scenario.agent()
    seen: set[Step] = set()
    while (step := agent.attempt()) is not Step.WAIT:
        expected = [name for name, _ in model_effects(step, World()) if name not in JOURNAL]
        assert in_order(met) == in_order(expected), step
        seen.add(step)
        met.clear()
    assert {Step.RESTART_SOURCE, Step.SEED, Step.CLONE_WORKING, Step.SWAP_WORKING} <= seen
