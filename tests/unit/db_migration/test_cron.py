"""Quartz's cron expressions, as Airbyte takes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from db_migration.airbytes.cron import next_match

NOW = datetime(2026, 11, 23, 8, 40, tzinfo=UTC)  # a Monday

NEXT = {
    "0 0 12 * * ?": "2026-11-23T12:00:00",
    "0 0/15 * * * ?": "2026-11-23T08:45:00",
    "30 40 8 * * ?": "2026-11-23T08:40:30",
    "0 15 10 ? * MON-FRI": "2026-11-23T10:15:00",
    "0 15 10 ? * 2": "2026-11-23T10:15:00",  # Monday is 2
    "0 15 10 ? * 1,7": "2026-11-28T10:15:00",  # Saturday, Sunday
    "0 15 10 ? * 6#3": "2026-12-18T10:15:00",  # the third Friday
    "0 15 10 ? * 6L": "2026-11-27T10:15:00",  # the last Friday
    "0 0 12 L * ?": "2026-11-30T12:00:00",
    "0 0 12 * * ? 2027": "2027-01-01T12:00:00",
    "0 0 12 ? jan mon": "2027-01-04T12:00:00",
}


@pytest.mark.parametrize(("expression", "expected"), NEXT.items())
def test_next_match(expression: str, expected: str) -> None:
    found = next_match(expression, "UTC", NOW.timestamp())
    assert found is not None
    assert datetime.fromtimestamp(found, UTC).isoformat() == f"{expected}+00:00"


def test_in_the_time_zone_of_the_connection() -> None:
    found = next_match("0 0 12 * * ?", "America/New_York", NOW.timestamp())
    assert found == datetime(2026, 11, 23, 17, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ("0 0 12 * *", "UTC"),
        ("", "UTC"),
        ("0 0 25 * * ?", "UTC"),
        ("0 0 12 * * ? 2020", "UTC"),
        ("0 0 0 31 2 ?", "UTC"),
        ("0 0 12 * * ?", "Nowhere/Land"),
        ("0 0 12 * * ?", "../etc"),
    ],
)
def test_what_is_not_understood_or_never_comes(expression: str, zone: str) -> None:
    assert next_match(expression, zone, NOW.timestamp()) is None
