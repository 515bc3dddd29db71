"""What a failover decides: every host dead alone, in v1 and v2, and what only looks like it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db_migration.errors import BlockedError, ExitCode
from db_migration.failover.plan import Kind, Plan, decide
from db_migration.failover.state import HostSeen, InstanceSeen, MirrorSeen, Observed, ServerSeen
from db_migration.sides.epoch import Epoch
from db_migration.sides.hosts import InstanceStatus, Status

CW, TBD = "core-worker-01", "intermediary"
PROD, ABCTL, REPLICA = "airbyte-prod", "airbyte-prod-abctl", "airbyte-prod-backup-replica-2"
INITIAL = Epoch(0, "prod", PROD, "initial")
CUT_OVER = Epoch(1, TBD, ABCTL, "cut-over")
NO_MIRROR = MirrorSeen(complete=False)
COMPLETE = MirrorSeen(complete=True, source=TBD, lsn="0/2000", lag="last seen 12 bytes behind")


def runs(name: str, rendering: str, epoch: int = 0) -> InstanceStatus:
    return InstanceStatus(name=name, epoch=epoch, rendering=rendering, running=True)


def host(name: str, *instances: InstanceStatus, compose: str = "none") -> HostSeen:
    return HostSeen(name, Status(host=name, instances=instances, compose=compose))


def dead(name: str) -> HostSeen:
    return HostSeen(name, None, "Connection timed out")


V1 = Observed(
    initial=INITIAL,
    servers=(ServerSeen(CW, answers=True, mirror=replace(COMPLETE, source="prod")),),
    hosts=(host("prod", compose="running"), host("replica", runs(REPLICA, f"standby-{CW}"))),
    instances=(
        InstanceSeen(PROD, "compose", "prod"),
        InstanceSeen(REPLICA, "abctl", "replica", answers=True, healthy=True),
    ),
    prod_database_answers=True,
)
V2 = Observed(
    initial=INITIAL,
    servers=(
        ServerSeen(CW, answers=True, epoch=CUT_OVER, mirror=COMPLETE),
        ServerSeen(TBD, answers=True, epoch=CUT_OVER, promoted=1),
    ),
    hosts=(
        host("prod", runs(ABCTL, f"active-{TBD}", 1), compose="stopped"),
        host("replica", runs(REPLICA, f"standby-{CW}")),
    ),
    instances=(
        InstanceSeen(PROD, "compose", "prod"),
        InstanceSeen(ABCTL, "abctl", "prod", answers=True, healthy=True),
        InstanceSeen(REPLICA, "abctl", "replica", answers=True, healthy=True),
    ),
)


def with_server(seen: Observed, name: str, **change: object) -> Observed:
    found = (replace(s, **change) if s.name == name else s for s in seen.servers)  # type: ignore[arg-type]
    return replace(seen, servers=tuple(found))


def with_host(seen: Observed, new: HostSeen) -> Observed:
    return replace(seen, hosts=tuple(new if h.name == new.name else h for h in seen.hosts))


def with_instance(seen: Observed, name: str, **change: object) -> Observed:
    found = (replace(i, **change) if i.name == name else i for i in seen.instances)  # type: ignore[arg-type]
    return replace(seen, instances=tuple(found))


def without(seen: Observed, *lost: str) -> Observed:
    """Take a host away with everything that runs on it."""
    for name in lost:
        if seen.server(name) is not None:
            seen = with_server(seen, name, answers=False, epoch=None, said="no PostgreSQL")
            for instance in seen.instances:
                status = seen.status(instance)
                if status is not None and status.rendering == f"active-{name}":
                    seen = with_instance(seen, instance.name, healthy=False)
            continue
        seen = with_host(seen, dead(name))
        for instance in seen.instances:
            if instance.host == name and instance.answers is not None:
                seen = with_instance(seen, instance.name, answers=False, healthy=None)
        if name == "prod" and seen.prod_database_answers is not None:
            seen = replace(seen, prod_database_answers=False)
    return seen


HEALTHY_CASES = {
    "v1, all well": V1,
    "v2, all well": V2,
    "v1, replica's host dead": without(V1, "replica"),
    "v1, core-worker-01 dead": without(V1, CW),
    "v2, replica's host dead": without(V2, "replica"),
    "v2, core-worker-01 dead": without(V2, CW),
}


@pytest.mark.parametrize("seen", HEALTHY_CASES.values(), ids=HEALTHY_CASES)
def test_nothing_is_done_while_the_active_side_lives(seen: Observed) -> None:
    found = decide(seen)
    assert found.kind is Kind.NOTHING
    assert found.then == found.now
    assert found.evidence


MOVES: dict[str, tuple[Observed, Kind, Epoch, tuple[str, ...], tuple[str, ...]]] = {
    "v1, prod dead": (
        without(V1, "prod"), Kind.PROMOTE, Epoch(1, CW, REPLICA, "failover"),
        ("prod",), (REPLICA,),
    ),
    "v2, prod's host dead": (
        without(V2, "prod"), Kind.ATTACH, Epoch(2, TBD, REPLICA, "failover"), ("prod",), (),
    ),
    "v2, intermediary dead": (
        without(V2, TBD), Kind.PROMOTE, Epoch(2, CW, ABCTL, "failover"), (), (ABCTL, REPLICA),
    ),
    "v2, intermediary and prod's host dead": (
        without(V2, TBD, "prod"), Kind.PROMOTE, Epoch(2, CW, REPLICA, "failover"),
        ("prod",), (REPLICA,),
    ),
    "v2, a promotion that was begun for epoch 2": (
        with_server(without(V2, TBD), CW, promoted=2, begun=True, mirror=NO_MIRROR),
        Kind.PROMOTE, Epoch(2, CW, ABCTL, "failover"), (), (ABCTL, REPLICA),
    ),
    "v2, promoted in vain, copied to again, and now it is needed": (
        with_server(without(V2, TBD), CW, promoted=2, unfinished=True),
        Kind.PROMOTE, Epoch(3, CW, ABCTL, "failover"), (), (ABCTL, REPLICA),
    ),
    "v2, promoted in vain, the old database is back, its Airbyte is not": (
        with_host(with_server(V2, CW, promoted=2, begun=True), host("prod")),
        Kind.START, Epoch(3, TBD, ABCTL, "failover"), (), (),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "kind", "then", "words", "stop"), MOVES.values(), ids=list(MOVES))
def test_moves(
    seen: Observed, kind: Kind, then: Epoch, words: tuple[str, ...], stop: tuple[str, ...]
) -> None:
    found = decide(seen)
    assert (found.kind, found.then, found.words, found.stop) == (kind, then, words, stop)


def test_attaching_loses_nothing_and_a_promotion_says_what_is_known() -> None:
    assert decide(without(V2, "prod")).rpo.startswith("0 rows")
    promoted = decide(without(V2, TBD)).rpo
    assert "0/2000" in promoted
    assert "12 bytes" in promoted


def test_the_operators_word_does_not_change_the_plan() -> None:
    seen = without(V2, "prod")
    assert decide(replace(seen, down=frozenset({"prod"}))).words == decide(seen).words


@pytest.mark.parametrize(
    ("status", "unfinished"),
    [(host("prod"), False), (V2.host("prod"), True)],
    ids=["Airbyte is down", "the failover was killed after its epoch"],
)
def test_a_stopped_airbyte_on_a_living_host_is_started_and_nothing_moves(
    status: HostSeen, unfinished: bool
) -> None:
    found = decide(with_host(with_server(V2, TBD, unfinished=unfinished), status))
    assert found.kind is Kind.START
    assert found.then == CUT_OVER
    assert not found.words
    assert not found.moves


def failed_over(seen: Observed) -> Observed:
    """The world after core-worker-01 was promoted and the replica runs on it."""
    then = Epoch(2, CW, REPLICA, "failover")
    seen = with_server(seen, CW, epoch=then, promoted=2, mirror=NO_MIRROR)
    return with_host(seen, host("replica", runs(REPLICA, f"active-{CW}", 2)))


def test_the_return_of_the_old_side_changes_nothing() -> None:
    found = decide(failed_over(V2))
    assert found.kind is Kind.NOTHING
    assert found.now.epoch == 2


def test_a_mirror_that_lacks_rows_of_new_tables_is_promoted_where_there_is_no_other() -> None:
    caught = replace(COMPLETE, source="prod", lsn="0/3000", copying=("public.late",))
    alone = without(with_server(V1, CW, mirror=caught), "prod")
    assert decide(alone).then.database == CW
    whole = ServerSeen(TBD, answers=True, mirror=replace(COMPLETE, source="prod"))
    assert decide(replace(alone, servers=(*alone.servers, whole))).then.database == TBD


def test_a_second_failover_goes_back_after_a_rebuild() -> None:
    back = with_server(
        failed_over(V2), TBD, epoch=Epoch(2, CW, REPLICA, "failover"), promoted=0,
        mirror=MirrorSeen(complete=True, source=CW, lsn="0/9000"),
    )  # fmt: skip
    back = with_host(back, host("prod", runs(ABCTL, f"standby-{TBD}", 2)))
    assert decide(without(back, CW)).then == Epoch(3, TBD, REPLICA, "failover")
    assert decide(without(back, "replica")).then == Epoch(3, CW, ABCTL, "failover")


REFUSED: dict[str, tuple[Observed, str]] = {
    "both servers dead": (without(V2, CW, TBD), "told epoch 1"),
    "both servers dead, and the hosts know nothing": (
        with_host(without(V2, CW, TBD), host("prod", compose="stopped")), "compose on it is stopped"
    ),
    "intermediary dead, and the mirror followed somebody else": (
        with_server(without(V2, TBD), CW, mirror=replace(COMPLETE, source="prod")),
        "nobody has a complete copy",
    ),
    "intermediary dead, no mirror": (
        with_server(without(V2, TBD), CW, mirror=NO_MIRROR),
        "nobody has a complete copy",
    ),
    "both Airbyte hosts dead": (without(V2, "prod", "replica"), "no other abctl-managed Airbyte"),
    "v1, prod's and replica's host dead": (without(V1, "prod", "replica"), "no other abctl"),
    "partition: prod still reaches the database that we do not": (
        with_server(V2, TBD, answers=False), "still reaches it"
    ),
    "partition: SSH is cut, HTTP is not": (
        with_host(V2, dead("prod")), "answers over HTTP"
    ),
    "v1, SSH is cut, the tunnel is not": (
        replace(without(V1, "prod"), prod_database_answers=True), "but its database does"
    ),
    "the database answers and refuses us": (
        with_server(V2, TBD, said="password authentication failed"), "does not let us in"
    ),
    "epoch behind: only a host knows the newest": (
        without(failed_over(V2), CW), "told epoch 2"
    ),
    "epoch behind: who knows it does not let us in": (
        with_server(failed_over(V2), CW, epoch=None, said="too many clients"),
        f"one that does not ({CW}: too many clients)",
    ),
    "v1, compose stopped on a living host": (
        with_host(V1, host("prod", compose="stopped")), "not a dead host"
    ),
    "Airbyte runs, its API does not answer": (
        with_instance(V2, ABCTL, healthy=False), "not healthy"
    ),
    "false word": (replace(V2, down=frozenset({"prod"})), "`--host-is-down prod`, but"),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "said"), REFUSED.values(), ids=list(REFUSED))
def test_refusals(seen: Observed, said: str) -> None:
    with pytest.raises(BlockedError) as refused:
        decide(seen)
    assert said in refused.value.found
    assert refused.value.way_out
    assert refused.value.exit_code == ExitCode.CHECK_FAILED


EVERYTHING = [*HEALTHY_CASES.values(), *(case[0] for case in MOVES.values())]


@pytest.mark.parametrize("seen", EVERYTHING)
def test_nothing_is_promoted_while_the_active_database_answers(seen: Observed) -> None:
    found: Plan = decide(seen)
    active = seen.server(found.now.database)
    if active is not None and active.answers:
        assert found.kind is not Kind.PROMOTE
    if found.moves and found.now.airbyte not in (*found.stop, found.then.airbyte):
        assert seen.instance(found.now.airbyte).host in found.words
