"""What a seed makes of the source's definitions."""

from __future__ import annotations

import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from db_migration.errors import BlockedError
from db_migration.postgres import rows, run
from db_migration.seeding import dump, seed
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario

ODD_LINES = """
CREATE FUNCTION lines() RETURNS text LANGUAGE sql AS $$SELECT 'one
\\two
\\restrict three\r\nfour'$$;
CREATE TYPE feed AS ENUM ('form\ffeed');
ALTER TABLE stream_reset ALTER stream_name SET DEFAULT 'a\u2028b\u0085c';
"""
TOLD = """
SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'stream_reset'::regclass
UNION ALL SELECT prosrc FROM pg_proc WHERE proname = 'lines'
UNION ALL SELECT enum_range(NULL::feed)::text ORDER BY 1
"""


def test_every_line_of_a_definition_arrives_as_it_is(prepared: Scenario) -> None:
    """Whatever begins with a backslash, and whatever Python would call the end of a line."""
    prepared.source.sql(ODD_LINES, database="airbyte")
    seed.seed(prepared.context())
    there = prepared.source.sql(TOLD, database="airbyte")
    assert any("\n\\two\n\\restrict three\r\nfour" in text for (text,) in there)
    assert prepared.target.sql(TOLD, database="airbyte_mirror_seed") == there


def test_a_server_before_17_is_told_nothing_that_it_does_not_know(prepared: Scenario) -> None:
    """It passes the preflight from 16 on; pg_dump 18 names a setting that is younger."""
    for section in ("pre-data", "post-data"):
        script = dump.definitions(prepared.context().reader, section)
        assert "SET statement_timeout = 0;\n" in script
        assert "SET transaction_timeout" not in script


def test_a_password_is_written_to_no_disk(
    prepared: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be there still after a process that is killed in the midst of a dump."""
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    assert "CREATE TABLE public.jobs" in dump.definitions(prepared.context().reader, "pre-data")


PRINTED = """
CREATE VIEW seen AS SELECT id FROM jobs;
CREATE RULE also AS ON DELETE TO workspace DO ALSO DELETE FROM attempts;
"""
HELD = """
SELECT relation::regclass::text FROM pg_locks
WHERE pid = pg_backend_pid() AND relation >= 16384 AND database = (
    SELECT oid FROM pg_database WHERE datname = current_database())
"""


def test_what_a_view_reads_is_not_locked_for_as_long_as_the_seed(prepared: Scenario) -> None:
    prepared.source.sql(PRINTED, database="airbyte")
    with prepared.context().reader.connect() as source:
        run(source, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        seed.read_plan(source, seed.Start("0/0", ""))
        assert rows(source, HELD) == []


def test_a_table_that_prod_alters_is_waited_for_without_holding_the_others(
    prepared: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump that stayed would hold what prod's transaction alters next: a circle of locks."""
    run, dumped = dump._run, []

    def noted(
        command: list[str], env: dict[str, str], passfile: int
    ) -> subprocess.CompletedProcess[bytes]:
        dumped.append(run(command, env, passfile))
        return dumped[-1]

    monkeypatch.setattr(dump, "_run", noted)
    with psycopg.connect(prepared.source.dsn("airbyte")) as prod, ThreadPoolExecutor(1) as pool:
        prod.execute("ALTER TABLE stream_reset ADD COLUMN later int")
        script = pool.submit(dump.definitions, prepared.context().reader, "pre-data")
        wait_for(lambda: dumped, timeouts.ARRIVES)
        for table in ("attempts", "jobs"):
            prod.execute(f"ALTER TABLE {table} ADD COLUMN later int".encode())
        prod.rollback()
        assert "CREATE TABLE public.jobs" in script.result()


def test_a_table_that_stays_held_ends_the_dump(
    prepared: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "LOCK_TRIES", 2)
    with psycopg.connect(prepared.source.dsn("airbyte")) as prod:
        prod.execute("LOCK TABLE jobs")
        with pytest.raises(BlockedError, match=r"LOCK TABLE .*public\.jobs"):
            dump.definitions(prepared.context().reader, "pre-data")


def test_a_tablespace_of_the_source_is_none_of_the_target(prepared: Scenario) -> None:
    with prepared.source.connect("airbyte") as prod:
        prod.execute("SET allow_in_place_tablespaces = on")
        prod.execute("CREATE TABLESPACE fast LOCATION ''")
        try:
            prod.execute("ALTER TABLE jobs SET TABLESPACE fast")
            prod.execute("ALTER INDEX attempts_pkey SET TABLESPACE fast")
            assert seed.seed(prepared.context(), verify=True).differences == []
        finally:
            prod.execute("ALTER TABLE jobs SET TABLESPACE pg_default")
            prod.execute("ALTER INDEX attempts_pkey SET TABLESPACE pg_default")
            prod.execute("DROP TABLESPACE fast")


EVENT_TRIGGER = """
CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION noted();
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION touched();
"""


def test_event_triggers_alone_stay_behind(prepared: Scenario) -> None:
    """Only a superuser can make one; the preflight names them."""
    prepared.source.sql(EVENT_TRIGGER, database="airbyte")
    assert seed.seed(prepared.context(), verify=True).differences == []
    query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT evtname FROM "
    found = prepared.target.sql(query + "pg_event_trigger", database="airbyte_mirror_seed")
    assert found == [("touched",)]


SAME_NAMES = """
CREATE SCHEMA "a.b";
CREATE SCHEMA a CREATE TABLE "b.c" (id integer PRIMARY KEY);
CREATE TABLE "a.b".c (id integer PRIMARY KEY);
"""


def test_two_tables_with_one_name_are_refused(prepared: Scenario) -> None:
    """One of them would not be copied, and nobody would say so."""
    prepared.source.sql(SAME_NAMES, database="airbyte")
    with pytest.raises(BlockedError, match=r'"a"\."b\.c", "a\.b"\."c"'):
        seed.seed(prepared.context())


ALONE = """
CREATE INDEX by_scope ON jobs (scope);
CREATE UNIQUE INDEX by_id ON jobs (id);
ALTER TABLE jobs CLUSTER ON by_scope;
ALTER TABLE jobs REPLICA IDENTITY USING INDEX by_id;
"""
MARKED = """
SELECT indexrelid::regclass::text, indisclustered, indisreplident FROM pg_index
WHERE indrelid = 'jobs'::regclass ORDER BY 1
"""


def test_what_an_index_is_to_its_table_arrives(prepared: Scenario) -> None:
    prepared.source.sql(ALONE, database="airbyte")
    assert seed.seed(prepared.context(), verify=True).differences == []
    there = prepared.source.sql(MARKED, database="airbyte")
    assert ("by_scope", True, False) in there
    assert prepared.target.sql(MARKED, database="airbyte_mirror_seed") == there
