"""After a failover prod goes home as planned: nothing is lost, nobody writes twice."""

from __future__ import annotations

import pytest

from db_migration.agent.agent import Agent
from db_migration.agent.plan import Step
from db_migration.config import slot_name
from db_migration.context import Context
from db_migration.effects import Effect
from db_migration.errors import BlockedError, DifferenceFoundError
from db_migration.failover import steps
from db_migration.failover.plan import Kind
from db_migration.sides.epoch import Epoch
from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, KEEPER, NEW, REPLICA
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.killed_agent import Life
from tests.support.killed_failover import killer_of
from tests.support.live_standin import CONTROL
from tests.support.timeouts import FOLLOW

THERE = Epoch(2, KEEPER, NEW, "failover")
HOME = Epoch(3, INTERMEDIARY, NEW, "failback")
SUBSCRIPTION = slot_name(INTERMEDIARY)


def syncs_end(world: CrashWorld, live: PgServer) -> None:
    """What a failover has started in this world does not end by itself."""
    world.writing.clear()
    live.sql("UPDATE jobs SET status = 'succeeded' WHERE status = 'running'", database="airbyte")
    world.until_written()


def away(world: CrashWorld) -> None:
    """Host and database of prod die one after the other; everything is repaired, under load."""
    world.until_caught_up()
    world.kill(INTERMEDIARY)
    world.failover()
    world.bring_back(INTERMEDIARY)
    world.rebuild()
    syncs_end(world, world.keeper)


def test_the_airbyte_goes_home(v2: CrashWorld) -> None:
    v2.kill("prod")
    v2.failover("prod")
    v2.bring_back("prod")
    v2.rebuild()
    with pytest.raises(BlockedError, match=r"job\(s\) still run after 2 s: connection"):
        v2.failback().run()
    syncs_end(v2, v2.intermediary)
    report = v2.failback().run()
    assert report.plan.then == HOME
    assert report.as_dict()["rpo"]["rows"] == 0
    assert v2.instances()[REPLICA]["rendering"] == "stopped"
    v2.assert_lives(v2.intermediary, HOME)
    v2.rebuild()
    assert v2.instances()[REPLICA]["rendering"] == f"standby-{KEEPER}"


def test_the_database_goes_home_under_load(v2: CrashWorld) -> None:
    away(v2)
    report = v2.failback().run()
    assert report.plan.then == HOME
    v2.assert_lives(v2.intermediary, HOME)
    assert len(set(v2.acknowledged_ids)) == len(v2.acknowledged_ids)
    v2.rebuild()
    v2.until_equal((v2.intermediary, "airbyte"), (v2.keeper, "airbyte_mirror"))
    assert v2.failback().plan.kind is Kind.NOTHING


def test_what_is_not_repaired_yet_is_named(v2: CrashWorld) -> None:
    v2.until_caught_up()
    v2.kill(INTERMEDIARY)
    v2.failover()
    with pytest.raises(BlockedError, match="server intermediary does not let us in"):
        v2.failback()
    v2.bring_back(INTERMEDIARY)
    with pytest.raises(BlockedError, match="server intermediary: its mirror is not complete") as no:
        v2.failback()
    assert "db-migration rebuild" in no.value.way_out
    v2.rebuild()
    v2.kill("prod")
    with pytest.raises(BlockedError, match=f"host prod of {NEW} does not answer"):
        v2.failback()


COPY_FAILS = (
    "CREATE TABLE late (id int PRIMARY KEY CHECK (id < 0)); ALTER TABLE late OWNER TO airbyte"
)
LATE = "SET ROLE airbyte; CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)"
TAKEN_IN = """
SELECT shobj_description(oid, 'pg_database') ~ 'public.late' AND
       shobj_description(oid, 'pg_database') !~ 'begun'
FROM pg_database WHERE datname = 'airbyte_mirror'
"""


def test_a_table_in_mid_copy_is_waited_for(v2: CrashWorld) -> None:
    """Were the live database dead, it would be gone without; alive, nothing is left behind."""
    away(v2)
    v2.intermediary.sql(COPY_FAILS, database="airbyte_mirror")
    v2.keeper.sql(LATE, database="airbyte")

    def copies() -> bool:
        states = "SELECT FROM pg_subscription_rel WHERE srsubstate = 'd'"
        return bool(v2.intermediary.sql(states, database="airbyte_mirror"))

    wait_for(copies, FOLLOW)
    with pytest.raises(BlockedError, match=r"has not all rows of public\.late"):
        v2.failback()
    v2.stop_agents()
    assert v2.feed_state(f"{KEEPER}-to-{INTERMEDIARY}")["error"] is None, "it waited to the end"


def taken_in(world: CrashWorld) -> None:
    """The agents of the copy at home find what prod has made."""
    world.start_agents()
    wait_for(lambda: world.intermediary.sql(TAKEN_IN) == [(True,)], FOLLOW)
    syncs_end(world, world.keeper)
    world.failback().run()
    assert world.intermediary.sql("SELECT id FROM late", database="airbyte") == [(1,)]
    world.assert_lives(world.intermediary, HOME)


def test_what_prod_has_made_since_the_last_look_is_told_before_anybody_is_stopped(
    v2: CrashWorld,
) -> None:
    away(v2)
    v2.stop_agents()
    v2.keeper.sql(LATE, database="airbyte")
    before = v2.verbs()
    with pytest.raises(DifferenceFoundError, match=r"public\.late") as refused:
        v2.failback().run()
    assert "nothing was stopped" in refused.value.way_out
    assert v2.verbs() == before
    taken_in(v2)


def test_what_prod_makes_on_its_way_does_not_stay_behind(
    v2: CrashWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stream of changes tells of it, and no agent looks meanwhile."""
    away(v2)
    v2.stop_agents()

    def drain(task: steps.Task) -> None:
        drained(task)
        v2.keeper.sql(LATE, database="airbyte")

    drained = steps.drain
    monkeypatch.setattr(steps, "drain", drain)
    with pytest.raises(DifferenceFoundError, match=r"public\.late") as refused:
        v2.failback().run()
    assert "`db-migration failover` starts" in refused.value.way_out
    monkeypatch.undo()
    v2.failover()
    taken_in(v2)


@pytest.mark.parametrize("when", ["after", pytest.param("before", marks=pytest.mark.long)])
def test_killed_and_run_again(v2: CrashWorld, killer: Life, when: str) -> None:
    """The agents are still: between two lives they might make the copy at home anew."""
    away(v2)
    v2.stop_agents()
    for effect in (
        Effect.SAVE_INTENT,
        Effect.WRITE_JOURNAL,
        Effect.FENCE_AIRBYTE,
        Effect.ADMIT,
        Effect.LET_GO,
        Effect.SET_SEQUENCES,
        Effect.CLOSE_DATABASES,
        Effect.RENAME_DATABASES,
        Effect.MAKE_MIRROR,
        Effect.OPEN_PROMOTED,
        Effect.ADVANCE_EPOCH,
        Effect.SET_STOPPED,
        Effect.ACTIVATE_AIRBYTE,
    ):
        killer("failback", effect, when)
    v2.failback().run()
    v2.assert_lives(v2.intermediary, HOME)


def test_killed_and_taken_back(v2: CrashWorld, killer: Life) -> None:
    """Who does not want to go on has `failover` start what was stopped.

    All are stopped at once, and the standby may be the first: only when all are is it sure that the
    active one is among them.
    """
    away(v2)
    killer("failback", Effect.ADMIT, "before")
    assert v2.observe().plan.kind is Kind.START
    v2.failover()
    there = v2.observe().plan.now
    assert (there.database, there.airbyte) == (KEEPER, NEW)
    v2.assert_lives(v2.keeper, there)
    wait_for(lambda: v2.observe().plan.kind is Kind.NOTHING, FOLLOW)


def test_a_copy_that_its_agent_has_given_up_stops_nobody(v2: CrashWorld) -> None:
    """It stays in place, whole and old, until the next one is made."""
    away(v2)
    v2.stop_agents()
    config = v2.config(INTERMEDIARY)
    (feed,) = (one for one in config.feeds if one.name == f"{KEEPER}-to-{INTERMEDIARY}")
    agent = Agent(Context(config, feed, instance_host=v2.host))
    v2.keeper.sql("SET ROLE airbyte; ALTER TABLE jobs ADD COLUMN extra int", database="airbyte")
    wait_for(lambda: agent.once() is Step.DROP_SUBSCRIPTION, FOLLOW)
    before = v2.verbs()
    with pytest.raises(BlockedError, match="does not follow any more"):
        v2.failback()
    assert v2.verbs() == before
    v2.assert_lives(v2.keeper, THERE)


def test_a_copy_that_was_found_different_on_its_way_is_made_anew(v2: CrashWorld) -> None:
    """Its agent had no time to verify it."""
    away(v2)
    v2.stop_agents()
    v2.intermediary.sql("DELETE FROM attempts WHERE id <= 10", database="airbyte_mirror")
    v2.intermediary.sql("DELETE FROM migration.event WHERE step = 'verify'", database=CONTROL)
    with pytest.raises(DifferenceFoundError, match="`db-migration rebuild`"):
        v2.failback().run()
    assert v2.observe().plan.kind is Kind.NOTHING
    assert any("drop the mirror's subscription" in what for what in v2.rebuild(dry_run=True).done)


def test_what_a_failover_has_promoted_in_vain_is_not_gone_on_with(v2: CrashWorld) -> None:
    """The dead one is back, with rows that nobody else has."""
    away(v2)
    v2.stop_agents()
    v2.intermediary.sql(f"ALTER SUBSCRIPTION {SUBSCRIPTION} DISABLE", database="airbyte_mirror")
    v2.until_written()
    v2.writing.clear()
    v2.kill(KEEPER)
    with killer_of(v2, INTERMEDIARY) as killer:
        killer("failover", Effect.OPEN_PROMOTED, "after")
    v2.bring_back(KEEPER)
    with pytest.raises(DifferenceFoundError, match=f"not equal to {KEEPER}"):
        v2.failback().run()
    v2.failover()
    v2.assert_lives(v2.keeper, Epoch(4, KEEPER, NEW, "failover"))
