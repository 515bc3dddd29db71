"""DDL that changes rows is in no stream of changes: a definition that looks alike is no proof."""

from __future__ import annotations

import pytest

from db_migration.agent.plan import Step
from db_migration.context import Context
from db_migration.following import follow
from db_migration.seeding import seed
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import SLOT, Scenario

SETUP = """
CREATE TABLE one (a int, b int);
CREATE TABLE two (a int, b int);
INSERT INTO one VALUES (1, 1), (2, 2);
INSERT INTO two VALUES (3, 3);
CREATE SCHEMA blue CREATE TABLE release (id int PRIMARY KEY, name text);
CREATE SCHEMA green CREATE TABLE release (id int PRIMARY KEY, name text);
INSERT INTO blue.release VALUES (1, 'blue');
INSERT INTO green.release VALUES (1, 'green'), (2, 'green');
CREATE TABLE keyed (id int PRIMARY KEY, other int NOT NULL UNIQUE, text text);
INSERT INTO keyed VALUES (1, 10, 'kept'), (2, 20, 'changed'), (3, 30, 'gone');
"""
CASES = {
    "a table is made again while another one lacks an identity": "DROP TABLE stream_reset; "
    "CREATE TABLE stream_reset (stream_name text, created_at timestamptz DEFAULT now()); "
    "INSERT INTO stream_reset VALUES ('new'); ALTER TABLE jobs REPLICA IDENTITY NOTHING",
    "two tables change their names": "ALTER TABLE one RENAME TO passing; "
    "ALTER TABLE two RENAME TO one; ALTER TABLE passing RENAME TO two",
    "two tables change their names and take them back": "ALTER TABLE one RENAME TO passing; "
    "ALTER TABLE two RENAME TO one; ALTER TABLE passing RENAME TO two; INSERT INTO one VALUES "
    "(4, 4); ALTER TABLE one RENAME TO passing; ALTER TABLE two RENAME TO one; "
    "ALTER TABLE passing RENAME TO two",
    "two schemas change their names": "ALTER SCHEMA blue RENAME TO passing; "
    "ALTER SCHEMA green RENAME TO blue; ALTER SCHEMA passing RENAME TO green",
    "a column is made again": "ALTER TABLE attempts DROP output, ADD output jsonb",
    "values are computed anew": "ALTER TABLE jobs ALTER scope TYPE text USING upper(scope)",
    "numbers are computed anew": "ALTER TABLE one ALTER a TYPE int USING a + 1",
    "another index names the rows": "ALTER TABLE keyed REPLICA IDENTITY USING INDEX "
    "keyed_other_key; UPDATE keyed SET text = 'new' WHERE id = 2; DELETE FROM keyed WHERE id = 3",
}
IN_THE_STREAM = """
TRUNCATE jobs CASCADE;
INSERT INTO jobs (scope, status) VALUES ('after', 'succeeded');
CLUSTER keyed USING keyed_pkey;
"""


@pytest.mark.parametrize("case", CASES)
def test_is_a_new_copy(scenario: Scenario, case: str) -> None:
    scenario.source.sql(SETUP, database="airbyte")
    agent = scenario.converge()
    scenario.source.sql(CASES[case], database="airbyte")
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.copies() == 2


def test_names_taken_back_show_in_tables_of_any_owner(scenario: Scenario) -> None:
    scenario.source.sql(SETUP, database="airbyte")
    scenario.owned_by("app", "SUPERUSER")
    agent = scenario.converge()
    back = CASES["two tables change their names and take them back"]
    scenario.source.sql(f"SET ROLE app; {back}", database="airbyte")
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.copies() == 2


def test_another_owner_is_none(scenario: Scenario) -> None:
    agent = scenario.converge()
    scenario.source.sql("CREATE ROLE app; CREATE ROLE heir")
    for given in ("ALTER TABLE jobs OWNER TO app", "REASSIGN OWNED BY app TO heir"):
        scenario.source.sql(given, database="airbyte")
        scenario.converge(agent)
    scenario.source.sql(
        "INSERT INTO jobs (scope, status) VALUES ('x', 'failed')", database="airbyte"
    )
    scenario.assert_equal()
    assert scenario.copies() == 1


def test_a_new_copy_needs_no_right_of_the_owner_on_slots(scenario: Scenario) -> None:
    """What he may do has been taken from him since he prepared the source."""
    scenario.converge()
    scenario.owned_by("app")
    agent = scenario.converge(scenario.agent())
    scenario.source.sql("ALTER TABLE jobs ADD COLUMN extra int", database="airbyte")
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.copies() == 2


def test_what_the_stream_carries_is_none(scenario: Scenario) -> None:
    scenario.source.sql(SETUP, database="airbyte")
    agent = scenario.converge()
    with scenario.source.connect("airbyte") as prod:
        prod.execute(IN_THE_STREAM.encode())
        prod.execute("VACUUM FULL")
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.copies() == 1


def test_while_a_copy_is_made_is_another_copy(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the copy's snapshot a rewritten table is empty, whoever counts its rows."""
    restore = seed.restore_schema

    def rewritten(context: Context, script: str) -> None:
        if scenario.copies() == 1:
            scenario.source.sql(CASES["values are computed anew"], database="airbyte")
        restore(context, script)

    monkeypatch.setattr(seed, "restore_schema", rewritten)
    scenario.converge()
    scenario.assert_equal()
    assert scenario.copies() == 2


NOT_APPLICABLE = {
    # what is there before the copy, and what prod does that the mirror refuses
    "a key is made again after a truncate": (
        "",
        "ALTER TABLE attempts DROP CONSTRAINT attempts_job_id_fkey; TRUNCATE jobs; "
        "TRUNCATE attempts; ALTER TABLE attempts ADD CONSTRAINT attempts_job_id_fkey "
        "FOREIGN KEY (job_id) REFERENCES jobs (id)",
    ),
    "a truncate takes a partitioned table along": (
        "CREATE TABLE parted (id int, job bigint REFERENCES jobs) PARTITION BY RANGE (id); "
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10); "
        "INSERT INTO parted VALUES (1, 1)",
        "TRUNCATE jobs CASCADE",
    ),
    "a check is made again after a row that it forbids": (
        "ALTER TABLE keyed ADD CONSTRAINT few CHECK (other < 99) NOT VALID",
        "ALTER TABLE keyed DROP CONSTRAINT few; INSERT INTO keyed VALUES (4, 100, 'many'); "
        "ALTER TABLE keyed ADD CONSTRAINT few CHECK (other < 99) NOT VALID",
    ),
}


@pytest.mark.parametrize("case", NOT_APPLICABLE)
def test_what_the_mirror_refuses_for_ever_is_a_new_copy(scenario: Scenario, case: str) -> None:
    """The stream has no DDL, so the mirror has keys and checks that prod did not have then."""
    before, change = NOT_APPLICABLE[case]
    scenario.source.sql(f"{SETUP}; {before}", database="airbyte")
    agent = scenario.converge()
    with scenario.source.connect("airbyte") as prod, prod.transaction():
        prod.execute(change.encode())
    wait_for(lambda: agent.once() is Step.DROP_SUBSCRIPTION, timeouts.FOLLOW)
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.copies() == 2


COPY_SLOT = "SELECT FROM pg_copy_logical_replication_slot(%s, %s)"
DROP_SLOT = "SELECT FROM pg_drop_replication_slot(%s)"


@pytest.mark.parametrize("noted", [True, False], ids=["now", "by an earlier version"])
def test_taken_back_before_the_slot_is_dropped_leads_to_no_row_twice(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, *, noted: bool
) -> None:
    """A source that crashes may have forgotten how far its slot was, back to where it began."""
    agent = scenario.agent()
    wait_for(lambda: agent.once() is Step.SUBSCRIBE, timeouts.CONVERGE)
    scenario.source.sql(COPY_SLOT, SLOT, "as_at_first", database="airbyte")
    with monkeypatch.context() as patched:
        if not noted:
            patched.setattr(follow, "note_followed", lambda _: None)
        scenario.converge(agent)
    scenario.source.sql("INSERT INTO stream_reset VALUES ('once')", database="airbyte")
    scenario.assert_equal()
    follow.drop_subscription(agent.context)
    scenario.source.sql(DROP_SLOT, SLOT, database="airbyte")
    scenario.source.sql(COPY_SLOT, "as_at_first", SLOT, database="airbyte")
    scenario.source.sql(DROP_SLOT, "as_at_first", database="airbyte")
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.copies() == 2


def test_subscription_that_is_not_enabled_yet_is_no_reason_for_another_copy(
    scenario: Scenario,
) -> None:
    agent = scenario.agent()
    wait_for(lambda: agent.once() is Step.SWAP_MIRROR, timeouts.CONVERGE)
    scenario.settings["feeds.0.source.address_for_subscriber.port"] = 1
    assert scenario.agent().once() is None
    del scenario.settings["feeds.0.source.address_for_subscriber.port"]
    wait_for(lambda: agent.once() is Step.SUBSCRIBE, timeouts.CONVERGE)
    scenario.converge()
    scenario.assert_equal()
    assert scenario.copies() == 1
