"""Whatever verification names, prod's catalog shows at the next look; what is ours is no change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from db_migration import catalog
from db_migration.following import schema_watch
from db_migration.following.schema_watch import Schema
from db_migration.postgres import Connection
from tests.scenarios.conftest import COMMON
from tests.scenarios.differences.cases import RIGHTS, SEQUENCES
from tests.scenarios.differences.definitions import DEFINITIONS
from tests.support.fix_postgres import PgServer

NAMED = {
    **DEFINITIONS,
    **{case: SEQUENCES[case] for case in ("sequence that a crash empties", "sequence's cache")},
    **{case: RIGHTS[case] for case in ("grant", "grant on a column", "grant taken away")},
}
"""What a verification names, of what is no row and no number."""

MORE = {
    "function's volatility": "ALTER FUNCTION twice STABLE",
    "function that nobody may call": "ALTER FUNCTION twice SECURITY DEFINER STRICT COST 9",
    "domain's default": "ALTER DOMAIN short SET DEFAULT ''",
    "domain that must be": "ALTER DOMAIN short SET NOT NULL",
    "composite's attributes": "ALTER TYPE nothing ADD ATTRIBUTE one int",
    "column of another table": "CREATE OR REPLACE VIEW unseen AS SELECT a.id, a.output "
    "FROM jobs j JOIN attempts a ON a.job_id = j.id",
    "text in a view": "CREATE OR REPLACE VIEW many_of_them AS SELECT id, 'c.b' AS label "
    "FROM many WHERE value > 1.5",
    "view's option": "ALTER VIEW entered SET (security_barrier)",
    "sequence's owner": "ALTER SEQUENCE kept OWNED BY many.value",
    "grant on a view": "GRANT SELECT ON seen TO PUBLIC",
    "grant on a table's sequence": "GRANT USAGE ON SEQUENCE jobs_id_seq TO PUBLIC",
    "child of a table": "ALTER TABLE child INHERIT parent_of_it",
    "table that is made again": "CREATE TABLE like_it (LIKE keyless INCLUDING ALL); "
    "DROP TABLE keyless; ALTER TABLE like_it RENAME TO keyless",
    "column that is made again": "ALTER TABLE parent_of_it DROP parent_id, ADD parent_id int",
    "values that are computed anew": "ALTER TABLE jobs ALTER scope TYPE text USING upper(scope)",
    "numbers that are computed anew": "ALTER TABLE parent_of_it ALTER id TYPE int USING id + 1",
    "index that names the rows": "CREATE UNIQUE INDEX of_it ON parent_of_it (id); "
    "ALTER TABLE parent_of_it ALTER id SET NOT NULL, REPLICA IDENTITY USING INDEX of_it",
    "extension": "CREATE EXTENSION ours",
    "what an extension owns": "ALTER EXTENSION hers ADD FUNCTION twice(int)",
}
IN_PUBLIC = "SET search_path = public"
CHANGES = {**{name: case[0] for name, case in NAMED.items()}, **MORE}

OF_ONE_TABLE = {
    "order of columns": "ordered",
    "collation": "collated",
    "trigger that does not fire": "touching",
    "foreign key that is not checked": "child",
    "rule": "touching",
    "rule that does not apply": "ruled",
    "row security": "guarded",
    "policy": "guarded",
    "policy that restricts": "guarded",
    "table option": "optioned",
    "grant": "granted",
    "grant on a column": "narrow",
    "grant on a table's sequence": "jobs",
    "partition": "parts_2",
}
"""It comes and goes with the table: one that came late is taken in alone, with all of it."""

OURS = (
    "CREATE ROLE reading; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reading; "
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reading",
    "ALTER TABLE keyless REPLICA IDENTITY FULL",
    "CREATE PUBLICATION ours FOR TABLE jobs, keyless",
    "COMMENT ON TABLE jobs IS 'ours'",
    "TRUNCATE jobs CASCADE; TRUNCATE keyless, parent_of_it",
    "CLUSTER jobs USING jobs_pkey",
    "ANALYZE",
    "ALTER TABLE jobs ALTER id SET STATISTICS 500; ANALYZE jobs",
    "ALTER TABLE parent_of_it ALTER id SET STATISTICS 500",
    "ALTER TABLE parent_of_it ALTER id SET (n_distinct = 5)",
    "CREATE ROLE reading; GRANT SELECT (id) ON parent_of_it TO reading",
    "GRANT SELECT ON parent_of_it TO airbyte; REVOKE SELECT ON parent_of_it FROM airbyte",
    "COMMENT ON COLUMN parent_of_it.id IS 'ours'",
    "CREATE TEMP TABLE own (LIKE jobs INCLUDING ALL); CREATE TEMP VIEW seen AS SELECT 1 AS one",
)


@pytest.fixture(scope="module")
def database(pg17: PgServer) -> Iterator[Connection]:
    """One with everything, on the server that knows most kinds of definitions."""
    additions = Path(__file__).parents[1] / "differences" / "additions.sql"
    extensions = Path(pg17.home, "pg", "share", "postgresql", "extension")
    for name in ("ours", "hers"):
        (extensions / f"{name}.control").write_text("default_version = '1'")
        (extensions / f"{name}--1.sql").write_text("")
    pg17.sql("DROP DATABASE IF EXISTS described")
    pg17.sql("CREATE DATABASE described")
    if not pg17.sql("SELECT FROM pg_roles WHERE rolname = 'airbyte'"):
        pg17.sql("CREATE ROLE airbyte")
    with pg17.connect("described", options="-c search_path=pg_catalog") as connection:
        setup = COMMON.read_text() + additions.read_text()
        setup += "CREATE TABLE parent_of_it (id int, parent_id int); CREATE EXTENSION hers;"
        connection.execute(f"{IN_PUBLIC}; {setup}; RESET search_path".encode())
        yield connection
    pg17.sql("DROP DATABASE described")


def change(database: Connection, statement: str) -> tuple[Schema, Schema, bool]:
    """Do it and take it back; return both readings, and whether the stamp has moved."""
    with database.transaction(force_rollback=True):
        before, stamp = schema_watch.read(database), schema_watch.stamp(database)
        database.execute(f"{IN_PUBLIC}; {statement}; RESET search_path".encode())
        return before, schema_watch.read(database), schema_watch.stamp(database) != stamp


@pytest.mark.parametrize("case", CHANGES)
def test_is_a_change_that_the_stamp_shows(database: Connection, case: str) -> None:
    before, after, moved = change(database, CHANGES[case])
    assert after.differs(before)
    assert moved


@pytest.mark.parametrize("case", OF_ONE_TABLE)
def test_what_is_a_tables_own_changes_that_table_alone(database: Connection, case: str) -> None:
    before, after, _ = change(database, CHANGES[case])
    names = {name for name, table in after.tables.items() if before.tables.get(name) != table}
    assert names == {f"public.{OF_ONE_TABLE[case]}"}
    assert after.types == before.types


@pytest.mark.parametrize("statement", OURS)
def test_what_we_do_and_what_passes_is_no_change(database: Connection, statement: str) -> None:
    before, after, _ = change(database, statement)
    assert not after.differs(before)


def test_an_index_in_the_making_is_no_change(database: Connection) -> None:
    before = schema_watch.read(database)
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("CREATE UNIQUE INDEX CONCURRENTLY half ON public.half_indexed (value)")
    assert not schema_watch.read(database).differs(before)


def test_vacuum_and_analyze_do_not_move_the_stamp(database: Connection) -> None:
    stamp = schema_watch.stamp(database)
    database.execute("VACUUM (ANALYZE)")
    assert schema_watch.stamp(database) == stamp
    assert catalog.tables(database)
