"""A server that was dead comes back to a deployment that goes on without it."""

from __future__ import annotations

from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, REPLICA

STATUSES = "SELECT DISTINCT status::text FROM connection"


def fail_over_and_return(world: CrashWorld) -> None:
    """The intermediary dies, core-worker-01 takes over, the intermediary comes back."""
    world.until_caught_up()
    world.kill(INTERMEDIARY)
    world.failover()
    world.until_written()
    world.bring_back(INTERMEDIARY)


def fail_over_without_loss(world: CrashWorld) -> None:
    """Prod's host dies in v1 when nothing was written any more; core-worker-01 takes over."""
    world.writing.clear()
    world.until_equal((world.prod, "airbyte"), (world.keeper, "airbyte_mirror"))
    world.kill("prod")
    world.failover("prod")


def assert_redundant(world: CrashWorld) -> None:
    """The returned server follows, and the other Airbyte stands by on a harmless clone there."""
    world.writing.clear()
    world.until_equal((world.keeper, "airbyte"), (world.intermediary, "airbyte_mirror"))
    assert world.intermediary.sql(STATUSES, database="airbyte") == [("inactive",)]
    standby = world.instances()[REPLICA]
    assert (standby["rendering"], standby["running"]) == (f"standby-{INTERMEDIARY}", True)
    assert world.lost(world.keeper) == set()
