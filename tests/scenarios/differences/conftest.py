"""One converged world for all tests of a module: each of them only reads it, or says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.scenarios.conftest import COMMON
from tests.support.fix_postgres import PgServer
from tests.support.scenario import Scenario

UNFINISHED = "CREATE UNIQUE INDEX CONCURRENTLY half ON half_indexed (value)"


@pytest.fixture(scope="module")
def followed(
    pg13: PgServer, pg17: PgServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scenario]:
    found = Scenario(pg13, pg17, tmp_path_factory.mktemp("followed"))
    found.settings["feeds.0.sequence_margin"] = 1_000_000  # no agent runs meanwhile to move them
    additions = Path(__file__).with_name("additions.sql").read_text()
    found.reset(COMMON.read_text() + additions)
    pg13.sql("CREATE ROLE airbyte_migration BYPASSRLS")  # it copies a table with row security
    with pytest.raises(psycopg.errors.UniqueViolation):
        pg13.sql(UNFINISHED, database="airbyte")
    found.converge()
    yield found
    for stop in found.stops:
        stop()
