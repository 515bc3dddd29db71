"""Which mode a feed is in, and the next step of snapshot mode. Pure: no clock, no I/O, no memory.

Snapshot mode is for a source that may not be restarted: a consistent copy is taken again and again
into a shadow database (`_seed`) and swapped in by rename. What it replaces (`_old`) is kept: the
next shadow starts from it, so that only what has changed is copied.

Invariants (each is tested at every prefix of every plan):

1. The source gets a role that reads, and nothing else.
2. A shadow is swapped in only with its mark, which is written after it was proven equal to its
   snapshot; a shadow without one is dropped.
3. A database is changed only while its mark is not that of a copy and it is not the mirror.
4. What is neither empty nor marked as ours is never dropped, renamed or written to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from db_migration.agent import copies, hindrances, plan
from db_migration.agent.plan import Decision, Step
from db_migration.agent.state import Database, Mark, Observed, Policy, Source, Target
from db_migration.config import Mode

BUSY = 2
"""A copy that takes longer than half its interval makes the interval longer: prod rests as long as
it is read."""


@dataclass(frozen=True)
class Choice:
    """A mode and, for people, why it is this one."""

    mode: Mode
    why: str


def chosen(seen: Observed) -> Choice | None:
    """Return the mode of a feed; of one whose source does not answer, what the mirror shows."""
    if seen.source is not None:
        return choose(seen.policy, seen.source.wal_level)
    mirror = seen.target.mirror if seen.target is not None else Database()
    if mirror.mark is None:
        return None
    mode = Mode.LOGICAL if taken(mirror) is None else Mode.SNAPSHOT
    return Choice(mode, "the mirror was made in it, and the source does not answer")


def choose(policy: Policy, wal_level: str) -> Choice:
    """Choose the mode: what is configured, or with `auto` what the source allows."""
    if policy.mode is not Mode.AUTO:
        return Choice(policy.mode, f"`mode` is `{policy.mode}`")
    if wal_level == "logical":
        return Choice(Mode.LOGICAL, "the source runs with `wal_level = logical`")
    if policy.allow_source_restart:
        return Choice(Mode.LOGICAL, "the source may be restarted once for `wal_level = logical`")
    return Choice(
        Mode.SNAPSHOT,
        f"the source runs with `wal_level = {wal_level}` and may not be restarted "
        "(`allow_source_restart` with `host_control` would allow it)",
    )


def next_step(seen: Observed) -> Decision:
    """Return the next step in whichever mode; raise BlockedError when only a person can go on."""
    source, target = seen.source, seen.target
    if source is None or choose(seen.policy, source.wal_level).mode is not Mode.SNAPSHOT:
        return plan.next_step(seen)
    decided = plan.first(seen)
    if decided is not None or target is None:
        return decided or Decision(Step.WAIT, "the target does not answer; trying again")
    return (
        _let_go(source, target)
        or _finish(source, target)
        or _take(seen, target)
        or _stand_by(seen, target)
        or Decision(Step.WAIT, "the next copy is not due yet")
    )


def _let_go(source: Source, target: Target) -> Decision | None:
    """End what logical mode has left: nobody reads its slot any more."""
    if target.subscription is not None:
        return Decision(Step.DROP_SUBSCRIPTION, "snapshot mode follows nothing")
    if source.slot is not None:
        return Decision(Step.DROP_SLOT, "snapshot mode reads no slot")
    return None


def _finish(source: Source, target: Target) -> Decision | None:
    """Swap in a shadow that was proven, drop one that was not; keep what the next starts from."""
    if target.seed.exists and taken(target.seed) is None:
        return Decision(Step.DROP_SEED, "what is there of a new copy can not be completed")
    if target.old_mirror.exists:
        base = taken(target.old_mirror)
        if target.seed.exists:
            return Decision(Step.DROP_OLD_MIRROR, "the name for the replaced mirror is taken")
        if base is None or schema_changed(base, source):
            return Decision(Step.DROP_OLD_MIRROR, "no new copy can start from the replaced mirror")
    if target.seed.exists:
        return Decision(Step.SWAP_SNAPSHOT, "the new copy equals its snapshot")
    return None


def _take(seen: Observed, target: Target) -> Decision | None:
    if not seen.copy_due:
        return None
    if held := hindrances.holds_copy(seen):
        return Decision(Step.WAIT, held)
    if taken(target.mirror) is None:
        return Decision(Step.SNAPSHOT, "there is no copy yet")
    return Decision(Step.SNAPSHOT, "the last copy is as old as the interval")


def _stand_by(seen: Observed, target: Target) -> Decision | None:
    return plan.renew_working(target.working, seen) if taken(target.mirror) is not None else None


def taken(database: Database) -> Mark | None:
    """Return the mark of a copy of a snapshot."""
    mark = database.mark
    return mark if mark is not None and mark.snapshot is not None else None


def schema_changed(mark: Mark, source: Source) -> str | None:
    """Say what the source has changed since a copy was made, so that it must be made anew."""
    if mark.snapshot is None:
        return copies.changed(mark, source)
    now = {name: table.fingerprint for name, table in source.tables.items()}
    return differs(mark, now, source.types)


def differs(mark: Mark, tables: Mapping[str, str], types: str) -> str | None:
    """Say how the definitions differ from those that the copy was made from."""
    if mark.types != types:
        return copies.NO_TABLE_CHANGED
    names = mark.tables.keys() | tables.keys()
    changed = sorted(name for name in names if mark.tables.get(name) != tables.get(name))
    return copies.TABLE_CHANGED.format(changed[0]) if changed else None


class Origin(StrEnum):
    """Where the rows of a table in the shadow come from."""

    SHADOW = "shadow"
    """They are there already."""
    MIRROR = "mirror"
    """From the mirror beside it: prod is not asked again."""
    SOURCE = "source"


def origins(
    wanted: Mapping[str, str], shadow: Mapping[str, str], mirror: Mapping[str, str]
) -> dict[str, Origin]:
    """Say where each table of the snapshot comes from, by rows and hashes only."""

    def origin(name: str) -> Origin:
        if shadow.get(name) == wanted[name]:
            return Origin.SHADOW
        return Origin.MIRROR if mirror.get(name) == wanted[name] else Origin.SOURCE

    return {name: origin(name) for name in wanted}


def seconds_left(interval: float, age: float | None, took: float) -> float:
    """Return how long to wait until the next copy is taken; 0 when it is due.

    `age` is that of the last snapshot, None if there is none; `took` how long its copy took. One
    from the future tells nothing: the clock was set back, and it would be waited for.
    """
    return max(max(interval, BUSY * took) - age, 0.0) if age is not None and age >= 0 else 0.0
