"""The cut-over's way back: compose as it was, unless the new side has taken a write."""

from __future__ import annotations

from contextlib import ExitStack

from db_migration.cutover import steps as cutover_steps
from db_migration.cutover.sides import Sides
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, UnreachableError
from db_migration.sides import admission, promotion, servers
from db_migration.verification import verify


def hold(sides: Sides, locks: ExitStack) -> None:
    """Have the agents keep still; that of a new server that is silent rests with it."""
    try:
        cutover_steps.pause(sides, locks)
    except UnreachableError:
        cutover_steps.pause(sides, locks, sides.without_target)


def anybody(sides: Sides) -> bool:
    """Tell whether any Airbyte may enter the new database, into which one may have been let.

    Raises BlockedError when its server is silent: nobody else knows whether it has taken a write.
    """
    try:
        with servers.control(sides.target).connect() as connection:
            return bool(admission.admitted(connection, sides.target, sides.config.roles))
    except UnreachableError as error:
        raise BlockedError(
            found=f"{sides.target.name} may have taken a write of {sides.new.name}, and does not "
            f"answer: {error.found}",
            needed="that server, to see whether it has taken one",
            way_out="when it is back, `db-migration cutover` goes on, and `cutover --abort` goes "
            "back if it has not; if it does not come back, `db-migration failover`",
        ) from error


@effect(Effect.SHUT_OUT)
def shut_out(sides: Sides) -> None:
    """Let no Airbyte into the new database."""
    cutover_steps.admit(sides, None)


def compare(sides: Sides) -> None:
    """Raise BlockedError if the new side holds anything that prod does not."""
    try:
        differences = verify.verify(sides.to_promoted).differences
    except BlockedError as error:
        differences = [error.found]
    if differences:
        raise BlockedError(
            found=f"the new side has taken writes already: {'; '.join(differences[:3])}",
            needed="two sides that are equal, to go back without losing a write",
            way_out="go on: repeat `db-migration cutover`",
        )


@effect(Effect.START_COMPOSE)
def start_compose(sides: Sides) -> None:
    """Start compose's Airbyte."""
    sides.host(sides.old).run("start airbyte")


@effect(Effect.DEACTIVATE)
def deactivate(sides: Sides, number: int) -> None:
    """Have the new Airbyte's host take it back to `prepared`."""
    sides.host(sides.new).run(f"activate {sides.new.name} {number} prepared")


def release(sides: Sides, locks: ExitStack) -> None:
    """Give everything back to the agents, the mirror that a promotion had taken as well.

    Raises UnreachableError when the new server is silent, and all else is given back.
    """
    try:
        _give_back(sides)
    except UnreachableError as error:
        cutover_steps.resume(sides, locks, sides.without_target)
        raise UnreachableError(
            found=f"compose is back as it was; {sides.target.name}, whose feed still rests, does "
            f"not answer: {error.found}",
            needed="that server, to let its feed go on",
            way_out="`db-migration cutover --abort` again when it is back does what is left; "
            "before that no cut-over begins, and nothing else waits for it",
        ) from error
    cutover_steps.resume(sides, locks)


def _give_back(sides: Sides) -> None:
    promotion.make_mirror(sides.target)
    with servers.control(sides.target).connect() as connection:
        promotion.allow(connection, [sides.target.database, sides.target.mirror], on=True)
        promotion.drop_slots(connection, sides.target.database)
