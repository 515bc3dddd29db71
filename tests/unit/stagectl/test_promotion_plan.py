"""The planners, one table each."""

from dataclasses import replace

import pytest

from stages.stagectl.errors import RefusedError
from stages.stagectl.plan import (
    Observed,
    Step,
    UndoObserved,
    UndoStep,
    check_order,
    next_step,
    next_undo_step,
)

ALL = frozenset({"a=1", "b=2"})
NONE: frozenset[str] = frozenset()

START = Observed(
    dest_exists=False,
    backed_up=False,
    expected=ALL,
    source_keys=ALL,
    source_has_providers=True,
    source_blocked=True,
    dest_keys=NONE,
    dest_has_providers=True,
    dest_arranged=False,
    previewed=False,
    markers_to_move=("prod",),
)


def test_the_whole_plan_in_order() -> None:
    seen, taken = START, []
    effects = {
        Step.CREATE_DEST: {"dest_exists": True},
        Step.BACK_UP: {"backed_up": True},
        Step.CLEAR_DEST: {"dest_has_providers": False},
        Step.LOOSEN: {"source_blocked": False},
        Step.MOVE: {"dest_keys": ALL, "source_keys": NONE},
        Step.ARRANGE: {"dest_arranged": True},
        Step.CLEAN_SOURCE: {"source_has_providers": False},
        Step.PREVIEW: {"previewed": True},
        Step.MOVE_MARKERS: {"markers_to_move": ()},
    }
    while (step := next_step(seen)) is not Step.FINISH:
        taken.append(step)
        seen = replace(seen, **effects[step])  # type: ignore[arg-type]
    assert taken == list(effects)


def test_nothing_is_changed_before_the_backup() -> None:
    assert next_step(replace(START, dest_exists=True)) is Step.BACK_UP


def test_half_a_move_is_finished_by_emptying_the_source() -> None:
    both = replace(START, dest_exists=True, backed_up=True, dest_keys=ALL, dest_arranged=True)
    assert next_step(both) is Step.CLEAN_SOURCE


@pytest.mark.parametrize(
    ("dest", "source"),
    [
        (frozenset({"a=1"}), frozenset({"b=2"})),
        (frozenset({"a=other", "b=2"}), ALL),
        (ALL | {"c=3"}, NONE),
        (NONE, frozenset({"a=1"})),
    ],
)
def test_what_no_killed_promotion_leaves_is_refused(
    dest: frozenset[str], source: frozenset[str]
) -> None:
    seen = replace(START, dest_exists=True, backed_up=True, dest_keys=dest, source_keys=source)
    with pytest.raises(RefusedError, match="stagectl undo"):
        next_step(seen)


def test_the_undo_fills_the_source_before_it_empties_the_destination() -> None:
    seen = UndoObserved(
        markers_to_return=("prod",),
        source_restored=False,
        dest_exists=True,
        dest_emptied=False,
        dest_was_created=True,
    )
    taken = []
    effects = {
        UndoStep.RETURN_MARKERS: {"markers_to_return": ()},
        UndoStep.RESTORE_SOURCE: {"source_restored": True},
        UndoStep.EMPTY_DEST: {"dest_emptied": True},
        UndoStep.REMOVE_DEST: {"dest_exists": False},
    }
    while (step := next_undo_step(seen)) is not UndoStep.FINISH:
        taken.append(step)
        seen = replace(seen, **effects[step])  # type: ignore[arg-type]
    assert taken == list(effects)


def test_an_undo_keeps_a_stack_that_was_there_before() -> None:
    seen = UndoObserved(
        markers_to_return=(),
        source_restored=True,
        dest_exists=True,
        dest_emptied=True,
        dest_was_created=False,
    )
    assert next_undo_step(seen) is UndoStep.FINISH


@pytest.mark.parametrize(
    ("source", "dest"),
    [
        ("v0", "v2"),
        ("v1", "v0"),
        ("v2", "v1"),
        ("v0", "v0"),
        ("v2", "v3"),
        ("prod", "v1"),
        ("", ""),
    ],
)
def test_only_one_stage_forward(source: str, dest: str) -> None:
    with pytest.raises(RefusedError, match="v0 v1, v1 v2"):
        check_order(source, dest)


@pytest.mark.parametrize(("source", "dest"), [("v0", "v1"), ("v1", "v2")])
def test_one_stage_forward(source: str, dest: str) -> None:
    check_order(source, dest)
