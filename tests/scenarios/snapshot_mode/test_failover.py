"""Prod dies while v1's feed is in snapshot mode: lost is what it wrote since the snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db_migration.cutover import gates as cutover_gates
from db_migration.failover.plan import Kind
from tests.scenarios.snapshot_mode.conftest import fresh
from tests.support.crash_world import CrashWorld
from tests.support.deployment import KEEPER
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.timeouts import FOLLOW


@dataclass
class SnapshotWorld(CrashWorld):
    """v1, with a snapshot every second."""

    def _config(self, here: str) -> dict[str, Any]:
        whole = super()._config(here)
        snapshots = {"mode": "snapshot", "snapshot_interval_seconds": 1}
        return {**whole, "feeds": [{**feed, **snapshots} for feed in whole["feeds"]]}


@pytest.fixture
def v1(
    pg13: PgServer, pg17: PgServer, pg17_too: PgServer, tmp_path: Path
) -> Iterator[SnapshotWorld]:
    world = SnapshotWorld(pg13, pg17_too, pg17, tmp_path)
    try:
        world.start_v1()
        yield world
    finally:
        world.end()


def test_prod_dies_in_v1_and_the_last_snapshot_is_promoted(v1: SnapshotWorld) -> None:
    v1.until_written(20)
    written = v1.acknowledged_ids[-1]
    query = "SELECT count(*) FROM public.jobs WHERE id >= %s"

    def copied() -> bool:
        with suppress(psycopg.OperationalError):  # the mirror is being swapped: come again
            return v1.keeper.sql(query, written, database="airbyte_mirror") != [(0,)]
        return False

    wait_for(copied, FOLLOW)
    v1.kill("prod")
    v1.writing.clear()
    report = v1.failover("prod")
    assert report.plan.kind is Kind.PROMOTE
    assert "a snapshot, taken at" in report.plan.rpo
    assert any("its mirror is a snapshot of prod" in line for line in report.plan.evidence)
    lost = v1.lost(v1.keeper)
    assert all(number > written for number in lost), "only what came after the snapshot is lost"
    before = len(v1.acknowledged_ids)
    v1.until_written()
    v1.writing.clear()
    assert not v1.lost(v1.keeper) & set(v1.acknowledged_ids[before:])
    assert len(set(v1.acknowledged_ids[before:]) & (set(v1.acknowledged_ids[:before]) - lost)) == 0


def test_cut_over_refuses_and_names_the_way_out(
    pg13: PgServer, pg17: PgServer, tmp_path: Path
) -> None:
    snapshots = fresh(pg13, pg17, tmp_path)
    snapshots.copy()
    gate = cutover_gates.follows(snapshots.agent.context)
    assert not gate.ok
    assert "snapshot mode" in gate.found
    assert "allowSourceRestart" in gate.way_out
    assert KEEPER in gate.name
