"""The cut-over's planner: from every state forwards to the end, and back to where it began."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from db_migration.cutover.plan import (
    Back,
    Seen,
    Step,
    back_done,
    done,
    may_go_back,
    next_back,
    next_step,
    remaining,
)

START = Seen(compose_runs=True, prod_open=True)
MOST_STEPS = 20


def prefixes() -> list[tuple[Step, Seen]]:
    """Return each step with what is known just before it."""
    found, seen = [], START
    for step in remaining(START):
        found.append((step, seen))
        seen = done(seen, step)
    return found


def a_new_life(seen: Seen) -> Seen:
    """Forget what only the process knew: what is left is what can be observed."""
    return Seen(
        compose_runs=seen.compose_runs,
        prod_open=seen.prod_open,
        renamed=seen.renamed,
        recorded=seen.recorded,
        activated=seen.activated,
        proven=seen.proven,
        tried=seen.admitted,
        admitted=seen.admitted,
    )


def way_back(seen: Seen) -> list[Back]:
    found: list[Back] = []
    while (step := next_back(seen)) is not Back.DONE:
        assert len(found) < MOST_STEPS, found
        found.append(step)
        seen = back_done(seen, step)
    assert seen.compose_runs
    assert seen.prod_open
    assert seen.resumed
    return found


def test_whole_way_is_the_design_s_order() -> None:
    assert remaining(START) == [step for step in Step if step is not Step.DONE]


@pytest.mark.parametrize(("step", "seen"), prefixes())
def test_a_new_life_ends_where_the_first_would_have(step: Step, seen: Seen) -> None:
    left = remaining(a_new_life(seen))
    whole = list(Step)
    assert left == sorted(left, key=whole.index), "out of order"
    assert step in left
    assert left[-1] is Step.PROVE
    if not seen.renamed and seen.prod_open:
        assert Step.VERIFY in left, "nothing is promoted that was not proven equal in this life"


@pytest.mark.parametrize(("step", "seen"), prefixes())
def test_every_failure_before_the_first_write_puts_compose_back(step: Step, seen: Seen) -> None:
    if not may_go_back(step):
        assert step is Step.PROVE
        return
    for known in (seen, a_new_life(seen)):
        back = way_back(replace(known, resumed=False, paused=False, tried=seen.admitted))
        if seen.renamed:
            assert back.index(Back.ROLL_BACK) < back.index(Back.START)
        if seen.admitted:
            order = [Back.SHUT_OUT, Back.COMPARE, Back.ROLL_BACK, Back.START]
            assert [step for step in back if step in order] == order


def test_compose_is_never_started_over_a_promotion_that_is_not_taken_back() -> None:
    for flags in product([True, False], repeat=6):
        names = ("compose_runs", "prod_open", "renamed", "recorded", "tried", "admitted")
        seen = Seen(**dict(zip(names, flags, strict=True)))
        back = way_back(seen)
        if (seen.renamed or seen.recorded) and Back.START in back:
            assert back.index(Back.ROLL_BACK) < back.index(Back.START)
        if seen.recorded and seen.tried:
            assert back.index(Back.COMPARE) < back.index(Back.ROLL_BACK)


def test_way_back_that_was_killed_goes_on_after_its_epoch() -> None:
    seen = Seen(compose_runs=False, prod_open=True, renamed=True, rolled_back=True)
    assert way_back(seen) == [Back.START, Back.DEACTIVATE, Back.RELEASE]


def test_compose_that_somebody_started_is_fenced_again() -> None:
    seen = Seen(compose_runs=True, prod_open=False, paused=True, renamed=True, promoted=True)
    assert next_step(seen) is Step.FENCE
