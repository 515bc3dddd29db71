"""When a rehearsal may be held, what it looks for, and how one that died is cleared away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db_migration.rehearsal.checks import Airbyte, Facts, judge
from db_migration.rehearsal.plan import Leftover, Seen, against, leftover

READY = Seen(
    "airbyte-prod-backup-replica-2",
    "replica",
    rendering="standby-core-worker-01",
    wanted="standby-core-worker-01",
    runs=True,
)


def test_a_standby_that_runs_beside_a_mirror_is_enough() -> None:
    assert against(READY) == []


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Seen(standby=None), "no Airbyte stands by: the replica is active"),
        (replace(READY, host_said="timed out"), "does not answer: timed out"),
        (replace(READY, rendering="active-intermediary"), "is `active-intermediary`, not"),
        (replace(READY, rendering=""), "is `not installed`"),
        (replace(READY, runs=False), "does not run"),
        (replace(READY, follows=False), "no complete copy"),
        (replace(READY, working=False), "no working database of ours"),
    ],
)
def test_what_forbids_it(seen: Seen, why: str) -> None:
    (found,) = against(seen)
    assert why in found


@pytest.mark.parametrize(
    ("under_way", "set_aside", "working", "mine", "expected"),
    [
        (False, False, True, True, Leftover.NOTHING),
        (True, False, True, True, Leftover.STOPPED),
        (True, True, True, True, Leftover.SWAPPED),
        (False, True, True, True, Leftover.SWAPPED),
        (True, True, False, True, Leftover.ORPHAN),
        (True, True, True, False, Leftover.ORPHAN),
        (False, False, False, False, Leftover.NOTHING),
    ],
)
def test_what_is_left(
    under_way: bool, set_aside: bool, working: bool, mine: bool, expected: Leftover
) -> None:
    """After a failover the Airbyte that was rehearsed is prod, or its clone is prod's database."""
    found = leftover(under_way=under_way, set_aside=set_aside, working=working, mine=mine)
    assert found is expected


BEFORE = Facts(
    version="0.63.15",
    actors=frozenset({"a1", "a2"}),
    connections={"c1": "inactive", "c2": "inactive"},
    coordinates=frozenset({"s1", "s2"}),
    secrets=frozenset({"s1", "s2", "unused"}),
)
AFTER = replace(BEFORE, version="1.8.5")
SAYS = Airbyte(healthy=True, version="1.8.5", connections=frozenset({"c1", "c2"}))


def test_a_replica_that_could_take_over() -> None:
    assert [check.name for check in judge(BEFORE, AFTER, SAYS) if not check.ok] == []


FAULTS = {
    "healthy": (AFTER, replace(SAYS, healthy=False), "no"),
    "version": (replace(AFTER, version="0.63.9"), replace(SAYS, version="0.63.9"), "-> 0.63.9"),
    "actors": (replace(AFTER, actors=frozenset({"a1"})), SAYS, "1; missing a2"),
    "secrets readable": (replace(AFTER, secrets=frozenset({"s1"})), SAYS, "1 of 2; missing s2"),
    "connections": (
        replace(AFTER, connections={"c1": "inactive"}),
        replace(SAYS, connections=frozenset({"c1"})),
        "1; missing c2",
    ),
    "connections in the API": (AFTER, replace(SAYS, connections=frozenset({"c1"})), "missing c2"),
    "connections inactive": (
        replace(AFTER, connections={"c1": "active", "c2": "inactive"}), SAYS, "wrong: c1"
    ),
    "data-plane group": (replace(AFTER, without_plane=frozenset({"w1"})), SAYS, "wrong: w1"),
    "nothing syncs": (AFTER, replace(SAYS, runs_workers=True), "workers run"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_by_its_check(name: str) -> None:
    after, says, found = FAULTS[name]
    (failed,) = [check for check in judge(BEFORE, after, says) if not check.ok]
    assert failed.name == name
    assert found in failed.found


def test_an_application_that_did_not_migrate_its_database_is_found() -> None:
    failed = [check.name for check in judge(BEFORE, BEFORE, SAYS) if not check.ok]
    assert failed == ["version"]
