"""Snapshot mode's planner, in a world in miniature where the process dies after every effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db_migration.agent import state
from db_migration.agent.plan import Step
from db_migration.config import Mode
from db_migration.errors import BlockedError
from db_migration.snapshots import plan as snapshot_plan
from db_migration.snapshots.plan import BUSY, Origin, choose, origins, seconds_left
from tests.unit.db_migration.crash_points import every_prefix
from tests.unit.db_migration.snapshot_model import Db, World, effects, sums

MOST_STEPS = 30


def run(world: World, budget: int | None = None) -> int:
    """Follow the plan; stop dead after `budget` effects; return how many there were."""
    done = 0
    for _ in range(MOST_STEPS):
        step = snapshot_plan.next_step(world.observe()).step
        if step is Step.WAIT:
            return done
        for _, apply in effects(step, world):
            if budget is not None and done >= budget:
                return done
            apply(world)
            done += 1
            world.check()
    pytest.fail(f"the plan does not end: {step} again and again")


def assert_converged(world: World) -> None:
    assert world.mirror.rows == world.rows
    assert world.mirror.mark == world.mark()
    assert world.seed is None
    assert not world.slot
    assert not world.subscribed


def fresh() -> World:
    return World()


def copied() -> World:
    world = fresh()
    run(world)
    world.read.clear()
    world.copy_due = True
    return world


def written() -> World:
    world = copied()
    world.rows["public.jobs"] += 1
    return world


def copied_twice() -> World:
    world = written()
    run(world)
    world.read.clear()
    world.copy_due = True
    world.rows["public.jobs"] += 1
    return world


def upgraded() -> World:
    world = copied_twice()
    world.schema = "b"
    return world


def followed_before() -> World:
    world = World(role=True, slot=True, subscribed=True)
    world.mirror = Db(dict(world.rows), state.Mark("0/1", {}, "a"), followed=True)
    return world


def left_overs() -> World:
    world = copied()
    world.seed, world.old = Db({"public.jobs": 7}), Db({"public.jobs": 7})
    return world


def swap_outstanding() -> World:
    world = written()
    world.seed = Db(dict(world.rows), world.mark())
    world.old = Db({"public.jobs": 7})
    return world


STARTS: list[Callable[[], World]] = [
    fresh, copied, written, copied_twice, upgraded, followed_before, left_overs, swap_outstanding,
]  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
def test_every_prefix_is_a_crash_point(start: Callable[[], World]) -> None:
    every_prefix(start, run, assert_converged)


READ: list[tuple[Callable[[], World], list[str]]] = [
    (fresh, ["public.jobs", "public.workspace"]),
    (copied, []),
    (written, ["public.jobs"]),
    (copied_twice, ["public.jobs"]),
    (upgraded, ["public.jobs", "public.workspace"]),
]


@pytest.mark.parametrize(("start", "read"), READ)
def test_only_what_has_changed_is_read_again(start: Callable[[], World], read: list[str]) -> None:
    world = start()
    run(world)
    assert world.read == read


def test_a_lost_base_does_not_cost_prod_a_whole_copy() -> None:
    world = copied_twice()
    world.old = None
    run(world)
    assert world.read == ["public.jobs"]
    assert_converged(world)


def test_foreign_mirror_is_not_touched() -> None:
    world = World(mirror=Db(foreign=True))
    with pytest.raises(BlockedError, match="no mark of ours"):
        snapshot_plan.next_step(world.observe())


@pytest.mark.parametrize("change", [{"rest_seconds": 1.0}, {"copy_due": False}])
def test_prod_is_not_read_before_its_time(change: dict[str, object]) -> None:
    world = copied()
    for name, value in change.items():
        setattr(world, name, value)
    assert snapshot_plan.next_step(world.observe()).step is Step.WAIT


def test_released_feed_takes_no_copy() -> None:
    seen = replace(copied().observe(), intent=state.Intent(released=True))
    assert snapshot_plan.next_step(seen).step is Step.WAIT


AUTO = state.Policy(mode=Mode.AUTO)
CHOICES = [
    (AUTO, "logical", Mode.LOGICAL, "`wal_level = logical`"),
    (replace(AUTO, allow_source_restart=True), "replica", Mode.LOGICAL, "may be restarted once"),
    (AUTO, "replica", Mode.SNAPSHOT, "`wal_level = replica` and may not be restarted"),
    (AUTO, "minimal", Mode.SNAPSHOT, "`wal_level = minimal` and may not be restarted"),
    (state.Policy(mode=Mode.SNAPSHOT), "logical", Mode.SNAPSHOT, "`mode` is `snapshot`"),
    (state.Policy(mode=Mode.LOGICAL), "replica", Mode.LOGICAL, "`mode` is `logical`"),
]


@pytest.mark.parametrize(("policy", "wal_level", "mode", "why"), CHOICES)
def test_choice(policy: state.Policy, wal_level: str, mode: Mode, why: str) -> None:
    found = choose(policy, wal_level)
    assert found.mode is mode
    assert why in found.why


def test_mode_of_a_feed_whose_source_is_silent_is_that_of_its_mirror() -> None:
    for world, mode in ((copied(), Mode.SNAPSHOT), (followed_before(), Mode.LOGICAL)):
        found = snapshot_plan.chosen(replace(world.observe(), source=None))
        assert found is not None
        assert found.mode is mode


TURNS = [
    (None, 0.0, 0.0),
    (-500_000.0, 1.0, 0.0),
    (0.0, 1.0, 300.0),
    (299.0, 1.0, 1.0),
    (300.0, 1.0, 0.0),
    (900.0, 1.0, 0.0),
    (300.0, 200.0, BUSY * 200.0 - 300.0),
]


@pytest.mark.parametrize(("age", "took", "left"), TURNS)
def test_next_copy(age: float | None, took: float, left: float) -> None:
    assert seconds_left(300.0, age, took) == left


contents = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("123"))


@given(wanted=contents, shadow=contents, mirror=contents)
def test_every_table_comes_from_where_it_is_equal(
    wanted: dict[str, str], shadow: dict[str, str], mirror: dict[str, str]
) -> None:
    found = origins(wanted, shadow, mirror)
    assert found.keys() == wanted.keys()
    for name, origin in found.items():
        held = {Origin.SHADOW: shadow, Origin.MIRROR: mirror, Origin.SOURCE: wanted}[origin]
        assert held[name] == wanted[name]
        assert origin is not Origin.SOURCE or wanted[name] not in (
            shadow.get(name), mirror.get(name),
        )  # fmt: skip


def test_model_counts_rows_as_the_planner_does() -> None:
    world = copied()
    mark = world.mark().snapshot
    assert mark is not None
    assert sums(world.mirror) == mark.sums
