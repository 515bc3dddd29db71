"""The gates of the cut-over: what must hold before anything is touched. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import psycopg

from db_migration.agent import observe
from db_migration.airbytes.api import AirbyteApi
from db_migration.config import DrainPolicy, Mode
from db_migration.context import Context
from db_migration.cutover.sides import Sides
from db_migration.cutover.steps import journal_of
from db_migration.errors import BlockedError, MigrationError
from db_migration.postgres import value
from db_migration.reporting import error_text, feed_state
from db_migration.sides import hosts, servers
from db_migration.snapshots import plan as snapshot_plan
from db_migration.verification import verify

FRESH_SECONDS = 900
CANCEL_PATIENCE_SECONDS = 5.0
FOLLOWS = "a feed that follows (`db-migration status --wait following` on its target's host)"


@dataclass(frozen=True)
class Gate:
    """One condition, what was found, and what to do about it."""

    name: str
    ok: bool
    found: str
    needed: str
    way_out: str

    def as_dict(self) -> dict[str, Any]:
        """Return the gate for `--json`."""
        return asdict(self)


def gates(sides: Sides) -> list[Gate]:
    """Look at every gate; one that can not be looked at is closed, and says why."""
    found: list[Gate] = []
    for name, look in _looks(sides):
        try:
            found.append(look())
        except (MigrationError, psycopg.Error) as error:
            said = error_text.of_verb(error)
            found.append(Gate(name, False, said["found"], said["needed"], said["way_out"]))
    return found


def _looks(sides: Sides) -> Iterator[tuple[str, Callable[[], Gate]]]:
    for context in (sides.to_target, sides.to_keeper):
        name = context.feed.name
        yield f"{name} follows", partial(follows, context)
        yield f"{name} is verified", partial(_verified, context)
    yield f"{sides.target.name} can be a source", partial(_can_be_source, sides)
    yield f"{sides.old.name} runs", partial(_compose, sides)
    yield f"{sides.new.name} is prepared", partial(_prepared, sides)
    if sides.config.cutover is not None and sides.config.cutover.drain is DrainPolicy.CANCEL:
        yield f"{sides.old.name} lets jobs be cancelled", partial(_cancels, sides)


def follows(context: Context) -> Gate:
    """Tell whether a feed brings every write of prod's: one in snapshot mode does not."""
    sight = observe.look(context, journal_of(context))
    if sight.unreachable:
        raise sight.unreachable[0]
    if sight.choice is not None and sight.choice.mode is Mode.SNAPSHOT:
        return Gate(
            f"{context.feed.name} follows",
            False,
            f"it is in snapshot mode: {sight.choice.why}",
            "a feed in logical mode, which brings every last write of a fenced prod",
            "let prod's database be restarted once (`allowSourceRestart: true` with `mode: auto`), "
            "or set `wal_level = logical` and restart it yourself; cut over when the feed follows",
        )
    decision = snapshot_plan.next_step(sight.planner)
    said = feed_state.describe(context, sight, decision, None)
    return Gate(
        f"{context.feed.name} follows",
        said["state"] == "following" and not sight.unsynced,
        f"{said['state']}: {said['next']}",
        FOLLOWS,
        "wait for it, or mend what its status says",
    )


def _verified(context: Context) -> Gate:
    """Take the last verification if it is fresh and equal, else verify now."""
    journal = journal_of(context)
    with context.control.connect() as connection:
        last = journal.last_verification(connection)
    fresh = last is not None and last[0]["equal"] and last[1] < FRESH_SECONDS
    result = last[0] if last is not None and fresh else verify.verify_and_record(context, journal)
    found = f"equal: {result['tables']} tables, {result['rows']} rows, {result['at']}"
    return Gate(
        f"{context.feed.name} is verified",
        result["equal"],
        found if result["equal"] else "; ".join(result["differences"][:3]),
        "a mirror that is equal to prod",
        "`db-migration verify` on that host names every difference",
    )


def _can_be_source(sides: Sides) -> Gate:
    with servers.control(sides.target).connect() as connection:
        level = value(connection, "SHOW wal_level")
        role = value(
            connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", (sides.new.role,)
        )
    found = f"`wal_level = {level}`, role `{sides.new.role}` {'there' if role else 'missing'}"
    return Gate(
        f"{sides.target.name} can be a source",
        level == "logical" and bool(role),
        found,
        "`wal_level = logical`, and the new Airbyte's role",
        "run `pulumi up`, which declares both",
    )


def _compose(sides: Sides) -> Gate:
    said = hosts.status(sides.host(sides.old))
    return Gate(
        f"{sides.old.name} runs",
        said.compose == "running",
        f"compose is {said.compose}",
        "compose running, so that its own state says which jobs run",
        "`hostctl start airbyte` on its host",
    )


def _prepared(sides: Sides) -> Gate:
    found = hosts.status(sides.host(sides.new)).instance(sides.new.name)
    ready = found is not None and found.rendering == "prepared"
    return Gate(
        f"{sides.new.name} is prepared",
        ready,
        f"rendering `{found.rendering}`" if found else "not installed",
        "installed as `prepared`",
        "run `pulumi up` (by hand: `hostctl apply` on its host)",
    )


def _cancels(sides: Sides) -> Gate:
    with AirbyteApi(sides.old, patience=CANCEL_PATIENCE_SECONDS) as api:
        found = len(api.workspaces())
    return Gate(
        f"{sides.old.name} lets jobs be cancelled",
        found > 0,
        f"its API lists {found} workspace(s)",
        "an API that takes our login",
        "set `prodBasicAuthPassword` (of user airbyte) in the stack file, then `pulumi up`",
    )


def require(found: list[Gate]) -> None:
    """Raise BlockedError naming every closed gate."""
    closed = [gate for gate in found if not gate.ok]
    if closed:
        raise BlockedError(
            found="; ".join(f"{gate.name}: no, {gate.found}" for gate in closed),
            needed="; ".join(gate.needed for gate in closed),
            way_out="; ".join(gate.way_out for gate in closed),
        )
