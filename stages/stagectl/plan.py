"""The promotion as a pure planner: observed state in, one next step out. No I/O.

The invariant: at every moment each resource is tracked by at least one of the two stacks, and
both backups exist before the first of them is changed. So a promotion may be killed anywhere and
the command run again: the next step follows from what is seen, not from what was intended.
The journal supplies only what can not be seen: that the preview was passed, and which
hosts' markers were moved.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from stages.stagectl.errors import RefusedError

STAGES = ("v0", "v1", "v2")


class Step(StrEnum):
    """Steps of a promotion, in their usual order."""

    CREATE_DEST = "create-destination"
    BACK_UP = "back-up"
    CLEAR_DEST = "clear-destination"
    LOOSEN = "loosen-providers"
    MOVE = "move-state"
    ARRANGE = "arrange-destination"
    CLEAN_SOURCE = "clean-source"
    PREVIEW = "preview"
    MOVE_MARKERS = "move-markers"
    FINISH = "finish"


class UndoStep(StrEnum):
    """Steps of an undo, in their usual order."""

    RETURN_MARKERS = "return-markers"
    RESTORE_SOURCE = "restore-source"
    EMPTY_DEST = "empty-destination"
    REMOVE_DEST = "remove-destination"
    FINISH = "finish-undo"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is seen before each step of a promotion."""

    dest_exists: bool
    backed_up: bool
    """Both backups exist, and until something is moved the source still equals its backup."""
    expected: frozenset[str]
    """Identities that the deployment consists of: the backup's, or the source's before it."""
    source_keys: frozenset[str]
    source_has_providers: bool
    source_blocked: bool
    dest_keys: frozenset[str]
    dest_has_providers: bool
    dest_arranged: bool
    previewed: bool
    markers_to_move: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UndoObserved:
    """What is seen before each step of an undo."""

    markers_to_return: tuple[str, ...]
    source_restored: bool
    dest_exists: bool
    dest_emptied: bool
    dest_was_created: bool


def next_step(seen: Observed) -> Step:
    """Give the next step of a promotion.

    Raises RefusedError when the two stacks hold something that no killed promotion leaves.
    """
    if not seen.dest_exists:
        return Step.CREATE_DEST
    if not seen.backed_up:
        return Step.BACK_UP
    if not seen.dest_keys:
        return _before_the_move(seen)
    if seen.dest_keys != seen.expected:
        raise RefusedError(
            found=f"of the {len(seen.expected)} resources in the backup of the source, the "
            f"destination holds {len(seen.dest_keys & seen.expected)}, and "
            f"{len(seen.dest_keys - seen.expected)} others",
            needed="exactly those of the backup",
            way_out="`stagectl undo` puts the backup back; it refuses if somebody used the "
            "destination since, and says what then.",
        )
    return _after_the_move(seen)


def next_undo_step(seen: UndoObserved) -> UndoStep:
    """Give the next step of an undo: markers first, and the source is full before dest is empty."""
    if seen.markers_to_return:
        return UndoStep.RETURN_MARKERS
    if not seen.source_restored:
        return UndoStep.RESTORE_SOURCE
    if seen.dest_exists and not seen.dest_emptied:
        return UndoStep.EMPTY_DEST
    if seen.dest_exists and seen.dest_was_created:
        return UndoStep.REMOVE_DEST
    return UndoStep.FINISH


def check_order(source: str, dest: str) -> None:
    """Refuse all but one step forward."""
    allowed = ", ".join(f"{a} {b}" for a, b in pairwise(STAGES))
    if (source, dest) not in pairwise(STAGES):
        raise RefusedError(
            found=f"promotion {source} -> {dest}",
            needed=f"one stage forward ({allowed})",
            way_out="Promote step by step; to go back right after a promotion: `stagectl undo`.",
        )


def _before_the_move(seen: Observed) -> Step:
    if seen.source_keys != seen.expected:
        raise RefusedError(
            found=f"the source holds {len(seen.source_keys)} of the {len(seen.expected)} resources "
            "of its backup, and the destination none",
            needed="the deployment whole in one of them",
            way_out="Put the backup back with `stagectl undo`.",
        )
    if seen.dest_has_providers:
        return Step.CLEAR_DEST
    if seen.source_blocked:
        return Step.LOOSEN
    return Step.MOVE


def _after_the_move(seen: Observed) -> Step:
    if not seen.dest_arranged:
        return Step.ARRANGE
    if seen.source_keys or seen.source_has_providers:
        return Step.CLEAN_SOURCE
    if not seen.previewed:
        return Step.PREVIEW
    if seen.markers_to_move:
        return Step.MOVE_MARKERS
    return Step.FINISH
