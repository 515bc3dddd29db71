"""What to do about a dead host: what was observed -> one decision. Pure: no clock, no I/O.

Rules (each is a row of tests/unit/db_migration/test_failover_plan.py):

1. The highest epoch that anybody knows decides who is active. When only a host knows it, its
   database server is among those that do not answer, and every other copy is old: refuse.
2. While the active database answers, to us or to its Airbyte, nothing is promoted.
3. A dead host is not a stopped Airbyte: on a host that answers it is started, nothing moves.
4. Nobody takes over before the former active Airbyte is fenced: its host carries out `stop`, or the
   operator says that the host is down. A host that answers anything is not down.
5. Only a complete mirror that followed the active database is promoted, one that lacks rows of
   tables which came late only where there is no other; or what a cut-over has promoted, which was
   equal to it and which nobody has entered.
6. A promotion that was begun is gone on with, or passed over by a new epoch, so that what was
   promoted in vain is never taken for live.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from db_migration.errors import BlockedError
from db_migration.failover.state import (
    ABCTL,
    InstanceSeen,
    Observed,
    ServerSeen,
    compose_again,
    copy_of,
    evidence,
)
from db_migration.sides.epoch import Epoch

REASON = "failover"


class Kind(StrEnum):
    """What a plan comes to."""

    NOTHING = "nothing to do"
    START = "start"
    ATTACH = "attach"
    PROMOTE = "promote"
    RETURN = "failback"


@dataclass(frozen=True)
class Plan:
    """What is to be done; `now` holds before, `then` afterwards."""

    kind: Kind
    why: str
    now: Epoch
    then: Epoch
    evidence: tuple[str, ...]
    rpo: str = "0 rows: the database stays"
    stop: tuple[str, ...] = ()
    """Instances to be stopped before anything else; their hosts answer."""
    words: tuple[str, ...] = ()
    """Hosts that must be down, which only the operator can say."""
    others: tuple[str, ...] = ()
    """Instances that are set `stopped` once the epoch is recorded."""

    @property
    def keeps(self) -> bool:
        """Tell whether the database stays, so that no row can be lost."""
        return self.then.database == self.now.database

    @property
    def moves(self) -> bool:
        """Tell whether a new epoch begins."""
        return self.then.epoch > self.now.epoch


def decide(seen: Observed) -> Plan:
    """Return the plan; raise BlockedError, with the way out, where nothing may be done."""
    _refuse_false_word(seen)
    _refuse_behind(seen)
    now = seen.now
    active = seen.server(now.database)
    if active is None:
        return _compose(seen)
    if not active.answers:
        return _promote(seen)
    if active.said:
        raise BlockedError(
            found=f"server {active.name} answers, but does not let us in: {active.said}",
            needed="a server that lets us in, or one that is dead",
            way_out=f"look at {active.name}: a server that answers is alive, and is not replaced",
        )
    instance = seen.instance(now.airbyte)
    if not seen.host(instance.host).answers:
        return _attach(seen, instance)
    return _at_home(seen, active, instance)


def _refuse_false_word(seen: Observed) -> None:
    for name in sorted(seen.down):
        living = [i.name for i in seen.instances if i.host == name and i.answers]
        if seen.host(name).answers or living:
            who = "its hostctl" if seen.host(name).answers else f"{living[0]}, over HTTP,"
            raise BlockedError(
                found=f"`--host-is-down {name}`, but {who} answers",
                needed="a host that is really down, so that nothing on it writes any more",
                way_out=f"leave the option away, or switch {name} off first",
            )


def _refuse_behind(seen: Observed) -> None:
    """Keep away from old copies: a host that was told a higher epoch knows better."""
    told = [
        (status.epoch, host.name)
        for host in seen.hosts
        if host.status is not None
        for status in host.status.instances
    ]
    highest, host_name = max(told, default=(0, ""))
    if highest > seen.now.epoch:
        unread = [f"{one.name}: {one.said}" for one in seen.servers if one.said]
        raise BlockedError(
            found=f"host {host_name} was told epoch {highest}, and no server that lets us in knows "
            f"more than epoch {seen.now.epoch}: the newest data are on one that does not "
            f"({'; '.join(unread) or 'none'})",
            needed=f"the database server that became active with epoch {highest}",
            way_out="bring it back, or have it let us in; what is left is older",
        )


def _compose(seen: Observed) -> Plan:
    """Judge compose, whose database lives and dies with its host."""
    now = seen.now
    host = seen.host(seen.instance(now.airbyte).host)
    if host.status is not None and host.status.compose == "running":
        return _nothing(seen)
    if host.status is not None:
        raise BlockedError(
            found=f"host {host.name} answers, and compose on it is {host.status.compose}: "
            "this is not a dead host",
            needed="a running compose, or a host that is down",
            way_out=compose_again(host.name),
        )
    if seen.prod_database_answers:
        raise BlockedError(
            found=f"host {host.name} does not answer on SSH, but its database does",
            needed="a host that is dead, or one that can be commanded",
            way_out="mend SSH to it (`hostctl authorize agent`), or switch the host off",
        )
    return _promote(seen)


def _at_home(seen: Observed, active: ServerSeen, instance: InstanceSeen) -> Plan:
    """Database and host are there: is the Airbyte?"""
    status, now = seen.status(instance), seen.now
    serves = status is not None and status.running and status.rendering == active_on(active.name)
    vain = seen.begun
    if serves and not active.unfinished and vain is None:
        if instance.healthy is False:
            raise BlockedError(
                found=f"host {instance.host} says that {instance.name} runs on {active.name}, but "
                "its API is not healthy from here",
                needed="an Airbyte that serves, or one that does not run",
                way_out=f"look at it on {instance.host} (`hostctl status`); `hostctl stop abctl` "
                "there and this command starts it anew; or switch the host off and come back",
            )
        return _nothing(seen)
    why = f"{instance.host} and {active.name} answer; {instance.name} is started, nothing moves"
    if active.unfinished:
        why = f"epoch {now.epoch} is recorded, and its failover has not come to its end"
    then = now
    if vain is not None:
        why += f"; {vain.name} was promoted in vain: a new epoch says so"
        then = Epoch(seen.next_number, active.name, instance.name, REASON)
    others = seen.misplaced(instance.name, active.name)
    return Plan(Kind.START, why, now, then, evidence(seen), others=others)


def _attach(seen: Observed, lost: InstanceSeen) -> Plan:
    """Let another Airbyte take over on the database that is alive."""
    now = seen.now
    _refuse_living(seen, lost)
    chosen = _successor(seen, lost)
    why = f"host {lost.host} does not answer, {now.database} does: {chosen} attaches to it"
    then = Epoch(seen.next_number, now.database, chosen, REASON)
    others = seen.misplaced(chosen, now.database)
    words = (lost.host,)
    return Plan(Kind.ATTACH, why, now, then, evidence(seen), words=words, others=others)


def _promote(seen: Observed) -> Plan:
    """Let the mirror of another server become the live database."""
    now = seen.now
    active = seen.instance(now.airbyte)
    reached = seen.host(active.host).answers
    if active.healthy:
        raise BlockedError(
            found=f"{now.database} does not answer from here, but {active.name} still reaches it",
            needed="a database server that is dead for everybody",
            way_out=f"mend the path from here to {now.database}; nothing else is broken",
        )
    if not reached:
        _refuse_living(seen, active)
    survivor = _survivor(seen)
    before = survivor in {seen.begun, seen.cut_over_to}
    number = survivor.promoted if before else seen.next_number
    stays = reached and active.kind == ABCTL
    chosen = active.name if stays else _successor(seen, active)
    why = f"{now.database} does not answer: the mirror of {survivor.name} takes its place"
    return Plan(
        Kind.PROMOTE,
        why + ("" if stays else f", and {chosen} runs on it"),
        now,
        Epoch(number, survivor.name, chosen, REASON),
        evidence(seen),
        rpo=_lost(seen, survivor),
        stop=seen.to_stop(active),
        words=() if reached else (active.host,),
        others=seen.misplaced(chosen, survivor.name),
    )


def _lost(seen: Observed, survivor: ServerSeen) -> str:
    if survivor is seen.cut_over_to:
        return f"0 rows, unless a cut-over was taken back while {survivor.name} was away"
    return (
        f"what {seen.now.database} committed after "
        f"{survivor.mirror.lsn or 'the last change applied'}; "
        f"{survivor.mirror.lag or 'nobody has noted how far behind the mirror was'}"
    )


def active_on(server: str) -> str:
    """Return the rendering of an Airbyte that runs on the live database of a server."""
    return f"active-{server}"


def _nothing(seen: Observed) -> Plan:
    now = seen.now
    silent = [server.name for server in seen.servers if not server.answers]
    silent += [host.name for host in seen.hosts if not host.answers]
    why = f"{now.airbyte} runs on {now.database}"
    if silent:
        why += (
            f". Not needed for that, and silent: {', '.join(silent)}; `db-migration rebuild` "
            "brings redundancy back once they answer"
        )
    return Plan(Kind.NOTHING, why, now, now, evidence(seen))


def _refuse_living(seen: Observed, lost: InstanceSeen) -> None:
    if lost.answers:
        raise BlockedError(
            found=f"host {lost.host} does not answer on SSH, but {lost.name} answers over HTTP",
            needed="a host that is dead, or one that can be commanded",
            way_out="mend SSH to it (`hostctl authorize agent`), or switch the host off",
        )


def _successor(seen: Observed, lost: InstanceSeen) -> str:
    """Return the Airbyte that can take over from another host."""
    able = [
        instance
        for instance in seen.instances
        if instance.kind == ABCTL
        and instance.name != lost.name
        and seen.host(instance.host).answers
    ]
    able = [instance for instance in able if instance.host != lost.host]
    if not able:
        raise BlockedError(
            found=f"{lost.name} can not go on, and no other abctl-managed Airbyte has a host that "
            "answers",
            needed="a host that answers, with an Airbyte on it",
            way_out="bring one of the hosts back; the databases are not touched meanwhile",
        )
    return able[0].name


def _survivor(seen: Observed) -> ServerSeen:
    """Return the server to promote: the one that was begun with, else the furthest mirror, else
    what a cut-over has promoted.
    """
    now = seen.now
    answering = [server for server in seen.servers if server.answers]
    begun = [server for server in answering if server is seen.begun]
    whole = [s for s in answering if s.mirror.complete and s.mirror.source == now.database]
    if not begun and not whole and seen.cut_over_to is not None:
        return seen.cut_over_to
    if not begun and not whole:
        known = (
            "; ".join(f"{s.name}: {copy_of(s)}" for s in answering) or "no server answers at all"
        )
        raise BlockedError(
            found=f"{now.database} does not answer, and nobody has a complete copy of it ({known})",
            needed=f"{now.database}, or a complete mirror that has followed it",
            way_out=f"bring {now.database} back; without a copy there is nothing to promote",
        )
    return (
        begun[0] if begun else max(whole, key=lambda s: (not s.mirror.copying, s.mirror.position))
    )
