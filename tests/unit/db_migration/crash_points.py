"""A plan is carried out by a process that dies, starts again, and dies again."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Protocol, TypeVar

W = TypeVar("W")
W_contra = TypeVar("W_contra", contravariant=True)


class Run(Protocol[W_contra]):
    """Follows the plan, at most for `budget` effects; returns how many there were."""

    def __call__(self, world: W_contra, budget: int | None = None) -> int: ...


def every_prefix(
    start: Callable[[], W], run: Run[W], assert_converged: Callable[[W], None]
) -> None:
    """Die after every effect, twice over, and converge all the same."""
    whole = start()
    total = run(whole)
    assert_converged(whole)
    for first in range(total + 1):
        once = start()
        run(once, budget=first)
        for second in range(total + 1):
            twice = copy.deepcopy(once)
            run(twice, budget=second)
            run(twice)
            assert_converged(twice)
