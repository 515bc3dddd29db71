"""A rehearsal's decisions: may it be held, what is left of one that died. Pure.

The clone takes the working database's place by rename, so that the standby's own rendering is
installed on it: what is tried is what a failover would run, but for the workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What a rehearsal does, in its order; from REMOVE on it takes everything back."""

    CLONE = "clone the mirror"
    STOP = "stop the standby"
    SWAP = "put the clone in the working database's place"
    INSTALL = "install the replica on it"
    CHECK = "check it"
    REMOVE = "stop it, put the working database back, drop the clone"
    RESUME = "start the standby as it was"


RTO = (Step.STOP, Step.SWAP, Step.INSTALL)
"""What a failover does, too: a promotion renames, and has nothing to clone."""


@dataclass(frozen=True)
class Seen:
    """What was observed before."""

    standby: str | None
    """The Airbyte that stands by; None when nobody does."""
    host: str = ""
    host_said: str = ""
    """Why its host does not answer; empty when it does."""
    rendering: str = ""
    wanted: str = ""
    runs: bool = False
    follows: bool = True
    """The mirror is a complete copy that follows the active database."""
    working: bool = True
    """The working database is a clone of ours."""


class Leftover(StrEnum):
    """What a rehearsal that died has left behind, and what removes it."""

    NOTHING = "nothing"
    STOPPED = "the standby is stopped: it is started"
    SWAPPED = "the clone is in place: the working database is put back"
    ORPHAN = "the working database has become another: the one set aside is dropped"


def against(seen: Seen) -> list[str]:
    """Say what forbids a rehearsal."""
    if seen.standby is None:
        return ["no Airbyte stands by: the replica is active, or there is none"]
    if seen.host_said:
        return [f"{seen.standby}'s host {seen.host} does not answer: {seen.host_said}"]
    why = []
    if seen.rendering != seen.wanted:
        why.append(f"{seen.standby} is `{seen.rendering or 'not installed'}`, not `{seen.wanted}`")
    elif not seen.runs:
        why.append(f"{seen.standby} does not run")
    if not seen.follows:
        why.append("the mirror is no complete copy that follows")
    if not seen.working:
        why.append("there is no working database of ours to set aside")
    return why


def leftover(*, under_way: bool, set_aside: bool, working: bool, mine: bool) -> Leftover:
    """Judge what is there: a note that one began, the database set aside, whose is in place.

    `mine`: the same Airbyte still stands by here. If not, a failover has taken the clone away, and
    stopping anything would stop prod.
    """
    if set_aside:
        return Leftover.SWAPPED if working and mine else Leftover.ORPHAN
    return Leftover.STOPPED if under_way else Leftover.NOTHING
