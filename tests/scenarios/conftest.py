"""Scenarios: real PostgreSQL, 13 and 17 where nothing else is said; one folder each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crash_world import CrashWorld
from tests.support.deployment import Deployment
from tests.support.fix_postgres import PgServer
from tests.support.killed_agent import Life
from tests.support.killed_failover import killer_of
from tests.support.scenario import Scenario

COMMON = Path(__file__).with_name("airbyte.sql")


@pytest.fixture
def scenario(
    pg13: PgServer, pg17: PgServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Scenario]:
    """A fresh source and a target as Pulumi leaves it.

    The source is filled by the `setup.sql` beside the test, or else by the common one and by what
    the test's `additions.sql` adds to it.
    """
    found = Scenario(pg13, pg17, tmp_path)
    own, additions = (request.path.with_name(f"{name}.sql") for name in ("setup", "additions"))
    filling = own if own.exists() else COMMON
    found.reset(filling.read_text() + (additions.read_text() if additions.exists() else ""))
    yield found
    for stop in found.stops:
        stop()
    pg13.start()
    pg17.start()


@pytest.fixture
def deployment(
    pg13: PgServer, pg17: PgServer, pg17_too: PgServer, tmp_path: Path
) -> Iterator[Deployment]:
    """Prod's server, both of ours as Pulumi leaves them, and nobody at work yet."""
    found = Deployment(pg13, pg17_too, pg17, tmp_path)
    found.reset()
    try:
        yield found
    finally:
        found.end()


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
def killer(world: CrashWorld) -> Iterator[Life]:
    with killer_of(world) as found:
        yield found
