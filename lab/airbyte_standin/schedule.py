"""When a connection runs next (pure)."""

from __future__ import annotations

from typing import Any

UNIT_MINUTES = {"minutes": 1, "hours": 60, "days": 1440, "weeks": 10080, "months": 43200}
NEVER = float("inf")


def interval_minutes(data: dict[str, Any] | None) -> float:
    """Return the length of a BASIC schedule."""
    basic = (data or {}).get("basicSchedule") or {}
    units, unit = basic.get("units"), basic.get("timeUnit")
    if not isinstance(units, int) or unit not in UNIT_MINUTES:
        return NEVER
    return float(units * UNIT_MINUTES[unit])


def seconds_to_wait(
    status: str, kind: str, data: dict[str, Any] | None, age: float | None, minute: float = 60.0
) -> float:
    """Return the wait from now; `age` is the last job's, None without one.

    BASIC: last job's created_at + interval; overdue or never run means at once. Inactive and
    manual: never. CRON is not played; it waits for ever, too.
    """
    if status != "active" or kind != "basic_schedule":
        return NEVER
    wait = interval_minutes(data) * minute
    if wait == NEVER:
        return NEVER
    return 0.0 if age is None else max(0.0, wait - age)
