"""What the agent has seen of a feed, in the form that it saves and `status` shows."""

from __future__ import annotations

from typing import Any

from db_migration.agent import hindrances
from db_migration.agent.observe import Sight
from db_migration.agent.plan import Decision, Step
from db_migration.context import Context
from db_migration.following import slots
from db_migration.following.prepare import SOURCE_STEPS
from db_migration.reporting.error_text import error_dict
from db_migration.snapshots import look as snapshot_look


def describe(
    context: Context, sight: Sight, decision: Decision | None, error: Exception | None
) -> dict[str, Any]:
    """Put what was seen into the form that `status` shows."""
    seen = sight.planner
    notes = _notes(sight, decision)
    slot = seen.source.slot if seen.source is not None else None
    return {
        "name": context.feed.name,
        "state": _state(sight, decision, error),
        "mode": (sight.choice.mode if sight.choice else context.feed.mode).value,
        "mode_why": sight.choice.why if sight.choice else None,
        "snapshot": sight.snapshot,
        "verified": _verified(sight.verification),
        "lag": sight.lag,
        "schema": sight.schema,
        "source_seen": seen.source is not None,
        "slot": slots.as_dict(context.feed, slot) if slot is not None else None,
        "subscription": _subscription(sight),
        "working_database": sight.working,
        "sequences_ahead": _shows_snapshot(sight)
        or bool(seen.target and seen.target.subscription and not seen.target.sequences_behind),
        "next": notes,
        "error": error_dict(error) if error else _silent(sight) or _not_cloned(sight),
    }


def _subscription(sight: Sight) -> dict[str, Any] | None:
    target = sight.planner.target
    if target is None or target.subscription is None:
        return None
    enabled = target.subscription.enabled
    return {"enabled": enabled, "worker": sight.worker, "errors": sight.apply_errors}


def _shows_snapshot(sight: Sight) -> bool:
    """Tell whether the mirror is a complete copy in snapshot mode, its sequences ahead."""
    return sight.snapshot is not None and sight.snapshot["taken_at"] is not None


def _silent(sight: Sight) -> dict[str, str] | None:
    """Say what is wrong when nothing has raised an error: the target's own worker has."""
    target = sight.planner.target
    subscription = target.subscription if target is not None else None
    if subscription is None or not subscription.enabled:
        return None
    if sight.cause is not None:
        return sight.cause.as_dict()
    if sight.worker:
        return None
    return {
        "found": "the subscription's worker does not run, or the source does not answer it "
        f"(errors so far: {sight.apply_errors})",
        "needed": "a worker that applies prod's changes to the mirror",
        "way_out": "the agent reconnects it, and makes a new copy when it fails at the same change "
        "again and again; the log of the target's server says why",
    }


def _not_cloned(sight: Sight) -> dict[str, str] | None:
    """Say why the working database was not made; the feed itself is well meanwhile."""
    return error_dict(sight.clone_failure) if sight.clone_failure is not None else None


def _state(sight: Sight, decision: Decision | None, error: Exception | None) -> str:
    seen = sight.planner
    for name, holds in (
        ("released", seen.intent.released),
        ("waiting", hindrances.not_live(seen)),
        ("paused", hindrances.paused(seen)),
        ("broken", error is not None or seen.target is None or seen.source is None),
    ):
        if holds:
            return name
    if _shows_snapshot(sight):
        return "following"
    subscribed = seen.target is not None and seen.target.subscription is not None
    if subscribed and (decision is None or decision.step not in COPYING):
        enabling = decision is not None and decision.step is Step.ENABLE
        return "following" if sight.worker or enabling else "broken"
    return "preparing" if decision is not None and decision.step in SOURCE_STEPS else "seeding"


COPYING = frozenset({Step.DROP_SUBSCRIPTION, Step.DROP_SLOT, Step.SEED, Step.SWAP_MIRROR})


def _notes(sight: Sight, decision: Decision | None) -> str:
    """Say the next thing, and what hinders the working database."""
    parts = [decision.why] if decision else ["a person has to decide, see `error`"]
    if sight.snapshot is not None:
        parts.append(snapshot_look.in_words(sight.snapshot))
    target = sight.planner.target
    if target is not None and target.working is not None and target.working.due:
        hindered = hindrances.holds_working(target.working, sight.planner)
        parts += [f"the working database is not renewed: {hindered}"] if hindered else []
    if sight.verification is not None and not sight.verification["equal"]:
        number = len(sight.verification["differences"])
        parts.append(f"the last verification found {number} difference(s): `db-migration verify`")
    if sight.unsynced:
        parts.append(f"copying {', '.join(sight.unsynced)}")
    return "; ".join(parts)


def _verified(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {key: result[key] for key in ("at", "tables", "rows", "bytes", "equal")}
