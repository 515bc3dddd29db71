"""When a connection's cron expression matches next: Quartz's, seconds first (facts 5)."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter

DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIELDS = range(6, 8)
"""Second, minute, hour, day, month, day of the week; maybe a year."""


def next_match(expression: str, zone: str, now: float) -> float | None:
    """Return the moment in seconds since 1970; None for what is not understood or never comes."""
    fields = expression.upper().split()
    if len(fields) not in FIELDS:
        return None
    fields[5] = _days(fields[5])
    try:
        begin = datetime.fromtimestamp(now, ZoneInfo(zone))
        found = croniter(" ".join(fields), begin, second_at_beginning=True).get_next(float)
    except (CroniterError, ZoneInfoNotFoundError, ValueError):
        return None
    return float(found)


def _days(field: str) -> str:
    """Write the days of the week by name: Quartz counts from 1, everybody else from 0."""
    last = re.fullmatch(r"([1-7])L", field)
    if last:
        return f"L{int(last[1]) - 1}"
    return re.sub(r"(?<![\d/#])[1-7](?!\d)", lambda day: DAYS[int(day[0]) - 1], field)
