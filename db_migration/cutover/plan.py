"""The cut-over's planner: what was observed -> the one next step, forwards or back. Pure.

The point of no return is the first write that the new side accepts. It can come after ADMIT at the
earliest: before that, going back is certain; after it, only if both sides are compared and equal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Step(StrEnum):
    """What the cut-over does, in its order."""

    PAUSE = "pause the feeds"
    DRAIN = "drain jobs"
    FENCE = "fence compose"
    CATCH_UP = "wait until both copies are equal, set sequences"
    VERIFY = "verify exactly"
    CLOSE = "detach the feeds, close prod's database"
    PROMOTE = "promote the mirror"
    HAND_OVER = "hand the other mirror over to it"
    ADVANCE = "new epoch"
    RESUME = "resume the feeds"
    ADMIT = "admit the new Airbyte"
    ACTIVATE = "activate the new Airbyte"
    PROVE = "touch and prove connections"
    DONE = "done"


class Back(StrEnum):
    """What puts compose back as it was, in its order."""

    HOLD = "pause the feeds"
    SHUT_OUT = "shut out the new Airbyte"
    OPEN = "open prod's database"
    COMPARE = "compare: has the new side taken a write?"
    ROLL_BACK = "epoch of the roll-back"
    START = "start compose"
    DEACTIVATE = "put the new Airbyte back to `prepared`"
    RELEASE = "resume the feeds"
    DONE = "done"


@dataclass(frozen=True)
class Seen:
    """What was observed at the start, and what this process has done since."""

    compose_runs: bool
    prod_open: bool
    paused: bool = False
    drained: bool = False
    caught_up: bool = False
    verified: bool = False
    renamed: bool = False
    """The mirror has become prod's database, if perhaps not to the last step of its promotion."""
    promoted: bool = False
    handed_over: bool = False
    recorded: bool = False
    """The epoch of this cut-over is the current one."""
    resumed: bool = False
    admitted: bool = False
    activated: bool = False
    proven: bool = False
    tried: bool = False
    """Whether the new Airbyte may ever have been let in."""
    compared: bool = False
    rolled_back: bool = False
    """The epoch says that compose is active again."""
    deactivated: bool = False


def next_step(seen: Seen) -> Step:
    """Return the next step forwards."""
    if seen.recorded:
        return _after(seen)
    if not seen.paused:
        return Step.PAUSE
    if seen.compose_runs:
        return Step.FENCE if seen.drained or not seen.prod_open else Step.DRAIN
    if seen.prod_open and not seen.renamed:
        return _prove_equal(seen)
    if not seen.promoted:
        return Step.PROMOTE
    return Step.ADVANCE if seen.handed_over else Step.HAND_OVER


def _prove_equal(seen: Seen) -> Step:
    """Closing prod's database is the proof, for a later life, that the copies were equal."""
    if not seen.caught_up:
        return Step.CATCH_UP
    return Step.CLOSE if seen.verified else Step.VERIFY


def _after(seen: Seen) -> Step:
    for done, step in (
        (seen.resumed, Step.RESUME),
        (seen.admitted, Step.ADMIT),
        (seen.activated, Step.ACTIVATE),
        (seen.proven, Step.PROVE),
    ):
        if not done:
            return step
    return Step.DONE


DONE_BY: dict[Step, str] = {
    Step.PAUSE: "paused",
    Step.DRAIN: "drained",
    Step.CATCH_UP: "caught_up",
    Step.VERIFY: "verified",
    Step.HAND_OVER: "handed_over",
    Step.ADVANCE: "recorded",
    Step.RESUME: "resumed",
    Step.ADMIT: "admitted",
    Step.ACTIVATE: "activated",
    Step.PROVE: "proven",
}


def done(seen: Seen, step: Step) -> Seen:
    """Return what is known once the step has succeeded."""
    if step is Step.FENCE:
        return replace(seen, compose_runs=False, caught_up=False, verified=False)
    if step is Step.PROMOTE:
        return replace(seen, renamed=True, promoted=True)
    if step is Step.CLOSE:
        return replace(seen, prod_open=False)
    return replace(seen, **{DONE_BY[step]: True})


def remaining(seen: Seen) -> list[Step]:
    """Return the steps that are left, if each succeeds."""
    found: list[Step] = []
    while (step := next_step(seen)) is not Step.DONE:
        found.append(step)
        seen = done(seen, step)
    return found


def may_go_back(step: Step) -> bool:
    """Tell whether a failure of this step puts compose back (after ADMIT: if that is possible)."""
    return step is not Step.PROVE


def next_back(seen: Seen) -> Back:
    """Return the next step back; COMPARE has to fail if the new side has taken a write.

    The epoch is written before compose may start: whoever comes later must not go forwards from a
    mirror that was promoted for a cut-over that never was. What only the new server could do comes
    last, for it may be what has failed.
    """
    if not seen.rolled_back and seen.recorded:
        return _take_back(seen)
    if not seen.rolled_back and seen.renamed:
        return Back.ROLL_BACK
    for needed, step in (
        (not seen.prod_open, Back.OPEN),
        (not seen.compose_runs, Back.START),
        (seen.rolled_back and not seen.deactivated, Back.DEACTIVATE),
        (not seen.resumed, Back.RELEASE),
    ):
        if needed:
            return step
    return Back.DONE


def _take_back(seen: Seen) -> Back:
    """Prove that the new side, which may have been let in, has taken nothing."""
    for needed, step in (
        (not seen.paused, Back.HOLD),
        (seen.tried and seen.admitted, Back.SHUT_OUT),
        (seen.tried and not seen.prod_open, Back.OPEN),
        (seen.tried and not seen.compared, Back.COMPARE),
    ):
        if needed:
            return step
    return Back.ROLL_BACK


def back_done(seen: Seen, step: Back) -> Seen:
    """Return what is known once the step back has succeeded."""
    known = {
        Back.HOLD: replace(seen, paused=True, resumed=False),
        Back.SHUT_OUT: replace(seen, admitted=False),
        Back.OPEN: replace(seen, prod_open=True),
        Back.COMPARE: replace(seen, compared=True),
        Back.ROLL_BACK: replace(seen, rolled_back=True),
        Back.START: replace(seen, compose_runs=True),
        Back.DEACTIVATE: replace(seen, deactivated=True),
        Back.RELEASE: replace(seen, resumed=True),
        Back.DONE: seen,
    }
    return known[step]
