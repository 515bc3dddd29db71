"""Two databases of one server, each with its feed: each is released as if it were alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db_migration.following import marks
from tests.scenarios.release.test_release import footprint
from tests.scenarios.release.test_role_of_theirs import ROLE, do
from tests.support.fix_postgres import PgServer, drop_everything
from tests.support.scenario import Scenario, command

OTHER = "orders"
LEFT = """
SELECT (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_default_acl),
    (SELECT count(*) FROM pg_class WHERE relreplident = 'f'),
    (SELECT count(*) FROM pg_class WHERE relacl::text LIKE '%airbyte_migration%')
"""


@pytest.fixture
def other(scenario: Scenario, pg17_too: PgServer, tmp_path: Path) -> Iterator[Scenario]:
    """The feed of the other database, with an agent and a target of its own."""
    drop_everything(pg17_too)
    scenario.source.sql(f"CREATE DATABASE {OTHER}")
    made = "CREATE TABLE keyless (word text); INSERT INTO keyless VALUES ('a')"
    scenario.source.sql(made, database=OTHER)
    (tmp_path / "other").mkdir()
    changed = {
        "feeds.0.target.name": "intermediary",
        "feeds.0.working_database": None,
        "feeds.0.source.database": OTHER,
    }
    found = Scenario(scenario.source, pg17_too, tmp_path / "other", settings=changed)
    found.set_up_target()
    yield found
    with suppress(psycopg.Error):
        found.cli("release")
    drop_everything(pg17_too)


def left(scenario: Scenario) -> list[tuple[Any, ...]]:
    return [row for name in ("airbyte", OTHER) for row in scenario.source.sql(LEFT, database=name)]


def test_of_two_feeds_of_one_host_the_last_ones_list_names_what_goes_with_it(
    scenario: Scenario, other: Scenario
) -> None:
    """What the first one leaves to the other must stand in the other's list."""
    do(scenario, "prepare")
    do(other, "prepare")
    whole = json.loads(scenario.write_config().read_text())
    second = json.loads(other.write_config().read_text())["feeds"][0]
    both = scenario.folder / "both.json"
    whole["feeds"].append({**second, "name": "second"})
    both.write_text(json.dumps(whole))
    planned = command(both, "release", "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    first, last = (
        {trace["what"]: trace["undo"] for trace in feed["traces"]}
        for feed in json.loads(planned.stdout)["feeds"]
    )
    assert first[f"role `{ROLE}`"].startswith(f"leave it for the feed from `{OTHER}`")
    assert last[f"role `{ROLE}` with SELECT on every table"] == "drop it"
    assert last["`max_slot_wal_keep_size` by ALTER SYSTEM"] == "reset it, at once"
    assert "`max_slot_wal_keep_size` by ALTER SYSTEM" not in first


@pytest.mark.parametrize(
    "first_out",
    [True, pytest.param(False, marks=pytest.mark.long)],
    ids=["first_goes", "second_goes"],
)
def test_each_is_released_alone(scenario: Scenario, other: Scenario, *, first_out: bool) -> None:
    before, clean = footprint(scenario), left(scenario)
    scenario.converge()
    agent = other.converge()
    goes, stays = (scenario, other) if first_out else (other, scenario)
    assert "leave it for the feed from" in goes.cli("release", "--dry-run").stdout
    assert goes.cli("release").returncode == 0
    gone = 0 if first_out else 1
    assert left(scenario)[gone] == clean[gone]
    assert scenario.source.sql("SHOW max_slot_wal_keep_size") != [("-1",)]
    if first_out:
        scenario.source.sql("UPDATE keyless SET word = 'b'", database=OTHER)
        other.converge(agent)
    found = stays.cli("verify")
    assert found.returncode == 0, found.stderr
    released = stays.cli("release")
    assert released.returncode == 0, released.stderr
    assert left(scenario) == clean
    assert footprint(scenario) == before


def test_a_note_that_names_no_database_stays_with_the_one_it_is_about(
    scenario: Scenario, other: Scenario
) -> None:
    before, clean = footprint(scenario), left(scenario)
    do(scenario, "prepare")
    comment = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s"
    ((text,),) = scenario.source.sql(comment, ROLE)
    note = json.loads(text)[marks.KEY]
    (mine,) = note.pop(marks.DATABASES).values()
    written = json.dumps({marks.KEY: {**note, **mine}})  # as the version before wrote it
    scenario.source.sql(f"COMMENT ON ROLE {ROLE} IS '{written}'")
    do(other, "prepare")
    do(scenario, "release")
    assert left(scenario)[0] == clean[0]
    do(other, "release")
    assert left(scenario) == clean
    assert footprint(scenario) == before


def test_two_feeds_that_note_at_once_lose_nothing(scenario: Scenario, other: Scenario) -> None:
    do(scenario, "prepare")
    with scenario.context().owner.connect() as one, other.context().owner.connect() as two:
        noted = marks.read_role(two, ROLE) or {}
        mine = {**(marks.read_role(one, ROLE) or {}), "wal_level_was": "replica"}
        marks.write_role(one, ROLE, mine)
        marks.write_role(two, ROLE, {**noted, "had": []})
        assert marks.read_role(one, ROLE) == mine
        assert marks.elsewhere(one, ROLE) == [OTHER]
    do(scenario, "release")
    do(other, "release")
