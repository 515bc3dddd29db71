"""A rebuild that is killed, and typed again, whatever has changed meanwhile."""

from __future__ import annotations

import pytest

from db_migration.effects import Effect
from db_migration.sides.epoch import Epoch
from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, KEEPER, NEW, REPLICA
from tests.support.fix_postgres import wait_for
from tests.support.killed_agent import Life
from tests.support.returned import assert_redundant, fail_over_and_return
from tests.support.timeouts import FOLLOW

WHEN = ("after", pytest.param("before", marks=pytest.mark.long))


@pytest.mark.parametrize("when", WHEN)
def test_killed_and_run_again(v2: CrashWorld, killer: Life, when: str) -> None:
    fail_over_and_return(v2)
    for effect in (Effect.SET_ASIDE, Effect.MAKE_EMPTY, Effect.STAND_BY):
        killer("rebuild", effect, when)
    killer("rebuild")
    assert_redundant(v2)


def test_killed_while_it_tells_the_epoch(v2: CrashWorld, killer: Life) -> None:
    """The agents, who would tell it themselves, are away."""
    v2.stop_agents()
    v2.agents.clear()
    fail_over_and_return(v2)
    for when in ("before", "after"):
        killer("rebuild", Effect.COPY_EPOCH, when)
    v2.start_agents()
    v2.rebuild()
    assert_redundant(v2)


@pytest.mark.long
def test_killed_while_it_gives_a_wrong_mirror_up(v2: CrashWorld, killer: Life) -> None:
    """And prod's schema changes, and both servers are started anew, before it is typed again."""
    v2.until_caught_up()
    v2.keeper.sql("DELETE FROM attempts WHERE id <= 10", database="airbyte_mirror")
    feed = f"{INTERMEDIARY}-to-{KEEPER}"
    wait_for(lambda: not (v2.feed_state(feed)["verified"] or {"equal": True})["equal"], FOLLOW)
    for when in ("before", "after"):
        killer("rebuild", Effect.LET_GO, when)
    change = "SET ROLE airbyte; ALTER TABLE jobs ADD COLUMN later int DEFAULT 7"
    v2.intermediary.sql(change, database="airbyte")
    v2.keeper.restart()
    v2.intermediary.restart()
    v2.rebuild()
    v2.until_written()
    v2.writing.clear()
    v2.until_equal((v2.intermediary, "airbyte"), (v2.keeper, "airbyte_mirror"))


@pytest.mark.long
def test_prod_changes_before_a_killed_one_is_run_again(v2: CrashWorld, killer: Life) -> None:
    fail_over_and_return(v2)
    killer("rebuild", Effect.SET_ASIDE, "after")
    change = "SET ROLE airbyte; ALTER TABLE jobs ADD COLUMN later int DEFAULT 7"
    v2.keeper.sql(change, database="airbyte")
    v2.intermediary.restart()
    v2.keeper.restart()
    v2.rebuild()
    assert_redundant(v2)


@pytest.mark.parametrize("when", WHEN)
def test_killed_while_it_puts_a_returned_host_right(
    v2: CrashWorld, killer: Life, when: str
) -> None:
    v2.kill("prod")
    v2.failover("prod")
    v2.bring_back("prod")
    for effect in (Effect.SET_STOPPED, Effect.ADMIT, Effect.STAND_BY):
        killer("rebuild", effect, when)
    killer("rebuild")
    standby = v2.instances()[NEW]
    assert (standby["rendering"], standby["running"]) == (f"standby-{KEEPER}", True)
    v2.assert_lives(v2.intermediary, Epoch(2, INTERMEDIARY, REPLICA, "failover"))
