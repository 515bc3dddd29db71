"""Prod dies while a table that it got late is taken in: its keys, or its rows, are not here yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from db_migration.cli import failover as failover_cli
from db_migration.errors import BlockedError
from db_migration.following import late, prepare
from db_migration.sides.epoch import Epoch
from tests.scenarios.late_table.test_late_table import WITH_FOREIGN_KEYS
from tests.support.crash_world import CrashWorld
from tests.support.deployment import KEEPER, REPLICA
from tests.support.fix_postgres import PgServer
from tests.support.live_standin import CONTROL
from tests.support.timeouts import FOLLOW

KEYS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' ORDER BY 1, 2
"""
TRAIL = "SELECT detail FROM migration.event WHERE step = 'promote' AND phase = 'done'"


Until = Callable[[ModuleType, str], None]


def keys(server: PgServer, database: str = "airbyte") -> list[tuple[Any, ...]]:
    return server.sql(KEYS, database=database)


@pytest.fixture
def until(v1: CrashWorld, monkeypatch: pytest.MonkeyPatch) -> Until:
    """Have prod make tables that refer to others, and an agent never come to a step of its own."""

    def make(module: ModuleType, step: str) -> None:
        here = threading.Event()

        def never(*_: object) -> None:
            here.set()
            raise BlockedError(found="a source that dies now", needed="one that lives", way_out="")

        monkeypatch.setattr(module, step, never)
        v1.prod.sql(WITH_FOREIGN_KEYS, database="airbyte")
        assert here.wait(FOLLOW)
        v1.writing.clear()
        v1.stop_agents()

    return make


def test_a_promotion_adds_their_keys(v1: CrashWorld, until: Until) -> None:
    until(late, "add_late_keys")
    v1.until_equal((v1.prod, "airbyte"), (v1.keeper, "airbyte_mirror"))
    there = keys(v1.prod)
    assert keys(v1.keeper, "airbyte_mirror") != there
    v1.kill("prod")
    report = v1.failover("prod")
    assert keys(v1.keeper) == there
    assert report.lacks == []
    v1.assert_lives(v1.keeper, Epoch(1, KEEPER, REPLICA, "failover"))


def test_tables_that_were_not_copied_are_named(v1: CrashWorld, until: Until) -> None:
    until(prepare, "publish_late")
    v1.kill("prod")
    report = v1.failover("prod")
    assert report.lacks == ["table public.late with its rows", "table public.later with its rows"]


def test_key_that_can_not_be_added_is_named(
    v1: CrashWorld, until: Until, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody has changed the mirror, say; the rest goes on as ever."""
    until(late, "add_late_keys")
    v1.until_equal((v1.prod, "airbyte"), (v1.keeper, "airbyte_mirror"))
    there = keys(v1.prod)
    v1.keeper.sql("UPDATE late SET job = -1", database="airbyte_mirror")
    v1.kill("prod")
    run = v1.observe("prod")
    failover_cli._carry_out(run, dry_run=False, as_json=False)
    assert keys(v1.keeper) == [key for key in there if key[1] != "late_job_fkey"]
    [(trail,)] = v1.keeper.sql(TRAIL, database=CONTROL)
    for said in (capsys.readouterr().out, trail, *run.report.as_dict()["lacks"]):
        assert "constraint late_job_fkey of public.late" in said
        assert "ALTER TABLE ONLY public.late ADD CONSTRAINT late_job_fkey" in said
    v1.assert_lives(v1.keeper, Epoch(1, KEEPER, REPLICA, "failover"))
