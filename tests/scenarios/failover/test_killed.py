"""SIGKILL before and after every side effect of a failover; the same command goes on each time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from db_migration.effects import Effect
from db_migration.failover.plan import Kind
from db_migration.journal import Journal
from db_migration.sides import servers
from db_migration.sides.epoch import Epoch
from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, KEEPER, NEW, REPLICA
from tests.support.killed_agent import Life

PROMOTE = (
    Effect.SAVE_INTENT,
    Effect.WRITE_JOURNAL,
    Effect.FENCE_AIRBYTE,
    Effect.ADMIT,
    Effect.LET_GO,
    Effect.ADD_LATE_KEYS,
    Effect.SET_SEQUENCES,
    Effect.CLOSE_DATABASES,
    Effect.RENAME_DATABASES,
    Effect.MAKE_MIRROR,
    Effect.OPEN_PROMOTED,
    Effect.ADVANCE_EPOCH,
    Effect.SET_STOPPED,
    Effect.ACTIVATE_AIRBYTE,
)
ATTACH = (Effect.ADVANCE_EPOCH, Effect.ADMIT, Effect.ACTIVATE_AIRBYTE)


def test_promotion(v2: CrashWorld, killer: Life) -> None:
    v2.until_caught_up()
    v2.kill(INTERMEDIARY)
    for effect in PROMOTE:
        for when in ("before", "after"):
            killer("failover", effect, when)
    killer("failover")
    v2.assert_lives(v2.keeper, Epoch(2, KEEPER, NEW, "failover"))
    assert v2.observe().plan.kind is Kind.NOTHING
    names = "SELECT datname FROM pg_database WHERE datname LIKE 'airbyte_before%'"
    assert v2.keeper.sql(names) == [("airbyte_before_failover_2",)]


def test_an_agent_acts_between_two_attempts(v2: CrashWorld, killer: Life) -> None:
    """What it had decided upon before, while a failover held its lock, is no new mirror."""
    v2.until_caught_up()
    v2.kill(INTERMEDIARY)
    killer("failover", Effect.RENAME_DATABASES, "after")
    keeper = v2.config().server(KEEPER)
    assert keeper is not None
    agents = Journal(servers.control(keeper), f"{INTERMEDIARY}-to-{KEEPER}")
    agents.event("admit_reader", "started", "")
    killer("failover")
    v2.assert_lives(v2.keeper, Epoch(2, KEEPER, NEW, "failover"))


@pytest.mark.parametrize(
    ("action", "effects"),
    [
        pytest.param("failover prod", ATTACH, marks=pytest.mark.long),
        ("outwait 0.5", (Effect.SAVE_INTENT, *ATTACH)),
    ],
    ids=["by a word", "behind time"],
)
def test_attaching(v2: CrashWorld, killer: Life, action: str, effects: Sequence[Effect]) -> None:
    """Where nobody can say that the host is down the time that has passed counts all the same."""
    v2.kill("prod")
    for effect in effects:
        for when in ("before", "after"):
            killer(action, effect, when)
    killer(action)
    v2.assert_lives(v2.intermediary, Epoch(2, INTERMEDIARY, REPLICA, "failover"))
    assert v2.observe().plan.kind is Kind.NOTHING


def test_what_an_overtaken_rehearsal_has_left_is_dropped(v1: CrashWorld, killer: Life) -> None:
    v1.writing.clear()
    v1.until_equal((v1.prod, "airbyte"), (v1.keeper, "airbyte_mirror"))
    killer("rehearse", Effect.REHEARSAL_SWAP, "after")
    v1.kill("prod")
    v1.failover("prod")
    for when in ("before", "after"):
        killer("clear", Effect.REHEARSAL_DROP, when)
    killer("clear")
    names = "SELECT datname FROM pg_database WHERE datname ~ 'rehearsal'"
    assert v1.keeper.sql(names) == []
    v1.assert_lives(v1.keeper, Epoch(1, KEEPER, REPLICA, "failover"))


@pytest.mark.parametrize(
    "effect", [pytest.param(Effect.FENCE_AIRBYTE, marks=pytest.mark.long), Effect.OPEN_PROMOTED]
)
def test_the_old_database_returns_in_the_middle(
    v2: CrashWorld, killer: Life, effect: Effect
) -> None:
    """What was promoted in vain stays behind; nothing that the old database took is lost."""
    v2.kill(INTERMEDIARY)
    killer("failover", effect, "after")
    v2.bring_back(INTERMEDIARY)
    killer("failover")
    v2.until_written()
    v2.writing.clear()
    assert v2.lost(v2.intermediary) == set()
    assert {found.database for found in v2.epochs()} == {INTERMEDIARY}
    assert {found.airbyte for found in v2.epochs()} == {NEW}
    assert v2.observe().plan.kind is Kind.NOTHING
