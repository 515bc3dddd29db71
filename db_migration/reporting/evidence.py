"""What a step was decided upon, short enough for the journal. Pure."""

from __future__ import annotations

from typing import Any

from db_migration.agent.state import Observed, Source, Target


def evidence(seen: Observed) -> dict[str, Any]:
    """Return what was seen; a side that did not answer is None."""
    active = seen.active
    begun = [name for name, on in vars(seen.intent).items() if on is True]
    return {
        "epoch": active.epoch if active is not None else None,
        "begun": begun,
        "source": _source(seen.source),
        "target": _target(seen.target),
    }


def _source(source: Source | None) -> dict[str, Any] | None:
    if source is None:
        return None
    slot = source.slot
    return {
        "wal_level": source.wal_level,
        "role_ready": source.role_ready,
        "publication": source.publication,
        "tables": len(source.tables),
        "published": sum(table.published for table in source.tables.values()),
        "types": source.types,
        "slot": None
        if slot is None
        else {
            "confirmed_lsn": slot.confirmed_lsn,
            "lost": slot.lost,
            "retained_bytes": slot.retained_bytes,
        },
    }


def _target(target: Target | None) -> dict[str, Any] | None:
    if target is None:
        return None
    mark, subscription, working = target.mirror.mark, target.subscription, target.working
    return {
        "mirror": {"exists": target.mirror.exists, "lsn": mark.lsn if mark else None},
        "new_copy": target.seed.exists,
        "subscription": vars(subscription) if subscription is not None else None,
        "sequences_behind": target.sequences_behind,
        "working_database": None
        if working is None
        else {"due": working.due, "connected": working.connected, "next": working.next_exists},
    }
