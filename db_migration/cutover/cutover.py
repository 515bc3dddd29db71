"""The planned move of prod: gates, drain, fence, prove equal, promote, hand over, activate.

Before the first write on the new side any failure puts compose back as it was. A process that is
killed is followed by another one, which goes on from what it observes; `--abort` goes back.
"""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from typing import Any

from db_migration.config import Config
from db_migration.cutover import report as cutover_report
from db_migration.cutover import steps as cutover_steps
from db_migration.cutover.attempt import ABORTING, BEGUN, CutOver, forget
from db_migration.cutover.gates import Gate, gates, require
from db_migration.cutover.plan import Seen, remaining
from db_migration.cutover.sides import Means, Sides, sides
from db_migration.cutover.steps import REASON, ROLL_BACK
from db_migration.errors import BlockedError
from db_migration.failover.failover import lock_all
from db_migration.following import marks
from db_migration.postgres import value
from db_migration.sides import epoch, hosts, servers
from db_migration.sides.epoch import Epoch

__all__ = ["Means", "Mode", "run"]


class Mode(StrEnum):
    """What is asked of the cut-over."""

    GO = "go"
    HOLD = "hold"
    ABORT = "abort"
    DRY_RUN = "dry-run"
    LEAVE = "leave"


def run(config: Config, mode: Mode, means: Means) -> dict[str, Any]:
    """Carry out `mode`; return what was found or done, with a `summary` for people.

    GO raises BlockedError when a gate is closed, and whatever a step raises, once compose is back.
    HOLD and DRY_RUN change nothing (but record a verification) and raise only when nothing can be
    looked at. LEAVE changes nothing and raises BlockedError while prod would end with our hosts.
    """
    if mode is Mode.LEAVE:
        return _leave(config, means)
    both = sides(config, means)
    if mode in {Mode.HOLD, Mode.DRY_RUN}:
        now, number, _ = _known(both)
        return _already(both, now, number) or _only_look(both, now, number)
    both.journal.open()
    with ExitStack() as held:
        if not held.enter_context(both.journal.alone()):
            raise _not_alone()
        now, number, aborting = _known(both)
        lock_all(held, servers.answering(config, patient=True), now)
        if number is not None and now.epoch >= number and now.reason not in {REASON, ROLL_BACK}:
            return _overtaken(both, now, number)
        if found := _already(both, now, number):
            return found | (_start_again(both, now) if mode is Mode.GO else {})
        if mode is Mode.ABORT or (aborting and number is not None):
            return _abort(both, now, number)
        if number is None:
            number = _begin(both, now)
        return CutOver(both, now, number).forwards()


def _leave(config: Config, means: Means) -> dict[str, Any]:
    """Refuse to have the hosts taken down under an Airbyte that is prod."""
    for instance in config.instances:
        if instance.kind != "abctl":
            continue
        found = hosts.status(means.host(instance)).instance(instance.name)
        if found is not None and found.rendering.startswith("active-"):
            stop = f"hostctl activate {instance.name} {found.epoch} stopped"
            raise BlockedError(
                found=f"{instance.name} is prod ({found.rendering})",
                needed="prod elsewhere, or given up, before anything of it is taken away",
                way_out=f"keep it; or give prod up, its databases stay: on {instance.host}, "
                f"`/usr/local/lib/airbyte-migration/{stop}`, then the same again",
            )
    return {"state": "free", "summary": "no abctl of this deployment is prod"}


def _known(both: Sides) -> tuple[Epoch, int | None, bool]:
    """Return the current epoch, and what `_begun` says."""
    return (epoch.current(both.config), *_begun(both))


def _already(both: Sides, now: Epoch, number: int | None) -> dict[str, Any] | None:
    if number is not None or now.database == both.to_keeper.feed.source.name:
        return None
    summary = f"already cut over: epoch {now.epoch}, {now.airbyte} on {now.database}"
    last = both.journal.state()
    return {**(last[0] if last else {}), "state": "already", "summary": summary}


def _start_again(both: Sides, now: Epoch) -> dict[str, Any]:
    """Activate the new Airbyte where it was installed anew, by a destroy and an `up`, say.

    Only if it is `prepared`: one that is `stopped` was told so.
    """
    if now.airbyte != both.new.name:
        return {}
    found = hosts.status(both.host(both.new)).instance(both.new.name)
    if found is None or found.rendering != "prepared":
        return {}
    cutover_steps.activate(both, now.epoch)
    proof = cutover_steps.prove(both)
    summary = f"already cut over; {now.airbyte}, installed anew, is active on {now.database} again"
    return {"connections": proof, "summary": summary}


def _overtaken(both: Sides, now: Epoch, number: int) -> dict[str, Any]:
    """Forget a cut-over that was begun and then overtaken by a failover: nothing of it counts."""
    cutover_steps.resume(both, ExitStack())
    forget(both, number)
    summary = f"overtaken by epoch {now.epoch} ({now.reason}): {now.airbyte} on {now.database}"
    return {"state": "overtaken", "summary": summary}


def _not_alone() -> BlockedError:
    return BlockedError(
        found="another cut-over is under way",
        needed="one at a time",
        way_out="wait for it, or end its process (`docker restart db-migration` where it was "
        "typed); then repeat",
    )


def _begun(both: Sides) -> tuple[int | None, bool]:
    """Return the epoch of a cut-over that was begun and not ended, and whether it goes back."""
    with servers.control(both.keeper).connect() as connection:
        if value(connection, "SELECT to_regclass('migration.intent')") is None:
            return None, False
        noted = both.journal.intents(connection)
    numbers = [int(name.removeprefix(BEGUN)) for name in noted if name.startswith(BEGUN)]
    return (max(numbers) if numbers else None), ABORTING in noted


def _begin(both: Sides, now: Epoch) -> int:
    """Check the gates, choose the epoch's number, and note that it was begun.

    A number for which something was promoted and never recorded is not used again.
    """
    require(gates(both))
    with servers.control(both.target).connect() as connection:
        used = marks.active_epoch(marks.of_database(connection, both.target.database)) or 0
    number = max(used, now.epoch) + 1
    forget(both, number=0)
    both.journal.event(cutover_report.BEGIN, "started", f"epoch {number}")
    both.journal.intend(f"{BEGUN}{number}", on=True)
    return number


def _only_look(both: Sides, now: Epoch, number: int | None) -> dict[str, Any]:
    """Say whether the cut-over could go, and what it would do."""
    if number is not None:
        left = [str(step) for step in remaining(CutOver(both, now, number).seen)]
        summary = f"a cut-over was begun; `cutover` goes on with: {', '.join(left)}"
        return {"state": "begun", "ready": True, "steps": left, "summary": summary}
    found: list[Gate] = gates(both)
    closed = [gate.name for gate in found if not gate.ok]
    summary = f"not ready: {'; '.join(closed)}" if closed else "ready: every gate is open"
    return {
        "state": "hold",
        "ready": not closed,
        "gates": [gate.as_dict() for gate in found],
        "steps": [str(step) for step in remaining(Seen(compose_runs=True, prod_open=True))],
        "summary": summary,
    }


def _abort(both: Sides, now: Epoch, number: int | None) -> dict[str, Any]:
    if number is None:
        return {"state": "none", "summary": "no cut-over is under way: nothing to take back"}
    CutOver(both, now, number).back()
    return {"state": "aborted", "summary": "compose is back as it was; the feeds go on"}
