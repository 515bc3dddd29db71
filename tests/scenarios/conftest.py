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
    """A fresh source, filled by the `setup.sql` beside the test, and a target as Pulumi leaves
    it.
    """
    found = Scenario(pg13, pg17, tmp_path)
    own = Path(str(request.path)).with_name("setup.sql")
    found.reset((own if own.exists() else COMMON).read_text())
    yield found
    for stop in found.stops:
        stop()
    pg13.start()
    pg17.start()
