"""Sources from PostgreSQL 13 on, targets from 16 on: the whole life of a feed between them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db_migration.verification import verify
from tests.scenarios.awkward_schema.test_awkward_schema import CHANGES
from tests.scenarios.conftest import COMMON
from tests.scenarios.late_table.test_late_table import WITH_ALL_THAT_IS_ITS_OWN
from tests.scenarios.release.test_release import footprint
from tests.scenarios.snapshot_mode.conftest import fresh
from tests.support import exact
from tests.support.fix_postgres import PgServer, drop_everything
from tests.support.scenario import Scenario

PAIRS = (
    (13, 16),
    pytest.param((14, 17), marks=pytest.mark.long),
    pytest.param((15, 16), marks=pytest.mark.long),
    pytest.param((15, 17), marks=pytest.mark.long),
    (16, 17),
)
"""13 to 17 is what all other scenarios are between."""

HERE = Path(__file__).parent
AWKWARD = HERE.parent / "awkward_schema" / "setup.sql"
CHANGES_SINCE = {
    14: """
    UPDATE of_14 SET spans = spans + '{[20,30)}', unbounded = 'NaN', "order" = 8 WHERE id = 1;
    INSERT INTO of_14 (id, own) VALUES (3, '{[1,2),[4,)}');
    DELETE FROM of_14 WHERE id = 2;
    """,
    15: """
    DELETE FROM of_15 WHERE id = 1;
    INSERT INTO of_15 VALUES (3, NULL);
    UPDATE of_15_precise SET coarse = 90000, fine = 0.00099;
    """,
    16: """
    UPDATE of_16 SET words = '[1]' WHERE id = 2;
    INSERT INTO of_16 (id) VALUES (3);
    """,
}
NEW_COPY = """
ALTER TABLE jobs ADD COLUMN priority int NOT NULL DEFAULT 3;
ALTER TYPE job_status ADD VALUE 'cancelled';
"""
NUMBERS = "SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences"

Servers = tuple[PgServer, PgServer]


@pytest.fixture(params=PAIRS, ids="{0[0]}-{0[1]}".format)
def servers(
    request: pytest.FixtureRequest, server_of: Callable[[int, str], PgServer]
) -> Iterator[Servers]:
    source, target = request.param
    found = server_of(source, "docker"), server_of(target, "postgres")
    yield found
    drop_everything(found[1])  # its subscription would take the slot of the next pair's source


def prod(scenario: Scenario, statements: str) -> None:
    scenario.source.sql(statements, database="airbyte")


def assert_followed(scenario: Scenario) -> None:
    """Assert that all is equal, by the test's own reading and by both strengths of ours."""
    scenario.assert_equal()
    assert verify.verify(scenario.context()).differences == []
    assert exact.verified(scenario).differences == []


def assert_numbers_are_ahead(scenario: Scenario) -> None:
    there = dict(scenario.source.sql(NUMBERS, database="airbyte"))
    here = dict(scenario.target.sql(NUMBERS, database="airbyte_mirror"))
    assert here.keys() == there.keys()
    used = {name: number for name, number in there.items() if number is not None}
    assert used
    assert [name for name, number in used.items() if (here[name] or 0) <= number] == []


def assert_released(scenario: Scenario, before: dict[str, object]) -> None:
    """Assert that a release leaves nothing but what prod itself has done."""
    assert footprint(scenario) != before
    done = scenario.cli("release")
    assert done.returncode == 0, done.stderr
    prod(scenario, "DROP TABLE IF EXISTS described")
    assert footprint(scenario) == before


def assert_fit(scenario: Scenario) -> None:
    done = scenario.cli("preflight", "--json")
    checks = json.loads(done.stdout)["feeds"][0]["checks"]
    assert [check for check in checks if check["result"] == "fail"] == []


def test_a_feed_lives_its_whole_life(servers: Servers, tmp_path: Path) -> None:
    scenario = Scenario(*servers, tmp_path)
    since = [major for major in CHANGES_SINCE if major <= scenario.source.major]
    additions = [(HERE / f"since_{major}.sql").read_text() for major in since]
    scenario.reset("".join([AWKWARD.read_text(), *additions]))
    before = footprint(scenario)
    assert_fit(scenario)
    agent = scenario.converge()
    assert_followed(scenario)

    for statements in (CHANGES, *(CHANGES_SINCE[major] for major in since)):
        prod(scenario, statements)
    scenario.converge(agent)
    assert_followed(scenario)
    assert_numbers_are_ahead(scenario)

    prod(scenario, WITH_ALL_THAT_IS_ITS_OWN)
    scenario.converge(agent)
    assert_followed(scenario)
    assert scenario.copies() == 1

    prod(scenario, NEW_COPY)
    scenario.converge(agent)
    assert_followed(scenario)
    assert scenario.copies() == 2
    assert_numbers_are_ahead(scenario)
    assert_released(scenario, before)


def test_copies_are_taken_at_intervals(servers: Servers, tmp_path: Path) -> None:
    snapshots = fresh(*servers, tmp_path)
    before = footprint(snapshots.scenario)
    snapshots.copy()
    snapshots.assert_equal()
    snapshots.prod("INSERT INTO jobs (scope, status) VALUES ('more', 'pending')")
    snapshots.copy()
    snapshots.assert_equal()
    assert_released(snapshots.scenario, before)


@pytest.fixture
def without_superuser(
    server_of: Callable[[int, str], PgServer], pg17: PgServer, tmp_path: Path
) -> Iterator[Scenario]:
    """A feed from 16 whose owner there may make roles and replicate, and no more."""
    found = Scenario(server_of(16, "docker"), pg17, tmp_path)
    found.reset(COMMON.read_text())
    found.owned_by("app", "CREATEROLE REPLICATION")
    found.source.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'")
    found.source.sql("SELECT pg_reload_conf()")
    yield found
    drop_everything(pg17)


def test_an_owner_without_superuser_is_enough_from_16_on(without_superuser: Scenario) -> None:
    scenario = without_superuser
    before = footprint(scenario)
    agent = scenario.converge()
    prod(scenario, "UPDATE jobs SET scope = 'changed'; INSERT INTO stream_reset VALUES ('late')")
    scenario.converge(agent)
    assert_followed(scenario)
    assert_released(scenario, before)


def test_he_is_told_what_lets_him_change_a_role_that_was_there(
    without_superuser: Scenario,
) -> None:
    """From 16 on CREATEROLE is not enough for that."""
    scenario = without_superuser
    scenario.source.sql("CREATE ROLE airbyte_migration")
    before = footprint(scenario)
    refused = scenario.cli("prepare")
    assert refused.returncode == 3
    assert footprint(scenario) == before
    way_out = re.search(r"(ALTER ROLE app .*?), as a\s+superuser", refused.stderr, re.DOTALL)
    assert way_out, refused.stderr
    scenario.source.sql(way_out[1])
    assert scenario.cli("prepare").returncode == 0
    assert_released(scenario, before)
