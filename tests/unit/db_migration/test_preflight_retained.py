"""What the preflight concludes from what slots may keep on the source's disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from db_migration.preflight import retained
from db_migration.preflight.checklist import Check, Result
from tests.unit.db_migration.test_preflight import GIB, SOURCE

MIB = 1024**2
OURS = 8 * GIB
"""`max_retained_wal_bytes`, and the server's own bound where nothing else is said."""
NEAR, FAR = {"their_standby": GIB}, {"their_standby": 9 * GIB, "analytics": 0}


def checked(facts: dict[str, Any], ours: int, free: int | None, name: str) -> Check:
    checks = retained.checks(replace(SOURCE, **facts), ours, free, follows=True)
    (check,) = [check for check in checks if check.id == name]
    return check


@pytest.mark.parametrize(
    ("facts", "ours", "free", "result"),
    [
        ({}, OURS, 20 * GIB, Result.PASS),
        ({}, OURS, None, Result.PASS),  # no more than ours, which `source.wal_headroom` judges
        ({"wal_bound": 9 * GIB}, OURS, 20 * GIB, Result.PASS),
        ({"wal_bound": 9 * GIB}, OURS, None, Result.WARNING),
        ({"wal_bound": 900 * 1024 * GIB}, OURS, 20 * GIB, Result.WARNING),
        ({"wal_bound": GIB - MIB}, OURS, 20 * GIB, Result.WARNING),  # below `max_wal_size`
        ({"wal_bound": GIB - MIB, "max_wal_size": None}, OURS, 20 * GIB, Result.PASS),
        ({"wal_bound": MIB}, OURS, 20 * GIB, Result.FAIL),
        ({"wal_bound": 0}, OURS, 20 * GIB, Result.FAIL),
        ({"wal_bound": -1}, OURS, 20 * GIB, Result.PASS),  # `prepare` sets ours
        ({"wal_bound": -1}, MIB, 20 * GIB, Result.FAIL),
        ({"wal_bound": -1, "can_bound": False}, OURS, 20 * GIB, Result.WARNING),
        ({"wal_bound": None}, OURS, 20 * GIB, Result.WARNING),
    ],
)
def test_the_servers_own_bound(
    facts: dict[str, Any], ours: int, free: int | None, result: Result
) -> None:
    assert checked(facts, ours, free, "source.wal_bound").result == result


@pytest.mark.parametrize(
    ("facts", "result", "part"),
    [
        ({"wal_bound": -1, "other_slots": {}}, Result.PASS, "none"),
        ({"wal_bound": -1, "other_slots": NEAR}, Result.WARNING, "`their_standby` keeps 1.0 GiB"),
        ({"wal_bound": -1, "other_slots": FAR}, Result.FAIL, "2: `analytics` keeps 0 B, `their_"),
        ({"wal_bound": -1, "other_slots": None}, Result.WARNING, "not readable"),
        ({"other_slots": FAR}, Result.PASS, "`prepare` sets no bound"),  # there is one
        ({"wal_bound": -1, "can_bound": False, "other_slots": FAR}, Result.PASS, "sets no bound"),
    ],
)
def test_slots_of_others(facts: dict[str, Any], result: Result, part: str) -> None:
    check = checked(facts, OURS, 20 * GIB, "source.other_slots")
    assert check.result == result
    assert part in check.found


def test_who_follows_nothing_keeps_nothing() -> None:
    checks = retained.checks(SOURCE, OURS, None, follows=False)
    assert {check.result for check in checks} == {Result.NOT_APPLICABLE}
