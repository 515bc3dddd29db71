"""The planner: what was observed -> the one next step. Pure: no clock, no I/O, no memory.

The agent observes, asks `next_step`, carries out that one step and observes again. It may be killed
before, inside or after any step, and the databases may change under it: only what is observed
counts.

Invariants (each is tested at every prefix of every plan):

1. Nothing is published before it has a replica identity: prod's own UPDATE and DELETE never fail.
2. A subscription is only made in a database whose mark names the slot's very starting point, so
   that copy and stream meet without a gap and without an overlap.
3. No slot is made while a subscription still names it: an old copy never eats a new slot's changes.
4. A slot that nothing can follow from is dropped at once: prod never keeps WAL for nobody.
5. The mirror is replaced by rename only, by a complete copy; a database that is neither empty nor
   marked as ours is never dropped, renamed or written to.
6. The working database is never replaced under a connected Airbyte.
7. A feed whose source is not the active database does nothing at all. While nobody can say which
   one is active (the target is away since before this process began), it drops its slot where that
   keeps too much, and does nothing else. That is safe whoever is active: only the target's own
   subscription reads this slot, and it costs that one a new copy at most; where the source was cut
   over or released there is none any more, and where a failover left it, nobody will read it. Left
   there it fills that server's disk, and the epoch is no help to a full one.
8. No copy is begun while the source's schema moves: an upgrade is one new copy, not forty.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from db_migration.agent import copies, hindrances, refusals
from db_migration.agent.state import Observed, Policy, Source, Subscription, Target, Working


class Step(StrEnum):
    """What the agent can do next."""

    WAIT = "wait"
    DROP_SLOT = "drop_slot"
    CREATE_ROLE = "create_role"
    BOUND_WAL = "bound_wal"
    SET_WAL_LEVEL = "set_wal_level"
    RESTART_SOURCE = "restart_source"
    START_SOURCE = "start_source"
    FORGET_RESTART = "forget_restart"
    PUBLISH = "publish"
    DROP_SEED = "drop_seed"
    SEED = "seed"
    SNAPSHOT = "snapshot"
    SWAP_SNAPSHOT = "swap_snapshot"
    SWAP_MIRROR = "swap_mirror"
    DROP_OLD_MIRROR = "drop_old_mirror"
    SUBSCRIBE = "subscribe"
    ENABLE = "enable"
    RECONNECT = "reconnect"
    DROP_SUBSCRIPTION = "drop_subscription"
    ADD_TABLES = "add_tables"
    ADVANCE_SEQUENCES = "advance_sequences"
    DROP_OLD_WORKING = "drop_old_working"
    DROP_NEXT_WORKING = "drop_next_working"
    CLONE_WORKING = "clone_working"
    SWAP_WORKING = "swap_working"
    ADMIT_READER = "admit_reader"
    START_READER = "start_reader"
    VERIFY = "verify"


@dataclass(frozen=True)
class Decision:
    """A step and, for people, why it is the next one."""

    step: Step
    why: str


EPOCH_UNKNOWN = "the target does not answer, and nobody else says which database is active"


def next_step(seen: Observed) -> Decision:
    """Return the next step of logical mode; raise BlockedError when only a person can go on.

    db_migration/snapshots/plan.py chooses the mode.
    """
    return first(seen) or _log_for_a_slot(seen) or _copy(seen) or _follow(seen)


def first(seen: Observed) -> Decision | None:
    """Return what comes before any copy, in whichever mode."""
    if seen.epoch_unknown:
        return _overfull(seen) or Decision(Step.WAIT, EPOCH_UNKNOWN)
    if seen.intent.released:
        return Decision(Step.WAIT, "the feed is released; `db-migration prepare` takes it up again")
    waits = hindrances.not_live(seen) or hindrances.paused(seen)
    if waits:
        return Decision(Step.WAIT, waits)
    return _admission(seen) or _source_first(seen) or _prepare(seen)


def _admission(seen: Observed) -> Decision | None:
    """Let the standby Airbyte in, and nobody else; of a database that was prod's, nobody."""
    working = seen.target.working if seen.target is not None else None
    if working is None or not working.admission_due:
        return None
    return Decision(Step.ADMIT_READER, "another Airbyte may enter here than the one standing by")


def _overfull(seen: Observed) -> Decision | None:
    """Drop a slot that would fill the disk of the server that it is on."""
    slot = seen.source.slot if seen.source is not None else None
    if slot is None or slot.retained_bytes <= seen.policy.max_retained_bytes:
        return None
    return Decision(Step.DROP_SLOT, "the slot keeps more WAL on the source than is allowed")


def _source_first(seen: Observed) -> Decision | None:
    """Put prod's health before the copy."""
    source = seen.source
    if source is None and seen.intent.restarting_source:
        return Decision(Step.START_SOURCE, "the source was stopped for `wal_level` and is not back")
    if source is None:
        return Decision(Step.WAIT, "the source does not answer; trying again")
    if (overfull := _overfull(seen)) is not None:
        return overfull
    for name, table in sorted(source.tables.items()):
        if table.published and not table.has_identity:
            return Decision(Step.PUBLISH, f"prod can not update {name}: published, no identity")
    if seen.intent.restarting_source and source.wal_level == "logical":
        return Decision(Step.FORGET_RESTART, "the source is back with `wal_level = logical`")
    return None


def _prepare(seen: Observed) -> Decision | None:
    """Make the source fit for a feed; changes nothing while the target can not be reached."""
    source, target = seen.source, seen.target
    if target is None:
        return Decision(Step.WAIT, "the target does not answer; trying again")
    if source is None:
        return Decision(Step.WAIT, "the source does not answer; trying again")
    if not target.mirror.exists and not target.seed.exists:
        raise refusals.no_mirror()
    refusals.refuse_foreign(target.mirror)
    refusals.refuse_released(source, seen.intent)
    if not source.role_ready:
        return Decision(Step.CREATE_ROLE, "the feed's role on the source is missing or incomplete")
    refusals.refuse_partly_read(source)
    return None


def _log_for_a_slot(seen: Observed) -> Decision | None:
    """Have the source write a log that can be followed, and bound what is kept of it."""
    if seen.source is None:
        return None
    if seen.source.publication_faults:
        raise refusals.unfit_publication(seen.source.publication_faults)
    return _wal_level(seen.source, seen.policy) or _wal_bound(seen.source)


def _wal_bound(source: Source) -> Decision | None:
    """Bound what a slot may keep, before there is one."""
    if source.wal_bounded:
        return None
    return Decision(Step.BOUND_WAL, "nothing keeps a forgotten slot from filling prod's disk")


def _wal_level(source: Source, policy: Policy) -> Decision | None:
    """Bring the source to `wal_level = logical`, as far as that is allowed."""
    if source.wal_level == "logical":
        if source.wal_level_fixed or source.wal_level_configured == "logical":
            return None
        why = "with `wal_level` reset and a slot of ours the source would not start again"
        return Decision(Step.SET_WAL_LEVEL, why)
    if source.wal_level_fixed:
        raise refusals.not_logical(
            source, "set on its command line", "change it there and restart it"
        )
    if not policy.allow_source_restart:
        way_out = (
            "set it by ALTER SYSTEM and restart it yourself, or have prod's database restarted "
        )
        way_out += "once: `allow_source_restart: true` with `source.host_control`"
        raise refusals.not_logical(source, "and may not be restarted by us", way_out)
    if source.wal_level_configured != "logical":
        return Decision(Step.SET_WAL_LEVEL, f"`wal_level` is `{source.wal_level}`")
    return Decision(Step.RESTART_SOURCE, "`wal_level = logical` is set and waits for a restart")


def _copy(seen: Observed) -> Decision | None:  # noqa: PLR0911 - a list of cases, first match wins
    """Bring about a mirror with an enabled subscription."""
    source, target = seen.source, seen.target
    if source is None or target is None:
        return None
    if target.subscription is not None:
        return _judge_subscription(source, target, target.subscription)
    if copies.resumable(target.mirror, source):
        return Decision(
            Step.SUBSCRIBE, "the mirror is a complete copy and its slot stands where it was taken"
        )
    if copies.resumable(target.seed, source):
        if target.old_mirror.exists:
            return Decision(Step.DROP_OLD_MIRROR, "the name for the replaced mirror is taken")
        return Decision(Step.SWAP_MIRROR, "the new copy is complete")
    if source.slot:
        refusals.refuse_read(source.slot)
        return Decision(Step.DROP_SLOT, "no copy can be followed from this slot")
    if target.seed.exists:
        return Decision(Step.DROP_SEED, "what is there of a new copy can not be completed")
    held = hindrances.holds_copy(seen)
    if held:
        return Decision(Step.WAIT, held)
    if not source.publication or not _all_published(source):
        return Decision(Step.PUBLISH, "not every table is published")
    return Decision(Step.SEED, "there is no copy that could be followed")


def _all_published(source: Source) -> bool:
    return all(table.published and table.has_identity for table in source.tables.values())


def _judge_subscription(
    source: Source, target: Target, subscription: Subscription
) -> Decision | None:
    """Keep a subscription that can follow, drop one that can not."""
    reason = copies.useless(source, target) or (copies.STUCK if subscription.stuck else None)
    if reason:
        return Decision(Step.DROP_SUBSCRIPTION, f"the mirror can not be followed further: {reason}")
    if not subscription.enabled:
        return Decision(Step.ENABLE, "the subscription is not enabled")
    if subscription.stalled:
        return Decision(Step.RECONNECT, "the subscription's worker does not stay alive")
    return None


def _follow(seen: Observed) -> Decision:
    """Keep what follows complete, ahead and proven."""
    source, target = seen.source, seen.target
    if source is None or target is None or target.mirror.mark is None:
        return Decision(Step.WAIT, "nothing to do")
    if target.old_mirror.exists:
        return Decision(Step.DROP_OLD_MIRROR, "the replaced mirror is not needed any more")
    if target.seed.exists:
        return Decision(Step.DROP_SEED, "the mirror follows; this copy is left over")
    late = sorted(set(source.tables) - set(target.mirror.mark.tables))
    if late:
        return Decision(Step.ADD_TABLES, f"new on the source: {', '.join(late)}")
    if target.sequences_behind:
        return Decision(Step.ADVANCE_SEQUENCES, "a sequence of the mirror is not far enough ahead")
    return (
        renew_working(target.working, seen)
        or (Decision(Step.VERIFY, "the last verification is old") if seen.verify_due else None)
        or Decision(Step.WAIT, "following")
    )


def renew_working(  # noqa: PLR0911 - a list of cases, first match wins
    working: Working | None, seen: Observed
) -> Decision | None:
    """Renew the working database when it is due and nobody is harmed."""
    if working is None:
        return None
    if seen.intent.reader_stopped and not (working.due and working.next_complete):
        return Decision(Step.START_READER, "the standby Airbyte was stopped for the swap")
    if working.old_exists:
        return Decision(
            Step.DROP_OLD_WORKING, "the replaced working database is not needed any more"
        )
    if not working.due or hindrances.holds_working(working, seen):
        if working.next_exists:
            return Decision(Step.DROP_NEXT_WORKING, "the clone is not wanted now")
        return None
    if working.next_complete:
        return Decision(Step.SWAP_WORKING, "the clone is complete")
    if working.next_exists:
        return Decision(Step.DROP_NEXT_WORKING, "the clone is not complete")
    return Decision(Step.CLONE_WORKING, "the working database is missing or old")
