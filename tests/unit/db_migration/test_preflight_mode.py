"""What the preflight concludes where nothing follows the log, or too little is logged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from db_migration.config import Mode
from db_migration.preflight import source as preflight_source
from db_migration.preflight.checklist import Result
from tests.unit.db_migration.test_preflight import ALLOWED, SOURCE, found


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("key_generated", Result.NOT_APPLICABLE),
        ("incomparable", Result.NOT_APPLICABLE),
        ("not_binary", Result.FAIL),
    ],
)
def test_a_copy_that_follows_nothing_needs_no_key(name: str, result: Result) -> None:
    change: dict[str, Any] = {name: ["public.a.b"]}
    facts = replace(SOURCE, **change)
    checks = preflight_source.checks(facts, replace(ALLOWED, mode=Mode.SNAPSHOT))
    assert found(checks, f"source.{name}").result is result


@pytest.mark.parametrize("name", ["source.max_wal_senders", "source.max_replication_slots"])
@pytest.mark.parametrize(("level", "together"), [("minimal", True), ("replica", False)])
def test_a_server_that_logs_too_little_starts_with_no_walsender(
    name: str, level: str, *, together: bool
) -> None:
    facts = replace(SOURCE, wal_level=level, senders_free=0, slots_free=0)
    check = found(preflight_source.checks(facts, ALLOWED), name)
    assert check.result is Result.FAIL
    assert ("set wal_level to `logical` together" in check.way_out) is together
