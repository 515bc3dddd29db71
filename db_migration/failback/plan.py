"""May prod go home, and how: what was observed -> one decision. Pure: no clock, no I/O.

A failover is for the dead, a failback for the living: whatever does not answer, or has not come to
its end, forbids it.
"""

from __future__ import annotations

from db_migration.errors import BlockedError
from db_migration.failover import plan as failover_plan
from db_migration.failover.plan import Kind, Plan
from db_migration.failover.state import Observed, ServerSeen, copy_of, evidence
from db_migration.sides.epoch import Epoch

REASON = "failback"
LOOK = "`db-migration failover --dry-run` says what it sees; then the same again"


def decide(seen: Observed, database: str, airbyte: str) -> Plan:
    """Return the plan that leads to `airbyte` on `database`; raise BlockedError if it must not."""
    now = seen.now
    _living(seen, now.database)
    _hosts_answer(seen, now.airbyte, airbyte)
    if (now.database, now.airbyte) == (database, airbyte):
        return failover_plan.decide(seen)  # at home; at most it is not started yet
    begun = seen.begun
    if begun is not None and begun.name != database:
        raise BlockedError(
            found=f"a failover to {begun.name} has not come to its end",
            needed="one that has",
            way_out="`db-migration failover` goes on with it; then the same again",
        )
    if database != now.database and begun is None:
        _complete(seen, _living(seen, database))
    moved = [
        f"{was} -> {then}"
        for was, then in ((now.airbyte, airbyte), (now.database, database))
        if was != then
    ]
    return Plan(
        Kind.RETURN,
        f"everything answers: {', '.join(moved)}",
        now,
        Epoch(begun.promoted if begun else seen.next_number, database, airbyte, REASON),
        evidence(seen),
        rpo="0 rows: nobody writes while the last changes are applied",
        stop=seen.to_stop(seen.instance(now.airbyte)),
        others=seen.misplaced(airbyte, database),
    )


def _living(seen: Observed, name: str) -> ServerSeen:
    server = seen.server(name)
    if server is None:
        raise BlockedError(
            found=f"prod's database is `{name}`, which is none of our servers",
            needed="a prod that was cut over",
            way_out="`db-migration cutover` is the way there",
        )
    if not server.answers or server.said:
        raise BlockedError(
            found=f"server {name} does not let us in: {server.said}",
            needed="one that does",
            way_out=LOOK,
        )
    return server


def _hosts_answer(seen: Observed, *airbytes: str) -> None:
    for name in airbytes:
        host = seen.host(seen.instance(name).host)
        if not host.answers:
            raise BlockedError(
                found=f"host {host.name} of {name} does not answer: {host.said}",
                needed="both hosts, so that one Airbyte is stopped before the other starts",
                way_out=LOOK,
            )


def _complete(seen: Observed, server: ServerSeen) -> None:
    mirror = server.mirror
    follows = mirror.follows or server.unfinished  # let go of by an earlier life: the proof tells
    whole = mirror.complete and follows and not mirror.snapshot and not mirror.copying
    if not whole or mirror.source != seen.now.database:
        raise BlockedError(
            found=f"server {server.name}: {copy_of(server)}",
            needed=f"a complete mirror there that follows {seen.now.database}",
            way_out="`db-migration rebuild` makes it; `db-migration status` says when it follows",
        )
