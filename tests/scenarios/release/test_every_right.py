"""Whatever the catalogs of prod's server say otherwise after `prepare` is named, and undone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.conftest import COMMON
from tests.scenarios.release.catalog_facts import Facts, changed, facts
from tests.support.fix_postgres import PgServer
from tests.support.scenario import Scenario

ROLE = "airbyte_migration"
LIVED_IN = """
REVOKE ALL ON DATABASE airbyte FROM PUBLIC;
CREATE SCHEMA audit;
CREATE TABLE audit.parts (id int, word text) PARTITION BY RANGE (id);
CREATE TABLE audit.first_part PARTITION OF audit.parts FOR VALUES FROM (0) TO (9);
CREATE VIEW audit.seen AS SELECT * FROM audit.parts;
CREATE MATERIALIZED VIEW audit.counted AS SELECT count(*) FROM jobs;
CREATE SEQUENCE audit.numbers;
CREATE FUNCTION audit.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER TABLE stream_reset REPLICA IDENTITY NOTHING;
GRANT INSERT ON jobs TO PUBLIC;
CREATE ROLE reporting;
ALTER ROLE reporting SET work_mem = '8MB';
GRANT SELECT ON ALL TABLES IN SCHEMA audit TO reporting WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA audit GRANT SELECT ON TABLES TO reporting;
COMMENT ON TABLE jobs IS 'theirs';
DO $$ BEGIN FOR n IN 1..70 LOOP
    EXECUTE format('CREATE TABLE audit.keyless_%s (word text)', n);
END LOOP; END $$;
"""
MANY = 70
"""Tables without a key, each of which gets a replica identity."""
MOST_LINES = 40


@pytest.fixture(params=["pg13", pytest.param("pg17_too", marks=pytest.mark.long)])
def lived_in(request: pytest.FixtureRequest, pg17: PgServer, tmp_path: Path) -> Iterator[Scenario]:
    """An old and a new server on which somebody has given rights, and set what we set, too."""
    source: PgServer = request.getfixturevalue(request.param)
    found = Scenario(source, pg17, tmp_path)
    found.reset(COMMON.read_text() + LIVED_IN, wal_level="replica")
    found.settings["feeds.0.working_database"] = None
    yield found
    source.sql("ALTER DATABASE airbyte ALLOW_CONNECTIONS true")


def listed(scenario: Scenario) -> list[dict[str, Any]]:
    planned = scenario.cli("release", "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    found: list[dict[str, Any]] = json.loads(planned.stdout)["feeds"][0]["traces"]
    return found


def lines(traces: list[dict[str, Any]]) -> list[str]:
    parts = [part for trace in traces for part in trace["parts"]]
    return [trace["what"] for trace in traces] + [f"{one['right']} {one['on']}" for one in parts]


def not_named(differences: Facts, traces: list[dict[str, Any]]) -> list[str]:
    text = "\n".join(lines(traces))
    return sorted(
        fact for fact, named in differences.items() if not re.search(f"^{named}", text, re.M)
    )


def released(scenario: Scenario) -> Facts:
    done = scenario.cli("release")
    assert done.returncode == 0, done.stderr
    scenario.source.restart()
    return facts(scenario.source)


def converged(scenario: Scenario) -> None:
    scenario.converge()


def prepared(scenario: Scenario) -> None:
    done = scenario.cli("prepare")
    assert done.returncode == 0, done.stderr


def test_every_difference_is_named_and_none_is_left(lived_in: Scenario) -> None:
    before = facts(lived_in.source)
    converged(lived_in)
    after = facts(lived_in.source)
    assert not_named(changed(before, after), listed(lived_in)) == []
    said = lived_in.cli("release", "--dry-run").stdout
    assert facts(lived_in.source) == after
    assert f"({MANY + 2})" in said
    assert len(said.splitlines()) < MOST_LINES
    assert changed(before, released(lived_in)) == {}


def test_nothing_is_named_that_makes_no_difference(lived_in: Scenario) -> None:
    before = facts(lived_in.source)
    prepared(lived_in)
    differences = changed(before, facts(lived_in.source)).values()
    named = lines(listed(lived_in))
    assert len(named) == len(set(named))
    assert [line for line in named if not any(re.match(one, line) for one in differences)] == []
    released(lived_in)
    assert listed(lived_in) == []


def test_an_owner_without_superuser_has_every_right_named(lived_in: Scenario) -> None:
    """From 16 on he becomes a member of the role that he makes."""
    lived_in.source.sql("DROP SCHEMA audit CASCADE", database="airbyte")
    lived_in.owned_by("app", "CREATEROLE")
    lived_in.settings["feeds.0.mode"] = "snapshot"
    before = facts(lived_in.source)
    prepared(lived_in)
    assert not_named(changed(before, facts(lived_in.source)), listed(lived_in)) == []
    assert changed(before, released(lived_in)) == {}


def test_a_role_of_theirs_keeps_all_but_its_password(lived_in: Scenario) -> None:
    lived_in.source.sql(f"CREATE ROLE {ROLE} NOLOGIN")
    lived_in.source.sql(f"GRANT SELECT ON jobs TO {ROLE}", database="airbyte")
    before = facts(lived_in.source)
    converged(lived_in)
    assert not_named(changed(before, facts(lived_in.source)), listed(lived_in)) == []
    left = changed(before, released(lived_in))
    assert [fact for fact in left if "our password" not in fact] == []
