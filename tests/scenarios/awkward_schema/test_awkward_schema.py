"""Whatever Airbyte's database holds arrives as it is, and changes to it arrive too."""

from __future__ import annotations

from tests.support.scenario import Scenario

CHANGES = """
UPDATE zoo SET raw = '\\x01', words = '{changed}', tree = tree || '{"more": 1}' WHERE small = 1;
INSERT INTO zoo (statuses, state) VALUES ('{running}', 'it''s "odd"');
DELETE FROM zoo WHERE small = -1;
DELETE FROM stream_reset WHERE stream_name = 'nothing matches';
DELETE FROM stream_reset WHERE stream_name IS NULL;
UPDATE actor_definition_workspace_grant SET scope_id = gen_random_uuid();
UPDATE "user" SET "select" = NULL WHERE "select" = '';
UPDATE "group" SET "Mixed Case" = '', "percent%s" = NULL;
DELETE FROM "Odd Schema"."Odd.Table" WHERE id = 1;
INSERT INTO jobs (scope, status) VALUES ('late', 'pending');
INSERT INTO no_rows VALUES (gen_random_uuid(), '');
UPDATE composite_key SET payload = 'z' WHERE a = '';
"""


def test_arrives_and_follows(scenario: Scenario) -> None:
    agent = scenario.converge()
    scenario.assert_equal()
    with scenario.source.connect("airbyte") as prod:
        prod.execute(CHANGES.encode())
    scenario.assert_equal()
    found = scenario.cli("verify", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    assert agent.once() == "wait"


def test_next_number_is_free_on_the_mirror(scenario: Scenario) -> None:
    scenario.converge()
    (number,) = scenario.target.sql("SELECT nextval('jobs_id_seq')", database="airbyte_mirror")[0]
    assert number > 3000


def test_everything_belongs_to_airbyte(scenario: Scenario) -> None:
    scenario.converge()
    owners = scenario.target.sql(
        "SELECT DISTINCT pg_get_userbyid(c.relowner)::text FROM pg_class c JOIN pg_namespace n "
        "ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'Odd Schema') AND c.relkind = 'r'",
        database="airbyte_mirror",
    )
    assert owners == [("airbyte",)]
    query = "SELECT has_database_privilege('airbyte', 'airbyte_mirror', 'CONNECT')"
    assert scenario.target.sql(query) == [(False,)]
