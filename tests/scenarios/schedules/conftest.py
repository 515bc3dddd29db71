"""A live Airbyte, played by the strict stand-in, whose Temporal has forgotten everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conformance.harness import Airbyte
from tests.conformance.installation import Installation
from tests.support.fix_postgres import PgServer, drop_everything
from tests.support.live_standin import CONNECTIONS, CONTROL, Live


@pytest.fixture(scope="module")
def installed(
    pg17: PgServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Airbyte, Installation]]:
    drop_everything(pg17)
    for name in (CONTROL, "schedules"):
        pg17.sql(f"CREATE DATABASE {name}")
    airbyte = Airbyte(pg17, "schedules", tmp_path_factory.mktemp("schedules"))
    try:
        assert airbyte.boot().popen.returncode == 0
        lab = Installation(airbyte, connections=CONNECTIONS, interval=1000, secrets=1)
        yield airbyte, lab
    finally:
        airbyte.stop()
        drop_everything(pg17)


@pytest.fixture
def live(installed: tuple[Airbyte, Installation], pg17: PgServer, tmp_path: Path) -> Iterator[Live]:
    """No workflow, no job, no worker yet; every basic schedule is overdue."""
    found = Live(pg17, tmp_path, *installed)
    found.forget_workflows()
    found.slow_down(100, 0)
    with psycopg.connect(pg17.dsn(CONTROL), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS migration CASCADE")
    running = list(found.airbyte.started)
    yield found
    for process in found.airbyte.started[len(running) :]:
        process.stop()
    del found.airbyte.started[len(running) :]
