"""Airbyte makes `secrets` when the first secret is stored: long after the copy was made."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from db_migration.agent.agent import Agent
from db_migration.agent.plan import Step
from db_migration.context import Context
from db_migration.following import follow, late, prepare
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario

SECRETS = """
CREATE TABLE secrets (coordinate text PRIMARY KEY, payload text);
INSERT INTO secrets VALUES ('airbyte_workspace_1', '{"password": "one"}');
"""


def test_is_taken_in_with_its_rows_and_changes(scenario: Scenario) -> None:
    agent = scenario.converge()
    before = scenario.target.sql("SELECT oid FROM pg_database WHERE datname = 'airbyte_mirror'")
    stop = scenario.run_in_background(agent)
    with scenario.source.connect("airbyte") as prod:
        prod.execute(SECRETS.encode())
        for number in range(50):
            query = "INSERT INTO secrets VALUES (%s, 'x')"
            prod.execute(query, (f"airbyte_workspace_late_{number}",))
        wait_for(
            lambda: "public.secrets" in scenario.content(scenario.target, "airbyte_mirror"),
            timeouts.FOLLOW,
        )
        prod.execute("UPDATE secrets SET payload = 'changed' WHERE payload = 'x'")
        prod.execute("DELETE FROM secrets WHERE coordinate = 'airbyte_workspace_late_7'")
    scenario.assert_equal()
    stop()
    after = scenario.target.sql("SELECT oid FROM pg_database WHERE datname = 'airbyte_mirror'")
    assert after == before, "the whole copy was made anew for one table"
    assert scenario.cli("verify").returncode == 0
    owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'secrets'"
    assert scenario.target.sql(owner, database="airbyte_mirror") == [("airbyte",)]


WITH_ALL_THAT_IS_ITS_OWN = """
CREATE TABLE described (id serial PRIMARY KEY, name text COLLATE "C", gone int, kept int)
    WITH (fillfactor = 70);
ALTER TABLE described DROP COLUMN gone;
CREATE POLICY all_of_it ON described USING (id > 0);
CREATE RULE nothing AS ON DELETE TO described DO INSTEAD NOTHING;
ALTER TABLE described DISABLE RULE nothing;
CREATE TRIGGER same BEFORE UPDATE ON described
    FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE described DISABLE TRIGGER same;
GRANT SELECT ON described TO PUBLIC;
GRANT UPDATE (name) ON described TO PUBLIC;
GRANT USAGE ON SEQUENCE described_id_seq TO PUBLIC;
INSERT INTO described (name) VALUES ('one');
"""


def test_is_taken_in_with_all_that_is_its_own(scenario: Scenario) -> None:
    agent = scenario.converge()
    scenario.source.sql(WITH_ALL_THAT_IS_ITS_OWN, database="airbyte")
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.copies() == 1, "the whole copy was made anew for one table"
    done = scenario.cli("verify")
    assert done.returncode == 0, done.stdout


def arrives(scenario: Scenario, agent: Agent) -> None:
    scenario.converge(agent)
    scenario.assert_equal()
    done = scenario.cli("verify")
    assert done.returncode == 0, done.stdout


WITH_FOREIGN_KEYS = """
CREATE TABLE late (id int PRIMARY KEY, job bigint REFERENCES jobs ON DELETE CASCADE);
CREATE TABLE later (late int REFERENCES late, job bigint,
    CONSTRAINT "unchecked %" FOREIGN KEY (job) REFERENCES jobs NOT VALID);
INSERT INTO jobs (id, scope, status) VALUES (77777, 'new', 'pending');
INSERT INTO late VALUES (1, 77777);
INSERT INTO later VALUES (1, 77777);
"""


def test_with_foreign_keys_while_the_mirror_is_behind_a_truncate(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What prod truncated referred to nothing else then."""
    agent = scenario.converge()
    with scenario.target.connect("airbyte_mirror") as holder, holder.transaction():
        holder.execute("LOCK TABLE workspace IN EXCLUSIVE MODE")
        with scenario.source.connect("airbyte") as prod:
            prod.execute("INSERT INTO workspace (id) VALUES (gen_random_uuid())")
            prod.execute("TRUNCATE jobs CASCADE")
            prod.execute(WITH_FOREIGN_KEYS.encode())
        with monkeypatch.context() as patched:
            patched.setattr(follow, "REFRESH_DEADLINE_SECONDS", 1)
            assert agent.once() is None
        error = scenario.state()["error"]
        assert "wait for it" in error["way_out"], error
        assert "public.late" in scenario.content(scenario.target, "airbyte_mirror")
    arrives(scenario, agent)
    assert scenario.copies() == 1


@pytest.mark.parametrize(
    ("module", "name"), [(prepare, "publish_late"), (follow, "refresh"), (late, "add_late_keys")]
)
def test_with_foreign_keys_and_a_truncate_while_they_are_taken_in(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    agent = scenario.converge()
    scenario.source.sql(WITH_FOREIGN_KEYS, database="airbyte")
    do = getattr(module, name)

    def truncated(*args: object) -> object:
        scenario.source.sql("TRUNCATE jobs CASCADE", database="airbyte")
        return do(*args)

    monkeypatch.setattr(module, name, truncated)
    arrives(scenario, agent)
    assert scenario.copies() == 1


@pytest.mark.parametrize("change", ["DROP TABLE late", "ALTER TABLE late ADD b int"])
def test_that_is_changed_before_it_is_copied_is_not_waited_for(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Its worker would try again and again, and the agent do nothing else for a minute."""
    agent = scenario.converge()
    scenario.source.sql("CREATE TABLE late (a int PRIMARY KEY)", database="airbyte")
    refresh = follow.refresh

    def first_changed(context: Context, changed: Callable[[], bool]) -> bool:
        scenario.source.sql(change, database="airbyte")
        return refresh(context, changed)

    monkeypatch.setattr(follow, "refresh", first_changed)
    assert agent.once() is Step.ADD_TABLES
    assert scenario.state()["error"] is None
    arrives(scenario, agent)


BROKEN_CHECK = """
CREATE TABLE checked (id int PRIMARY KEY);
INSERT INTO checked VALUES (1);
ALTER TABLE checked ADD CONSTRAINT big CHECK (id > 5) NOT VALID
"""


def test_with_a_check_that_its_rows_do_not_meet(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "REFRESH_DEADLINE_SECONDS", 5)
    agent = scenario.converge()
    scenario.source.sql(BROKEN_CHECK, database="airbyte")
    arrives(scenario, agent)
    assert scenario.copies() == 1


def test_that_an_old_table_refers_to_is_a_new_copy(scenario: Scenario) -> None:
    agent = scenario.converge()
    with scenario.source.connect("airbyte") as prod:
        prod.execute(WITH_FOREIGN_KEYS.encode())
        prod.execute("ALTER TABLE attempts ADD late int REFERENCES late")
    arrives(scenario, agent)
    assert scenario.copies() == 2


def test_with_statistics_is_a_new_copy(scenario: Scenario) -> None:
    """The dump of a single table has none of them."""
    agent = scenario.converge()
    scenario.source.sql(
        "CREATE TABLE counted (a int PRIMARY KEY, b int); "
        "CREATE STATISTICS of_both ON a, b FROM counted",
        database="airbyte",
    )
    scenario.converge(agent)
    assert scenario.copies() == 2
    done = scenario.cli("verify")
    assert done.returncode == 0, done.stdout


def test_table_without_a_key_is_never_published_without_an_identity(scenario: Scenario) -> None:
    agent = scenario.converge()
    scenario.source.sql(
        "CREATE TABLE keyless (a int); INSERT INTO keyless VALUES (1), (1), (2)", database="airbyte"
    )
    stop = scenario.run_in_background(agent)
    with scenario.source.connect("airbyte") as prod:
        published = "SELECT true FROM pg_publication_tables WHERE tablename = 'keyless'"

        def delete() -> bool:
            prod.execute("DELETE FROM keyless WHERE a = 3")
            return prod.execute(published).fetchone() is not None

        wait_for(delete, timeouts.FOLLOW, every=0.002)
        prod.execute("DELETE FROM keyless WHERE a = 2")
    scenario.assert_equal()
    stop()


def test_upgrade_of_airbyte_is_followed_by_a_new_copy(scenario: Scenario) -> None:
    agent = scenario.converge()
    stop = scenario.run_in_background(agent)
    with scenario.source.connect("airbyte") as prod:
        prod.execute("ALTER TABLE jobs ADD COLUMN priority int NOT NULL DEFAULT 3")
        prod.execute("ALTER TYPE job_status ADD VALUE 'cancelled'")
        prod.execute("INSERT INTO jobs (scope, status) VALUES ('new', 'cancelled')")
    scenario.assert_equal()
    wait_for(lambda: scenario.state()["state"] == "following", timeouts.FOLLOW)
    stop()
    assert scenario.cli("verify").returncode == 0


def test_slot_of_a_single_table_does_not_outlive_the_feed(scenario: Scenario) -> None:
    agent = scenario.converge()
    # What keeps the first copy of the table from ending, as a full disk does.
    scenario.target.sql(
        "CREATE TABLE late (id int PRIMARY KEY CHECK (id < 0)); ALTER TABLE late OWNER TO airbyte",
        database="airbyte_mirror",
    )
    stop = scenario.run_in_background(agent)
    scenario.source.sql(
        "CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)", database="airbyte"
    )
    slots = "SELECT slot_name::text FROM pg_replication_slots ORDER BY 1"
    wait_for(lambda: len(scenario.source.sql(slots)) == 2, timeouts.FOLLOW)
    scenario.target.kill()
    stop()
    of_the_table = scenario.source.sql(slots)[1][0]
    planned = scenario.cli("release", "--dry-run").stdout
    assert f"replication slot `{of_the_table}`: drop it" in planned
    done = scenario.cli("release")
    assert done.returncode == 0, done.stderr
    assert scenario.source.sql(slots) == []
