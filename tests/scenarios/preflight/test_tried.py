"""What preflight tries on prod has no more rights than its owner, and leaves nothing behind."""

from __future__ import annotations

from db_migration import postgres
from db_migration.preflight import definitions
from db_migration.preflight.checklist import Result
from tests.scenarios.preflight.test_preflight import checked
from tests.support.scenario import Scenario

THEIRS = """
CREATE ROLE theirs;
CREATE SCHEMA theirs AUTHORIZATION theirs;
SET ROLE theirs;
CREATE FUNCTION theirs.who(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    BEGIN PERFORM set_config('role', 'none', true); EXCEPTION WHEN OTHERS THEN NULL; END;
    IF current_setting('transaction_read_only') = 'on' THEN
        RAISE undefined_function USING MESSAGE = 'asked by ' || current_user;
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION theirs.sets(int) RETURNS boolean LANGUAGE sql
    AS $$ SELECT set_config('search_path', 'theirs', false) <> '' $$;
CREATE TABLE theirs.asking (id int CONSTRAINT asks CHECK (theirs.who(id)));
CREATE TABLE theirs.setting (id int CHECK (theirs.sets(id)));
INSERT INTO theirs.asking VALUES (1);
INSERT INTO theirs.setting VALUES (1)
"""


def test_what_is_tried_has_its_owners_rights_and_leaves_nothing(scenario: Scenario) -> None:
    scenario.source.sql(THEIRS, database="airbyte")
    try:
        with scenario.context().owner.connect() as connection:
            found = definitions.needing_a_path(connection)
            assert "theirs.asking: constraint asks (asked by theirs)" in (found or ())
            assert postgres.value(connection, "SHOW search_path") == "pg_catalog"
            postgres.run(connection, "REVOKE TEMP ON DATABASE airbyte FROM PUBLIC")
            with postgres.become(connection, "theirs"):  # what can not be tried is not found good
                assert definitions.needing_a_path(connection) is None
    finally:
        scenario.source.sql("GRANT TEMP ON DATABASE airbyte TO PUBLIC")
        gone = "DROP SCHEMA theirs CASCADE; DROP ROLE theirs"
        scenario.source.sql(gone, database="airbyte")


def test_what_others_own_and_the_owner_may_not_let_the_feed_read_is_named(
    scenario: Scenario,
) -> None:
    scenario.settings["feeds.0.mode"] = "snapshot"
    scenario.owned_by("app", "CREATEROLE")
    scenario.source.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database="airbyte")
    scenario.source.sql(
        'GRANT USAGE ON SCHEMA dotted, "dotted.by", public TO PUBLIC; GRANT app TO docker; '
        'ALTER TABLE dotted."by.both" OWNER TO app; ALTER TABLE "dotted.by".both OWNER TO app; '
        "CREATE SEQUENCE theirs; CREATE VIEW open AS SELECT 1; GRANT SELECT ON open TO PUBLIC; "
        "CREATE SCHEMA closed; GRANT USAGE ON SCHEMA closed TO app",
        database="airbyte",
    )
    found = checked(scenario)["source.owner"]
    assert found.found.endswith("what others own: public.theirs, schema closed")
    scenario.source.sql(
        "GRANT SELECT ON theirs TO app WITH GRANT OPTION; ALTER SCHEMA closed OWNER TO app",
        database="airbyte",
    )
    assert checked(scenario)["source.owner"].result is Result.PASS
