"""A cut-over that is killed, and then its hosts die: the failover still finds all rows."""

from __future__ import annotations

import pytest

from db_migration.config import Config
from db_migration.cutover.cutover import Mode
from db_migration.effects import Effect
from db_migration.errors import UnreachableError
from db_migration.failover.failover import Failover
from db_migration.failover.plan import Kind
from db_migration.sides.epoch import Epoch
from tests.support import timeouts
from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, KEEPER, OLD, REPLICA
from tests.support.fix_postgres import wait_for
from tests.support.killed_agent import Life

POINTS = (
    (Effect.FENCE_COMPOSE, "after"),
    (Effect.LET_GO, "after"),
    (Effect.CLOSE_PROD, "after"),
    (Effect.SET_SEQUENCES, "after"),
    (Effect.CLOSE_DATABASES, "after"),
    (Effect.RENAME_DATABASES, "after"),
    (Effect.MAKE_MIRROR, "after"),
    (Effect.OPEN_PROMOTED, "after"),
    (Effect.CREATE_SLOT, "after"),
    (Effect.HAND_OVER, "after"),
    (Effect.CREATE_SUBSCRIPTION, "after"),
    (Effect.ENABLE_SUBSCRIPTION, "after"),
    (Effect.ADVANCE_EPOCH, "before"),
)
"""After compose's fence and before the new epoch."""
NOBODY = 1
"""A port on which no server listens."""


@pytest.fixture
def before(world: CrashWorld) -> CrashWorld:
    world.start_before_cut_over()
    world.until_written()
    return world


def without(config: Config, *dead: str) -> Config:
    """Return the configuration as if prod's server and these did not answer."""
    gone = {"port": NOBODY}
    feeds = [
        feed.model_copy(update={"source": feed.source.model_copy(update=gone)})
        for feed in config.feeds
    ]
    alive = tuple(
        server.model_copy(update=gone) if server.name in dead else server
        for server in config.servers
    )
    return config.model_copy(update={"feeds": tuple(feeds), "servers": alive})


def test_at_every_point_somebody_takes_over(before: CrashWorld, killer: Life) -> None:
    """Prod's host dies, alone or with a server of ours: what is left can be promoted."""
    for effect, when in POINTS:
        killer("cutover go", effect, when)
        (before.folder / "prod.dead").touch()
        for here, dead in ((KEEPER, ""), (KEEPER, INTERMEDIARY), (INTERMEDIARY, KEEPER)):
            config = without(before.config(here), dead)
            plan = Failover(config, instance_host=before.host).plan
            assert (plan.kind, plan.then.airbyte) == (Kind.PROMOTE, REPLICA), (effect, when, dead)
        (before.folder / "prod.dead").unlink()
    killer("cutover go")


@pytest.mark.parametrize(
    ("effect", "when", "dead", "then"),
    [
        (Effect.ADVANCE_EPOCH, "before", (), Epoch(2, KEEPER, REPLICA, "failover")),
        (Effect.ADVANCE_EPOCH, "after", (INTERMEDIARY,), Epoch(2, KEEPER, REPLICA, "failover")),
        (Effect.RENAME_DATABASES, "after", (KEEPER,), Epoch(1, INTERMEDIARY, REPLICA, "failover")),
    ],
)
def test_no_row_is_lost(
    before: CrashWorld,
    killer: Life,
    effect: Effect,
    when: str,
    dead: tuple[str, ...],
    then: Epoch,
) -> None:
    """Nor is one when the dead come back, who may know an epoch that nobody else had heard of."""
    killer("cutover go", effect, when)
    before.kill("prod", *dead)
    here = INTERMEDIARY if KEEPER in dead else KEEPER
    before.failover("prod", here=here)
    before.bring_back(*dead)
    wait_for(lambda: set(before.epochs()) == {then}, timeouts.FOLLOW)
    before.assert_lives(before.servers[then.database], then)


def test_taken_back_while_the_new_database_alone_knows_the_epoch(
    before: CrashWorld, killer: Life
) -> None:
    """Its server dies with an epoch that core-worker-01 never heard of, and comes back with it."""
    killer("cutover go", Effect.ADVANCE_EPOCH, "after")
    before.kill(INTERMEDIARY)
    with pytest.raises(UnreachableError):
        before.cut_over(Mode.ABORT)
    before.until_written()
    before.bring_back(INTERMEDIARY)
    before.cut_over(Mode.ABORT)
    then = Epoch(2, "prod", OLD, "roll-back")
    wait_for(lambda: set(before.epochs()) == {then}, timeouts.FOLLOW)
    before.assert_lives(before.prod, then)
