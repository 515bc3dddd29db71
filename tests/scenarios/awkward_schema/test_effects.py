"""The model that the planner's tests trust does what the real steps do, effect for effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from db_migration import effects
from db_migration.effects import Effect
from db_migration.plan import Step
from tests.support.scenario import Scenario
from tests.unit.db_migration.model import World
from tests.unit.db_migration.model import effects as model_effects

R = TypeVar("R")
JOURNAL = {Effect.OPEN_JOURNAL, Effect.WRITE_JOURNAL}


def test_steps_have_the_effects_of_the_model(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[Effect] = []

    def perform(name: Effect, function: Callable[[], R]) -> R:
        if name not in JOURNAL and name not in met:
            met.append(name)
        return function()

    monkeypatch.setattr(effects, "perform", perform)
    scenario.set_wal_level("replica")
    agent = scenario.agent()
    seen: set[Step] = set()
    while (step := agent.attempt()) is not Step.WAIT:
        expected = [name for name, _ in model_effects(step, World()) if name not in JOURNAL]
        assert met == list(dict.fromkeys(expected)), step
        seen.add(step)
        met.clear()
    assert {Step.RESTART_SOURCE, Step.SEED, Step.CLONE_WORKING, Step.SWAP_WORKING} <= seen
