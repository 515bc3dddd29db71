"""`prepare` does each step at most once: what does not hold is said, and not done without end."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from db_migration.agent.plan import Step
from db_migration.cli import source
from db_migration.errors import BlockedError


class Agent:
    """Does whatever is left, and counts it."""

    left: tuple[Step, ...] = ()

    def __init__(self, context: object) -> None:
        del context
        self.journal = MagicMock()
        self.steps = iter(self.left)

    def attempt(self, allowed: frozenset[Step], *, patient: bool) -> Step:
        del allowed, patient
        return next(self.steps)


def test_a_step_that_is_due_again_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "Agent", Agent)
    monkeypatch.setattr(Agent, "left", (Step.CREATE_ROLE, Step.CREATE_ROLE))
    with pytest.raises(BlockedError, match="`create_role` is due again"):
        source._prepare(MagicMock())


def test_different_steps_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "Agent", Agent)
    monkeypatch.setattr(Agent, "left", (Step.CREATE_ROLE, Step.PUBLISH, Step.WAIT))
    assert source._prepare(MagicMock()) == ["create_role", "publish"]
