"""The bootloader and the schema it makes."""

from collections.abc import Callable

import pytest

from tests.conformance.harness import Airbyte, PostgresServer

NO_KEY = """SELECT c.relname FROM pg_class c WHERE c.relkind = 'r'
  AND c.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
  ORDER BY 1"""


def init_rows(airbyte: Airbyte) -> int:
    return int(airbyte.one("SELECT count(*) FROM airbyte_metadata WHERE key LIKE '%_init_db'"))


def test_every_run_writes(compose: Airbyte) -> None:
    """4.1, 4.4: airbyte_version, deployment_id kept, one `<timestamp>_init_db` row per run."""
    assert compose.boot().popen.returncode == 0
    first = compose.one("SELECT value FROM airbyte_metadata WHERE key = 'deployment_id'")
    before = compose.one("SELECT max(updated_at) FROM actor_definition_version")
    assert compose.boot().popen.returncode == 0
    assert init_rows(compose) == 2
    again = compose.one("SELECT value FROM airbyte_metadata WHERE key = 'deployment_id'")
    assert again == first
    assert compose.one("SELECT max(updated_at) FROM actor_definition_version") > before
    version = compose.one("SELECT value FROM airbyte_metadata WHERE key = 'airbyte_version'")
    assert version == "0.63.15"


def test_awkward_properties_of_0_63_15(compose: Airbyte) -> None:
    """4.2, 4.3: two tables without a key whose unique index holds a nullable column; only two
    sequences; a table `user`; `secrets` not made by Flyway.
    """
    compose.boot()
    names = [row["relname"] for row in compose.sql(NO_KEY)]
    assert names == ["actor_definition_workspace_grant", "stream_reset"]
    nullable = compose.sql(
        """SELECT i.indrelid::regclass::text AS name FROM pg_index i
           JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
           WHERE i.indisunique AND NOT a.attnotnull AND i.indrelid::regclass::text = ANY(%s)""",
        [names],
    )
    assert {row["name"] for row in nullable} == set(names)
    sequences = compose.sql("SELECT relname FROM pg_class WHERE relkind = 'S' ORDER BY 1")
    assert [row["relname"] for row in sequences] == ["attempts_id_seq", "jobs_id_seq"]
    assert compose.one("SELECT to_regclass('public.\"user\"') IS NOT NULL")
    assert compose.one("SELECT to_regclass('public.secrets') IS NULL")
    identity = "SELECT attidentity FROM pg_attribute WHERE attrelid='jobs'::regclass AND attnum=1"
    assert compose.one(identity) == "d"
    assert compose.one("SELECT count(*) FROM pg_type WHERE typtype = 'e'") >= 20
    assert compose.one("SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql'") == 0


def test_flyway_history(compose: Airbyte) -> None:
    """6: 0.63.15's newest config migration is 0.57.4.013."""
    compose.boot()
    newest = "SELECT version FROM airbyte_configs_migrations ORDER BY installed_rank DESC LIMIT 1"
    assert compose.one(newest) == "0.57.4.013"


def test_upgrade_to_1_8_5_is_one_step_and_irreversible(compose: Airbyte) -> None:
    """6: 0.63.x to any 1.x is allowed; geography becomes a data-plane group; columns go."""
    compose.boot()
    secret = {"LAB_AUTH_SECRET_FILE": str(compose.folder / "auth.json")}
    more = {"WORKER_ENVIRONMENT": "kubernetes", **secret}
    process = compose.boot("1.8.5", **more)
    assert process.popen.returncode == 0, process.text()
    assert compose.sql("SELECT name FROM dataplane_group") == [{"name": "AUTO"}]
    columns = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'geography'"
    assert compose.one(columns) == 0
    joined = """SELECT g.name FROM dataplane d JOIN dataplane_group g ON g.id = d.dataplane_group_id
                JOIN workspace w ON w.dataplane_group_id = g.id"""
    assert compose.one(joined) == "AUTO"


def test_no_downgrade_protection(compose: Airbyte) -> None:
    """6: nothing refuses a newer database; the bootloader overwrites airbyte_version, and the old
    application then fails on columns that are gone.
    """
    compose.boot()
    compose.boot("1.8.5", LAB_AUTH_SECRET_FILE=str(compose.folder / "auth.json"))
    process = compose.boot("0.63.15")
    assert process.popen.returncode == 0, process.text()
    version = compose.one("SELECT value FROM airbyte_metadata WHERE key = 'airbyte_version'")
    assert version == "0.63.15"


@pytest.mark.parametrize(
    ("found", "stop"), [("0.30.1-alpha", "0.32.0-alpha"), ("0.35.2-alpha", "0.37.0-alpha")]
)
def test_gate_for_ancient_databases(compose: Airbyte, found: str, stop: str) -> None:
    """6: only a database older than 0.32.0-alpha or 0.37.0-alpha must stop there first."""
    compose.boot()
    compose.sql("UPDATE airbyte_metadata SET value = %s WHERE key = 'airbyte_version'", [found])
    process = compose.boot("1.8.5", LAB_AUTH_SECRET_FILE=str(compose.folder / "auth.json"))
    assert process.popen.returncode == 1
    assert f"First you must upgrade to version {stop}" in process.text()


@pytest.mark.parametrize(("group", "groups"), [("AUTO", {"AUTO"}), ("", {"", "AUTO"})])
def test_dataplane_group_trap(compose: Airbyte, group: str, groups: set[str]) -> None:
    """6: from 2.0 a new cluster looks the group up by name; an empty name makes a second one."""
    compose.boot()
    more = {"LAB_AUTH_SECRET_FILE": str(compose.folder / "auth.json")}
    process = compose.boot("2.0.1", DEFAULT_DATAPLANE_GROUP_NAME=group, **more)
    assert process.popen.returncode == 0, process.text()
    assert {row["name"] for row in compose.sql("SELECT name FROM dataplane_group")} == groups


def test_skipping_migrations_still_writes(compose: Airbyte) -> None:
    """3.4: even with migrations off the bootloader writes."""
    compose.boot()
    process = compose.boot("1.8.5", RUN_DATABASE_MIGRATION_ON_STARTUP="false")
    assert "migration has been skipped" in process.text()
    assert compose.one("SELECT to_regclass('public.dataplane_group') IS NULL")


def test_newer_versions_add_a_quoted_table_and_keyless_ones(
    make_airbyte: Callable[[PostgresServer], Airbyte], pg17: PostgresServer
) -> None:
    """4.2: later versions add enum values, `group`, and two more tables without a key."""
    airbyte = make_airbyte(pg17)
    airbyte.boot()
    more = {"LAB_AUTH_SECRET_FILE": str(airbyte.folder / "auth.json")}
    process = airbyte.boot("2.2.0", DEFAULT_DATAPLANE_GROUP_NAME="AUTO", **more)
    assert process.popen.returncode == 0, process.text()
    names = {row["relname"] for row in airbyte.sql(NO_KEY)}
    assert {"application", "observability_stream_stats"} <= names
    assert airbyte.one("SELECT to_regclass('public.\"group\"') IS NOT NULL")
