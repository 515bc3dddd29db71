"""v2 after its cut-over, and v1, on real servers, with hosts that can die."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crash_world import CrashWorld
from tests.support.fix_postgres import PgServer
from tests.support.killed_failover import Killer, killer_of


@pytest.fixture
def world(
    pg13: PgServer, pg17: PgServer, pg17_too: PgServer, tmp_path: Path
) -> Iterator[CrashWorld]:
    found = CrashWorld(pg13, pg17_too, pg17, tmp_path)
    try:
        yield found
    finally:
        found.end()


@pytest.fixture
def v2(world: CrashWorld) -> CrashWorld:
    world.start_v2()
    world.until_written()
    return world


@pytest.fixture
def v1(world: CrashWorld) -> CrashWorld:
    world.start_v1()
    world.until_written()
    return world


@pytest.fixture
def killer(world: CrashWorld) -> Iterator[Killer]:
    with killer_of(world) as found:
        yield found
