"""Ten rounds of random faults under load; ``python -m tests.support.random_faults`` does more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fault_world import FaultWorld
from tests.support.random_faults import run_round, worlds

SEED = 1
ROUNDS = 10
FOUND: tuple[tuple[int, int], ...] = (
    (2, 27),
    (3, 36),
    (1201, 7),
    (20261130, 55),
    (20261130, 66),
)
"""Seed and round of every failure that a long run has found: each is mended, and stays so."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultWorld]:
    with worlds(Path(tmp_path_factory.mktemp("faults"))) as found:
        yield found


@pytest.mark.parametrize(
    ("seed", "number"), [*((SEED, number) for number in range(1, ROUNDS + 1)), *FOUND]
)
def test_copy_converges_after_whatever_happens(world: FaultWorld, seed: int, number: int) -> None:
    run_round(world, seed, number)
