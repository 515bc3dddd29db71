"""What slots may keep on the source's disk, and whose slots a bound would end. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from db_migration.preflight.checklist import UNKNOWN, Check, Result, judged, named, sized
from db_migration.preflight.facts import SourceFacts

SMALLEST_BOUND = 64 * 1024**2
"""Four segments of WAL; below that a slot is lost nearly as soon as prod writes."""


def checks(
    facts: SourceFacts, retained: int, free: int | None, *, follows: bool
) -> Iterator[Check]:
    """Judge the bound on WAL that slots keep; `retained` is ours, `free` the disk of the host."""
    yield _wal_bound(facts, retained, free, follows=follows)
    yield _other_slots(facts, retained, follows=follows)
    yield _wal_headroom(retained, free, follows=follows)


def _bounded(facts: SourceFacts) -> bool:
    return facts.wal_bound is not None and facts.wal_bound >= 0


def _wal_bound(facts: SourceFacts, retained: int, free: int | None, *, follows: bool) -> Check:
    result, found = _judge_bound(facts, retained, free)
    return Check(
        id="source.wal_bound",
        title="A forgotten slot can not fill the source's disk",
        result=result if follows else Result.NOT_APPLICABLE,
        found=found,
        needed="`max_slot_wal_keep_size` bounded by the server itself: not below its "
        f"`max_wal_size`, and not above both `max_retained_wal_bytes` ({sized(retained)}) and what "
        "is free on its disk",
        why="the agent drops its slot in time, but an agent on a dead host can not; with a bound "
        "too small the slot is lost, and the copy made anew, again and again",
        way_out="set max_slot_wal_keep_size on the source (`prepare` sets it to "
        "`max_retained_wal_bytes` where there is none), or use a role that may",
    )


def _judge_bound(facts: SourceFacts, retained: int, free: int | None) -> tuple[Result, str]:
    bound = facts.wal_bound
    if bound is None:
        return Result.WARNING, UNKNOWN
    found = f"{sized(bound)} at most"
    if not _bounded(facts):
        if not facts.can_bound:
            return Result.WARNING, "no bound, and this role can not set one"
        bound, found = retained, f"no bound yet; `prepare` sets {sized(retained)}"
    if bound < SMALLEST_BOUND:
        return Result.FAIL, f"{found}: too little for any slot"
    if facts.max_wal_size is not None and bound < facts.max_wal_size:
        size = sized(facts.max_wal_size)
        return Result.WARNING, f"{found}: prod may write {size} from one checkpoint to the next"
    if bound > retained and (free is None or bound > free):
        disk = "what its disk has free is not known" if free is None else f"{sized(free)} are free"
        return Result.WARNING, f"{found}: {disk}"
    return Result.PASS, found


def _other_slots(facts: SourceFacts, retained: int, *, follows: bool) -> Check:
    slots = facts.other_slots
    beyond = any(kept > retained for kept in (slots or {}).values())
    result = judged(None if slots is None else not slots, Result.FAIL if beyond else Result.WARNING)
    found = named(f"`{name}` keeps {sized(kept)}" for name, kept in (slots or {}).items())
    if not follows:
        result = Result.NOT_APPLICABLE
    elif _bounded(facts) or facts.can_bound is False:
        result, found = Result.PASS, f"{found}; `prepare` sets no bound on them"
    return Check(
        id="source.other_slots",
        title="No slot of somebody else is ended by our bound",
        result=result,
        found=UNKNOWN if slots is None else found,
        needed=f"none; none that keeps more than {sized(retained)} (`max_retained_wal_bytes`)",
        why="`prepare` sets `max_slot_wal_keep_size`, which holds for every slot of the server: "
        "one that is further behind is lost, and its consumer can not go on",
        way_out="let their consumers catch up, drop the slots that nobody needs, or set "
        "max_slot_wal_keep_size on the source as all of them need it: `prepare` then leaves it",
    )


def _wal_headroom(retained: int, free: int | None, *, follows: bool) -> Check:
    return Check(
        id="source.wal_headroom",
        title="Room on the source's disk for the WAL that a slot may keep",
        result=judged(None if free is None else free > retained)
        if follows
        else Result.NOT_APPLICABLE,
        found=f"{sized(free)} free on the source's host" if free is not None else UNKNOWN,
        needed=f"more than {sized(retained)} (`max_retained_wal_bytes`)",
        why="while the target is away, prod's server keeps WAL up to that bound",
        way_out="lower `max_retained_wal_bytes`, or make room"
        if free is not None
        else "look on the source's host (`df`); `source.host_control` lets the agent ask it",
    )
