"""Types, checks and keys of somebody else's database."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import ROOT, Scenario

KEYS = {
    # the type of a key, what is needed to make it, and a value
    "of_an_extension": ("ext.ltree", "CREATE SCHEMA ext; CREATE EXTENSION ltree SCHEMA ext", "a.b"),
    "without_case": ("citext", "CREATE EXTENSION citext", "Ab"),
    "enum": ("mood", "CREATE TYPE mood AS ENUM ('so so')", "so so"),
    "composite": ("pair", "CREATE TYPE pair AS (a int, b text)", '(1,"x y")'),
    "range": ("int4range", "", "[1,3)"),
    "domain": ("code", "CREATE DOMAIN code AS char(5)", "ab"),
    "array": ("int[]", "", "[2:3]={1,2}"),
    "not_a_number": ("numeric", "", "NaN"),
}


@pytest.mark.parametrize(("kind", "needed", "value"), KEYS.values(), ids=list(KEYS))
def test_a_row_is_named_by_a_key_of_any_type(
    scenario: Scenario, kind: str, needed: str, value: str
) -> None:
    make = (
        f"{needed}; CREATE TABLE keyed (key {kind}, part int, word text, PRIMARY KEY (part, key))"
    )
    scenario.source.sql(make, database="airbyte")
    insert = "INSERT INTO keyed VALUES (%s, 1, 'a'), (%s, 2, 'a')"
    scenario.source.sql(insert, value, value, database="airbyte")
    scenario.converge()
    assert scenario.cli("verify").returncode == 0
    planted = "UPDATE keyed SET word = 'planted' WHERE part = 2"
    scenario.target.sql(planted, database="airbyte_mirror")
    found = scenario.cli("verify", "--json")
    assert found.returncode == 3, found.stderr
    (row,) = json.loads(found.stdout)["feeds"][0]["different_rows"]
    assert (row["column"], row["source"], row["mirror"]) == ("word", "a", "planted")


WAITS_ON_THE_TARGET = """
CREATE FUNCTION patient(number int) RETURNS boolean LANGUAGE sql AS
$$ SELECT CASE WHEN current_setting('server_version_num')::int < 160000 THEN true
   ELSE pg_sleep(600)::text = '' END $$;
CREATE TABLE slow (id int PRIMARY KEY CHECK (patient(id)));
INSERT INTO slow VALUES (1)
"""
WAITING = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query ~ 'COPY'"


def test_a_copy_that_waits_on_the_target_does_not_keep_the_process_from_ending(
    scenario: Scenario,
) -> None:
    """Nor its other threads, one of which may be loading the table that it waits for."""
    scenario.source.sql(WAITS_ON_THE_TARGET, database="airbyte")
    command = [sys.executable, "-m", "db_migration", "run", "--config"]
    run = subprocess.Popen([*command, str(scenario.write_config())], cwd=ROOT)
    try:
        wait_for(lambda: scenario.target.sql(WAITING), timeouts.CONVERGE)
        run.terminate()
        assert run.wait(timeouts.SERVER_STOP) == 0
    finally:
        run.kill()
        run.wait()
