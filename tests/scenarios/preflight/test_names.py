"""A database of theirs under a name of ours: it is named before, and never dropped."""

from __future__ import annotations

import psycopg
import pytest

from db_migration.errors import BlockedError
from db_migration.following import follow, marks, working
from db_migration.preflight.checklist import Result
from db_migration.seeding import seed
from tests.scenarios.preflight.test_preflight import checked
from tests.support.scenario import Scenario

SEED = "airbyte_mirror_seed"
NAMES = {
    SEED: follow.drop_seed,
    "airbyte_mirror_old": follow.drop_old_mirror,
    "airbyte_next": working.drop_next,
    "airbyte_old": working.drop_old,
}
THEIRS = "finance, do not touch"
FOUND = {
    # its comment, whether it holds a table; how the check comes out, and whether it may be dropped
    "theirs": (THEIRS, True, Result.FAIL, False),
    "theirs_and_empty": (THEIRS, False, Result.WARNING, True),
    "json_of_theirs": ('{"kind": "mirror"}', True, Result.FAIL, False),
    "killed_under_an_older_version": (None, True, Result.FAIL, True),
    "killed_before_its_mark": (None, False, Result.WARNING, True),
    "ours_unfinished": ('{"airbyte_migration": {"kind": "unfinished"}}', True, Result.PASS, True),
}


def make(scenario: Scenario, name: str, comment: str | None, *, filled: bool) -> None:
    scenario.target.sql(f"CREATE DATABASE {name} OWNER airbyte")
    if comment is not None:
        text = psycopg.sql.Literal(comment).as_string(None)
        scenario.target.sql(f"COMMENT ON DATABASE {name} IS {text}")
    if filled:
        scenario.target.sql("CREATE TABLE precious AS SELECT 1", database=name)


def there(scenario: Scenario, name: str) -> bool:
    return bool(scenario.target.sql("SELECT FROM pg_database WHERE datname = %s", name))


@pytest.mark.parametrize(
    ("comment", "filled", "result", "dropped"), FOUND.values(), ids=list(FOUND)
)
def test_what_is_found_under_our_names(
    scenario: Scenario, comment: str | None, result: Result, *, filled: bool, dropped: bool
) -> None:
    for name in NAMES:
        make(scenario, name, comment, filled=filled)
    check = checked(scenario)["target.names"]
    assert check.result is result
    if result is not Result.PASS:
        assert all(name in check.found for name in NAMES)
    for name, drop in NAMES.items():
        if dropped:
            drop(scenario.context())
        else:
            with pytest.raises(BlockedError, match=f"`{name}` on the target holds tables"):
                drop(scenario.context())
        assert there(scenario, name) is not dropped


def test_the_agent_goes_on_once_it_is_renamed(scenario: Scenario) -> None:
    scenario.source.sql("ALTER TABLE guarded DISABLE ROW LEVEL SECURITY", database="airbyte")
    make(scenario, SEED, THEIRS, filled=True)
    agent = scenario.agent()
    while agent.once() is not None:
        pass
    assert f"`{SEED}` on the target holds tables" in scenario.state()["error"]["found"]
    scenario.target.sql(f"ALTER DATABASE {SEED} RENAME TO finance")
    assert agent.once() is not None
    assert scenario.target.sql("SELECT * FROM precious", database="finance") == [(1,)]


def test_a_copy_is_ours_from_its_beginning(scenario: Scenario) -> None:
    seed.create_database(scenario.context())
    with scenario.target.connect() as connection:
        comment = marks.of_database(connection, SEED)
    assert not marks.is_strange(comment)
    assert comment is not None
    assert marks.mirror_mark(comment) is None
    assert checked(scenario)["target.names"].result is Result.PASS
