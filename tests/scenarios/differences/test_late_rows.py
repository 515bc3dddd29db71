"""Rows that are late on the mirror are no difference, however many they are."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from db_migration.verification import rows as verify_rows
from db_migration.verification import settle as verify_settle
from db_migration.verification import verify
from db_migration.verification.rows import Shape, Sides
from tests.support.scenario import Scenario


def test_more_rows_than_are_kept_are_no_difference_while_they_are_late(
    followed: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As prod's one statement on a big table: the mirror gets it after the first look."""
    settle, looks = verify_settle.settle, 0
    with psycopg.connect(followed.target.dsn("airbyte_mirror")) as held:
        held.execute("LOCK TABLE jobs IN SHARE MODE")
        followed.source.sql("UPDATE jobs SET scope = 'late' WHERE id <= 20", database="airbyte")

        def let_go(sides: Sides, of: Shape, suspects: list[str]) -> Any:  # noqa: ANN401
            nonlocal looks
            looks += 1
            held.rollback()
            return settle(sides, of, suspects)

        monkeypatch.setattr(verify_rows, "KEPT_NAMES", 5)
        monkeypatch.setattr(verify_settle, "settle", let_go)
        found = verify.verify(followed.context())
    assert looks > 0
    assert found.differences == []
