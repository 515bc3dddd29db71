"""May prod go home: only when everything answers, and what is there is whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db_migration.errors import BlockedError
from db_migration.failback.plan import decide
from db_migration.failover.plan import Kind
from db_migration.failover.state import Observed, ServerSeen
from db_migration.sides.epoch import Epoch
from tests.unit.db_migration.test_failover_plan import (
    ABCTL,
    COMPLETE,
    CW,
    NO_MIRROR,
    REPLICA,
    TBD,
    V1,
    V2,
    dead,
    host,
    runs,
)

THERE = Epoch(2, CW, REPLICA, "failover")
AWAY = replace(
    V2,
    servers=(
        ServerSeen(CW, answers=True, epoch=THERE, promoted=2),
        ServerSeen(TBD, answers=True, epoch=THERE, mirror=replace(COMPLETE, source=CW)),
    ),
    hosts=(
        host("prod", runs(ABCTL, f"standby-{TBD}", 2), compose="stopped"),
        host("replica", runs(REPLICA, f"active-{CW}", 2)),
    ),
)
"""Everything that was prod's died, was repaired, and stands by."""
COPYING = replace(COMPLETE, source=CW, copying=("public.late",))


def test_airbyte_and_database_go_home() -> None:
    plan = decide(AWAY, TBD, ABCTL)
    assert (plan.kind, plan.then) == (Kind.RETURN, Epoch(3, TBD, ABCTL, "failback"))
    assert set(plan.stop) == {ABCTL, REPLICA}
    assert plan.others == (REPLICA,)
    assert plan.words == ()
    assert "0 rows" in plan.rpo


def test_a_promotion_that_was_begun_keeps_its_number() -> None:
    begun = ServerSeen(TBD, answers=True, epoch=THERE, promoted=3, unfinished=True, begun=True)
    plan = decide(replace(AWAY, servers=(AWAY.servers[0], begun)), TBD, ABCTL)
    assert plan.then == Epoch(3, TBD, ABCTL, "failback")


def test_at_home_nothing_is_to_be_done() -> None:
    assert decide(V2, TBD, ABCTL).kind is Kind.NOTHING


def server(seen: Observed, place: int, changed: ServerSeen) -> Observed:
    servers = list(seen.servers)
    servers[place] = changed
    return replace(seen, servers=tuple(servers))


GONE = ServerSeen(TBD, answers=False, said="silent")


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (V1, "prod's database is `prod`"),
        (server(AWAY, 0, ServerSeen(CW, answers=True, epoch=THERE, said="no")), f"server {CW}"),
        (server(AWAY, 1, ServerSeen(TBD, answers=False, said="silent")), f"server {TBD}"),
        (server(AWAY, 1, replace(AWAY.servers[1], mirror=NO_MIRROR)), "is not complete"),
        (server(AWAY, 1, replace(AWAY.servers[1], mirror=COMPLETE)), f"follows {TBD}"),
        (server(AWAY, 1, replace(AWAY.servers[1], mirror=COPYING)), "not all rows of public.late"),
        (replace(AWAY, hosts=(dead("prod"), AWAY.hosts[1])), f"host prod of {ABCTL}"),
        (replace(AWAY, hosts=(AWAY.hosts[0], dead("replica"))), f"host replica of {REPLICA}"),
        # At home as well: a death is a failover's, which asks for the operator's word.
        (replace(V2, hosts=(dead("prod"), V2.hosts[1])), f"host prod of {ABCTL}"),
        (server(V2, [s.name for s in V2.servers].index(TBD), GONE), f"server {TBD}"),
    ],
)
def test_what_is_in_the_way_is_named(seen: Observed, found: str) -> None:
    with pytest.raises(BlockedError) as refused:
        decide(seen, TBD, ABCTL)
    assert found in refused.value.found
    assert refused.value.way_out
