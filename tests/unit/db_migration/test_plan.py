"""The planner, in a world in miniature where the process dies after every single effect."""

# size: one table of starting states, and the properties that hold for each

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db_migration.agent import hindrances, plan, state
from db_migration.agent.memory import Memory
from db_migration.agent.plan import Step
from db_migration.errors import BlockedError
from db_migration.snapshots import plan as snapshot_plan
from tests.unit.db_migration.crash_points import every_prefix
from tests.unit.db_migration.model import Db, World, effects

MOST_STEPS = 60


def run(world: World, budget: int | None = None) -> int:
    """Follow the plan; stop dead after `budget` effects; return how many there were."""
    done = 0
    for _ in range(MOST_STEPS):
        step = plan.next_step(world.observe()).step
        if step is Step.WAIT:
            return done
        for _, apply in effects(step, world):
            if budget is not None and done >= budget:
                world.crash()
                return done
            apply(world)
            done += 1
            world.check()
            world.tick()
    pytest.fail(f"the plan does not end: {step} again and again")


def assert_converged(world: World) -> None:
    assert world.subscribed is world.mirror
    assert world.enabled
    assert world.seed is None
    assert world.old_mirror is None
    assert world.next_working is None
    assert world.old_working is None
    assert world.mirror.mark is not None
    assert set(world.mirror.mark.tables) == set(world.tables)
    assert world.intents <= {"prepared"}
    assert not world.reader_stopped
    assert not world.stalled
    assert not world.stuck
    assert not world.admission_due
    world.tick()
    assert world.mirror.position == world.lsn


def fresh() -> World:
    return World()


def prepared() -> World:
    return World(wal_level="logical", wal_configured="logical")


def following() -> World:
    world = prepared()
    run(world)
    return world


def slot_lost() -> World:
    world = following()
    world.slot_lost = True
    return world


def slot_gone() -> World:
    world = following()
    world.slot = None
    return world


def upgraded() -> World:
    world = following()
    world.tables["public.jobs"] = replace(world.tables["public.jobs"], fingerprint="new")
    return world


def made_again(noted: str | None = "before now now") -> World:
    """A table that looks as before; `noted` is what its mark says of it, None where it is old."""
    world = following()
    world.tables["public.jobs"] = replace(world.tables["public.jobs"], body="now now now")
    assert world.mirror.mark is not None
    bodies = {} if noted is None else {"public.jobs": noted}
    world.mirror.mark = replace(world.mirror.mark, bodies=bodies)
    return world


def slot_set_back() -> World:
    """Prod's DDL was taken back before the slot was dropped, and its server lost what it noted."""
    world = following()
    assert world.mirror.mark is not None
    world.subscribed, world.enabled, world.slot = None, False, int(world.mirror.mark.lsn)
    return world


def new_enum_label() -> World:
    world = following()
    world.types = "new"
    return world


def table_dropped() -> World:
    world = following()
    del world.tables["public.jobs"]
    return world


def table_unpublished() -> World:
    world = following()
    world.tables["public.jobs"] = replace(world.tables["public.jobs"], published=False)
    return world


def late_table() -> World:
    world = following()
    world.tables["public.secrets"] = state.SourceTable("s", has_identity=False)
    return world


def late_table_during_seed() -> World:
    world = prepared()
    run(world, budget=5)
    world.tables["public.secrets"] = state.SourceTable("s")
    return world


def too_much_wal() -> World:
    world = following()
    world.retained = world.policy.max_retained_bytes + 1
    return world


def key_dropped() -> World:
    world = following()
    world.tables["public.jobs"] = state.SourceTable("other", has_identity=False, published=True)
    return world


def working_due() -> World:
    world = following()
    world.due = True
    return world


def reader_connected() -> World:
    world = working_due()
    world.connected = 3
    world.policy = replace(world.policy, can_stop_reader=True)
    return world


def wrong_airbyte_admitted() -> World:
    world = working_due()
    world.admission_due = True
    return world


def stalled() -> World:
    world = following()
    world.stalled = True
    return world


def stuck() -> World:
    world = following()
    world.stuck = True
    return world


def left_overs() -> World:
    world = following()
    world.seed = Db(content="partial")
    world.old_mirror = Db(content="mirror")
    world.next_working = Db(content="partial")
    world.old_working = Db(content="working")
    return world


STARTS: list[Callable[[], World]] = [
    fresh, prepared, following, slot_lost, slot_gone, slot_set_back, upgraded, made_again,
    new_enum_label, table_dropped, table_unpublished, late_table, late_table_during_seed,
    too_much_wal, working_due, reader_connected, left_overs, stalled, stuck,
    wrong_airbyte_admitted,
]  # fmt: skip


@pytest.mark.parametrize("start", STARTS)
def test_every_prefix_is_a_crash_point(start: Callable[[], World]) -> None:
    every_prefix(start, run, assert_converged)


def test_prod_is_mended_first_when_a_published_table_loses_its_key() -> None:
    assert plan.next_step(key_dropped().observe()).step is Step.PUBLISH


@pytest.mark.parametrize(
    ("noted", "step"),
    [
        (
            "before now now",
            Step.DROP_SUBSCRIPTION,
        ),  # the table itself, its columns' versions, its file
        ("now before before", Step.DROP_SUBSCRIPTION),
        ("now before now", Step.WAIT),
        ("now now before", Step.WAIT),
        ("now now now", Step.WAIT),
        (None, Step.WAIT),
    ],
)
def test_rows_that_ddl_has_made_are_copied_anew(noted: str | None, step: Step) -> None:
    assert plan.next_step(made_again(noted).observe()).step is step


@pytest.mark.parametrize(
    ("noted", "step"), [("before", Step.DROP_SUBSCRIPTION), ("now", Step.WAIT), (None, Step.WAIT)]
)
def test_what_a_publication_has_left_out_is_copied_anew(noted: str | None, step: Step) -> None:
    """Marks of earlier versions note nothing of it."""
    world = following()
    world.tables["public.jobs"] = replace(world.tables["public.jobs"], listing="now")
    assert world.mirror.mark is not None
    listings = {} if noted is None else {"public.jobs": noted}
    world.mirror.mark = replace(world.mirror.mark, listings=listings)
    assert plan.next_step(world.observe()).step is step


@pytest.mark.parametrize(("followed", "step"), [(True, Step.DROP_SLOT), (False, Step.SUBSCRIBE)])
def test_what_was_followed_is_never_followed_from_its_beginning_again(
    step: Step, *, followed: bool
) -> None:
    world = slot_set_back()
    assert world.mirror.mark is not None
    world.mirror.mark = replace(world.mirror.mark, followed=followed)
    assert plan.next_step(world.observe()).step is step


def test_a_mirror_is_not_followed_further_when_a_server_was_set_back() -> None:
    seen = following().observe()
    assert seen.source is not None
    log = state.Log("prod", 1, 10**9)
    seen = replace(seen, source=replace(seen.source, log=log, noted=state.Logs(log, state.Log())))
    decision = plan.next_step(seen)
    assert decision.step is Step.DROP_SUBSCRIPTION
    assert "the target" in decision.why


def test_slot_is_dropped_rather_than_fill_the_disk_even_with_the_target_dead() -> None:
    world = too_much_wal()
    world.target_up = False
    assert plan.next_step(world.observe()).step is Step.DROP_SLOT


def nobody_says_who_is_active(world: World) -> state.Observed:
    world.target_up = False
    return replace(world.observe(), epoch_unknown=True)


def test_slot_is_dropped_rather_than_fill_the_disk_whoever_is_active() -> None:
    seen = nobody_says_who_is_active(too_much_wal())
    for next_step in (plan.next_step, snapshot_plan.next_step):
        assert next_step(seen).step is Step.DROP_SLOT


@pytest.mark.parametrize("start", [*STARTS, key_dropped])
@pytest.mark.parametrize("source_up", [True, False])
def test_nothing_else_is_done_while_nobody_says_who_is_active(
    start: Callable[[], World], *, source_up: bool
) -> None:
    world = start()
    world.retained, world.source_up = 0, source_up
    seen = nobody_says_who_is_active(world)
    restarting = replace(seen, intent=state.Intent(restarting_source=True), verify_due=True)
    for next_step in (plan.next_step, snapshot_plan.next_step):
        decision = next_step(restarting)
        assert decision.step is Step.WAIT
        assert "the target does not answer" in decision.why


@pytest.mark.parametrize("side", ["source_up", "target_up"])
def test_waits_while_a_side_is_down(side: str) -> None:
    for world in (fresh(), following(), slot_lost()):
        setattr(world, side, False)
        assert plan.next_step(world.observe()).step is Step.WAIT


def test_source_that_was_stopped_for_a_restart_is_started() -> None:
    world = fresh()
    world.intents.add("restart_source")
    world.source_up = False
    assert plan.next_step(world.observe()).step is Step.START_SOURCE


def test_source_that_is_down_for_another_reason_is_left_alone() -> None:
    world = following()
    world.source_up = False
    assert plan.next_step(world.observe()).step is Step.WAIT


def test_restart_needs_permission() -> None:
    world = World(role=True, policy=state.Policy(allow_source_restart=False))
    with pytest.raises(BlockedError, match="allow_source_restart"):
        plan.next_step(world.observe())


@pytest.mark.parametrize("start", STARTS)
def test_no_copy_is_begun_while_the_schema_moves(start: Callable[[], World]) -> None:
    world = start()
    readable = world.mirror
    world.quiet = False
    run(world)
    assert world.mirror is readable or world.mirror.mark is not None
    world.quiet = True
    run(world)
    assert_converged(world)


def test_mirror_stays_as_it_was_through_an_upgrade() -> None:
    world = upgraded()
    world.quiet = False
    before = world.mirror
    run(world)
    assert world.mirror is before
    assert world.subscribed is None
    assert world.slot is None
    assert "quiet for 5 s" in plan.next_step(world.observe()).why


def test_copy_that_failed_rests() -> None:
    world = prepared()
    world.rest = 8.0
    run(world)
    assert world.slot is None
    assert "failed" in plan.next_step(world.observe()).why


def test_nothing_is_fed_from_a_publication_that_leaves_something_out() -> None:
    seen = World(role=True).observe()
    assert seen.source is not None
    narrowed = replace(seen, source=replace(seen.source, publication_faults=("does not publish",)))
    with pytest.raises(BlockedError, match="does not publish"):
        plan.next_step(narrowed)


def test_no_copy_is_made_where_a_policy_hides_rows() -> None:
    seen = World(role=True).observe()
    assert seen.source is not None
    guarded = replace(seen, source=replace(seen.source, partly_read=("public.guarded",)))
    for next_step in (plan.next_step, snapshot_plan.next_step):
        with pytest.raises(BlockedError, match="row security on"):
            next_step(guarded)


def test_foreign_mirror_is_not_touched() -> None:
    world = prepared()
    world.mirror = Db(content="foreign")
    with pytest.raises(BlockedError, match="no mark of ours"):
        plan.next_step(world.observe())


def test_foreign_working_database_does_not_stop_the_feed() -> None:
    world = prepared()
    world.working = Db(content="foreign")
    run(world)
    assert world.enabled
    assert world.working.content == "foreign"


def test_working_database_waits_for_a_connected_airbyte() -> None:
    world = working_due()
    world.connected = 1
    before = world.working
    run(world)
    assert world.working is before


@pytest.mark.parametrize(
    ("change", "why"),
    [({"mirror_held_by": "psql as bob"}, "psql as bob .* end"), ({"clone_rest": 8.0}, "pause")],
)
def test_feed_is_not_paused_for_a_clone_that_can_not_be_made(
    change: dict[str, object], why: str
) -> None:
    for world in (working_due(), left_overs()):
        world.due, world.verified = True, False
        vars(world).update(change)
        before = world.working
        run(world)
        assert world.working is before
        assert world.enabled
        assert world.verified, "all else goes on"
        seen = world.observe()
        assert seen.target is not None
        assert seen.target.working is not None
        assert re.search(why, hindrances.holds_working(seen.target.working, seen) or "")


def test_clone_that_is_complete_takes_its_place_whoever_is_in_the_mirror() -> None:
    world = working_due()
    world.next_working = Db(content="working")
    world.mirror_held_by, world.clone_rest = "psql as bob", 8.0
    assert plan.next_step(world.observe()).step is Step.SWAP_WORKING


def test_new_mirror_does_not_wait_because_a_clone_failed() -> None:
    memory = Memory()
    memory.failed(Step.CLONE_WORKING, BlockedError(found="f", needed="n", way_out="w"))
    assert memory.clones.seconds() > 0
    assert memory.copies.seconds() == 0
    memory.succeeded(Step.ENABLE)
    assert memory.clones.seconds() > 0, "a feed that goes on says nothing about the next clone"
    memory.succeeded(Step.CLONE_WORKING)
    assert memory.clones.seconds() == 0


def test_released_feed_is_left_alone() -> None:
    world = prepared()
    world.intents.add("released")
    assert plan.next_step(world.observe()).step is Step.WAIT


def test_stale_prod_is_shut_out_before_anything_else() -> None:
    world = fresh()
    world.admission_due, world.source_up = True, False
    assert plan.next_step(world.observe()).step is Step.ADMIT_READER


def test_feed_keeps_still_during_a_cut_over() -> None:
    seen = following().observe()
    paused = replace(seen, intent=replace(seen.intent, cutting_over=True), verify_due=True)
    assert plan.next_step(paused).step is Step.WAIT


def test_command_line_setting_is_not_fought_with_restarts() -> None:
    world = World(role=True, wal_configured="logical")
    seen = world.observe()
    assert seen.source is not None
    fixed = replace(seen, source=replace(seen.source, wal_level_fixed=True))
    with pytest.raises(BlockedError, match="command line"):
        plan.next_step(fixed)


def test_reset_that_would_keep_the_source_from_starting_is_taken_back() -> None:
    world = following()
    world.wal_configured = "replica"
    assert plan.next_step(world.observe()).step is Step.SET_WAL_LEVEL
    seen = world.observe()
    assert seen.source is not None
    fixed = replace(seen, source=replace(seen.source, wal_level_fixed=True))
    assert plan.next_step(fixed).step is not Step.SET_WAL_LEVEL


def test_source_that_was_released_from_elsewhere_is_not_taken_up_again() -> None:
    world = following()
    world.role, world.publication, world.slot = False, False, None
    with pytest.raises(BlockedError, match="gone from the source"):
        plan.next_step(world.observe())
    world.intents.discard("prepared")  # as `prepare` does
    assert plan.next_step(world.observe()).step is Step.CREATE_ROLE


def test_role_that_is_gone_alone_is_made_again() -> None:
    world = following()
    world.role = False
    assert plan.next_step(world.observe()).step is Step.CREATE_ROLE


databases = st.sampled_from(["none", "partial", "stale", "complete"])


@settings(max_examples=300, deadline=None)
@given(
    slot=st.sampled_from([None, 100, 42]),
    lost=st.booleans(),
    seed=databases,
    subscribed=st.booleans(),
    enabled=st.booleans(),
    budget=st.integers(0, 40),
    late=st.booleans(),
)
def test_converges_from_whatever_it_finds(
    slot: int | None,
    lost: bool,
    seed: str,
    subscribed: bool,
    enabled: bool,
    budget: int,
    late: bool,
) -> None:
    """States that no run of ours leaves behind, but an operator or a restored backup may."""
    world = prepared()
    world.slot, world.slot_lost = slot, lost
    tables = {name: table.fingerprint for name, table in world.tables.items()}
    if subscribed:
        position = slot if slot is not None else 7
        world.role = world.publication = True
        world.tables = {
            name: replace(table, has_identity=True, published=True)
            for name, table in world.tables.items()
        }
        world.mirror = Db(position, state.Mark("7", tables, "t"), "mirror")
        world.subscribed, world.enabled = world.mirror, enabled
    if seed != "none":
        marks = {"stale": state.Mark("13", tables, "t"), "complete": state.Mark("100", tables, "t")}
        world.seed = Db(100, marks.get(seed), "mirror" if seed in marks else "partial")
    if late:
        world.tables["public.secrets"] = state.SourceTable("s", has_identity=False)
    run(world, budget=budget)
    run(world)
    assert_converged(world)
