"""A cut-over that is killed, and then its hosts die: the failover still finds all rows."""

from __future__ import annotations

import re

import pytest

from db_migration.config import Config
from db_migration.cutover.cutover import Mode
from db_migration.effects import Effect
from db_migration.errors import BlockedError, MigrationError, UnreachableError
from db_migration.failover.failover import Failover
from db_migration.failover.plan import Kind
from db_migration.sides.epoch import Epoch
from tests.support import timeouts
from tests.support.crash_world import CUT_OVER, CrashWorld
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
OPEN = "SELECT datallowconn FROM pg_database WHERE datname = 'airbyte'"
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


@pytest.mark.long
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


@pytest.mark.parametrize(
    ("effect", "when"),
    [
        pytest.param(Effect.FENCE_COMPOSE, "after", marks=pytest.mark.long),
        pytest.param(Effect.RENAME_DATABASES, "after", marks=pytest.mark.long),
        pytest.param(Effect.ADVANCE_EPOCH, "after", marks=pytest.mark.long),
        pytest.param(Effect.RESUME_FEED, "before", marks=pytest.mark.long),
        (Effect.RESUME_FEED, "after"),
    ],
)
def test_taken_back_while_the_new_database_is_dead(
    before: CrashWorld, killer: Life, effect: Effect, when: str
) -> None:
    """Its server may come back with an epoch that core-worker-01 never heard of, or has heard of;
    nobody was let in there.
    """
    killer("cutover go", effect, when)
    before.kill(INTERMEDIARY)
    with pytest.raises(UnreachableError, match="compose is back as it was; intermediary") as told:
        before.cut_over(Mode.ABORT)
    assert "cutover --abort" in told.value.way_out
    before.until_state("following", f"prod-to-{KEEPER}")
    before.until_written()
    before.bring_back(INTERMEDIARY)
    assert before.cut_over(Mode.ABORT)["state"] == "aborted"
    before.until_following()
    then = Epoch(2, "prod", OLD, "roll-back")
    wait_for(lambda: set(before.epochs()) == {then}, timeouts.FOLLOW)
    before.assert_lives(before.prod, then)


@pytest.mark.parametrize(
    "effect", [pytest.param(Effect.ADMIT, marks=pytest.mark.long), Effect.ACTIVATE]
)
def test_not_taken_back_while_the_dead_server_may_hold_a_write(
    before: CrashWorld, killer: Life, effect: Effect
) -> None:
    """The new Airbyte was let in; what it has written is known when its server answers again."""
    killer("cutover go", effect, "after")
    before.kill(INTERMEDIARY)
    with pytest.raises(BlockedError, match="may have taken a write") as told:
        before.cut_over(Mode.ABORT)
    assert "intermediary" in told.value.found
    assert "cutover --abort" in told.value.way_out
    assert "failover" in told.value.way_out
    assert not (before.folder / "compose.runs").exists()
    assert before.prod.sql(OPEN) == [(False,)]
    assert set(before.epochs()) == {CUT_OVER}
    before.bring_back(INTERMEDIARY)
    assert before.cut_over()["state"] == "done"
    before.assert_lives(before.intermediary, CUT_OVER)


@pytest.mark.long
@pytest.mark.parametrize("effect", [Effect.CLOSE_PROD, Effect.ENABLE_SUBSCRIPTION])
def test_compose_is_started_by_hand_while_core_worker_01_is_dead(
    before: CrashWorld, killer: Life, effect: Effect
) -> None:
    """And nobody knows of it: what was promoted before is not taken for a copy afterwards."""
    killer("cutover go", effect, "after")
    before.kill(KEEPER)
    with pytest.raises(BlockedError, match="compose on it is stopped") as told:
        before.failover(here=INTERMEDIARY)
    (opening,) = re.findall(r"psql -U docker -c '(.*?)' postgres && ", told.value.way_out)
    before.prod.sql(opening)
    (before.folder / "compose.runs").touch()
    before.until_written()
    before.bring_back(KEEPER)
    assert before.cut_over(Mode.ABORT)["state"] == "aborted"
    before.until_following()
    before.until_written()
    before.writing.clear()
    before.until_equal((before.prod, "airbyte"), (before.intermediary, "airbyte_mirror"))
    before.until_equal((before.prod, "airbyte"), (before.keeper, "airbyte_mirror"))
    before.kill("prod", KEEPER)
    before.failover("prod", here=INTERMEDIARY)
    before.until_written()
    before.writing.clear()
    assert before.lost(before.intermediary) == set()


def test_a_cut_over_that_goes_on_after_compose_was_started_by_hand_goes_back(
    before: CrashWorld, killer: Life
) -> None:
    killer("cutover go", Effect.HAND_OVER, "after")
    before.prod.sql("ALTER DATABASE airbyte ALLOW_CONNECTIONS true")
    (before.folder / "compose.runs").touch()
    before.until_written()
    with pytest.raises(MigrationError):
        before.cut_over()
    before.assert_lives(before.prod, Epoch(2, "prod", OLD, "roll-back"))
    before.until_following()
