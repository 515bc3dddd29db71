"""Scenarios: real PostgreSQL 13 and 17, one folder each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fix_postgres import PgServer
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
