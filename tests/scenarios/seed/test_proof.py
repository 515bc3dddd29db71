"""A seed proves what it loaded: what it sent is what was there, and is what arrived."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from psycopg import sql
from psycopg.pq.abc import PGconn

from db_migration.catalog import Column, Table
from db_migration.config import PUBLICATION
from db_migration.errors import BlockedError
from db_migration.following import marks
from db_migration.seeding import jobs as seed_jobs
from db_migration.seeding import pipe, seed
from db_migration.seeding import plan as seed_plan
from db_migration.seeding.crew import Worker
from db_migration.seeding.plan import Job, Part
from tests.support.scenario import Scenario


@pytest.mark.parametrize("rows", ["OFFSET 1", "WHERE id <> 1"])
def test_a_copy_that_is_not_what_is_there_gets_no_mark(
    prepared: Scenario, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    """Not even if it is read back by the same wrong question."""
    statements = seed_jobs.copy_statements

    def lacking(
        table: Table, columns: list[Column], part: Part
    ) -> tuple[sql.Composed, sql.Composed]:
        read, write = statements(table, columns, part)
        if table.name != "attempts":
            return read, write
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        question = sql.SQL("COPY (SELECT {} FROM public.attempts {}) TO STDOUT (FORMAT binary)")
        return question.format(names, sql.SQL(rows)), write

    monkeypatch.setattr(seed_jobs, "copy_statements", lacking)
    with pytest.raises(BlockedError, match=r"public\.attempts: 500 rows on the source, 499"):
        seed.seed(prepared.context(), verify=True)
    with prepared.target.connect() as connection:
        comment = marks.of_database(connection, "airbyte_mirror_seed")
    assert comment is not None
    assert marks.mirror_mark(comment) is None


def test_a_value_that_changes_on_its_way_is_found(
    prepared: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = pipe._send

    def spoiling(target: PGconn, block: bytearray, seen: pipe.Seen) -> None:
        send(target, block.replace(b"succeeded", b"Succeeded", 1), seen)

    prepared.source.sql("ALTER TABLE jobs ALTER status TYPE text", database="airbyte")
    monkeypatch.setattr(pipe, "_send", spoiling)
    with pytest.raises(BlockedError, match=r"public\.jobs: 500 rows .* 500 in .* hashes differ"):
        seed.seed(prepared.context(), verify=True)


@pytest.mark.parametrize("cut", ["a page left out", "a page read twice"])
def test_a_table_that_is_cut_up_wrongly_is_found(
    filled: Scenario, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """What was sent has all arrived, but it is not what the source holds."""
    edges = {"a page left out": (1, 2), "a page read twice": (2, 1)}[cut]
    filled.source.sql("ALTER TABLE jobs DROP CONSTRAINT jobs_pkey CASCADE", database="airbyte")

    def wrong(tables: Sequence[Table], _: int) -> dict[str, list[Part]]:
        whole = {table.full_name: [Part()] for table in tables}
        return {**whole, "public.jobs": [Part(0, edges[0]), Part(edges[1], None)]}

    monkeypatch.setattr(seed_plan, "split", wrong)
    with pytest.raises(BlockedError, match=r"public\.jobs: 10500 rows on the source, "):
        seed.seed(filled.context(), verify=True)


def test_other_bytes_of_the_same_values_are_no_difference(
    prepared: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two servers may write one value in two ways: then values decide, of that table alone."""
    compared: list[str] = []
    compare = seed_jobs.compare_values

    def noted(work: seed_jobs.Work, worker: Worker, job: Job) -> None:
        compared.append(job.name)
        compare(work, worker, job)

    def other(source: PGconn, read: bytes, seen: pipe.Seen) -> pipe.Digest:
        found = pipe.digest(source, read, seen)
        return pipe.Digest(found.rows, found.total + (b'"attempts"' in read))

    monkeypatch.setattr(seed_jobs, "digest", other)
    monkeypatch.setattr(seed_jobs, "compare_values", noted)
    assert seed.seed(prepared.context(), verify=True).differences == []
    assert compared == ["public.attempts"]


def test_what_a_check_says_of_its_rows_ends_no_copy(prepared: Scenario) -> None:
    prepared.source.sql(
        "CREATE FUNCTION loud(int) RETURNS bool LANGUAGE plpgsql AS "
        "$$BEGIN RAISE WARNING 'loud'; RETURN true; END$$; "
        "CREATE TABLE spoken (id int PRIMARY KEY CHECK (loud(id))); "
        "INSERT INTO spoken SELECT generate_series(1, 20000); "
        f"ALTER PUBLICATION {PUBLICATION} ADD TABLE spoken",
        database="airbyte",
    )
    assert seed.seed(prepared.context(), verify=True).differences == []


@pytest.fixture(params=["", "made integer GENERATED ALWAYS AS (7) STORED"])
def hollow(prepared: Scenario, request: pytest.FixtureRequest) -> Scenario:
    """A source with a table of three rows in which nothing is stored that could be copied."""
    made = f"CREATE TABLE hollow ({request.param}); ALTER TABLE hollow REPLICA IDENTITY FULL"
    prepared.source.sql(made, database="airbyte")
    prepared.source.sql(f"ALTER PUBLICATION {PUBLICATION} ADD TABLE hollow", database="airbyte")
    for _ in range(3):
        prepared.source.sql("INSERT INTO hollow DEFAULT VALUES", database="airbyte")
    return prepared


def test_rows_without_stored_columns_arrive_in_their_number(hollow: Scenario) -> None:
    """COPY has nothing to say of them."""
    assert seed.seed(hollow.context(), verify=True).differences == []
    query = "SELECT * FROM hollow"
    there = hollow.source.sql(query, database="airbyte")
    assert hollow.target.sql(query, database="airbyte_mirror_seed") == there
    assert len(there) == 3


def test_rows_without_stored_columns_are_counted(
    hollow: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed_jobs, "_load_number", lambda *_: None)
    with pytest.raises(BlockedError, match=r"public\.hollow: 3 rows on the source, 0 in the copy"):
        seed.seed(hollow.context(), verify=True)


@pytest.mark.parametrize("how", ["binary", "text"])
@pytest.mark.parametrize("rows", [0, 1, 5000])
def test_a_digest_is_that_of_the_rows_whatever_their_order(
    scenario: Scenario, rows: int, how: str
) -> None:
    """PostgreSQL 13 in one piece, 17 upside down and in two: header and trailer do not count."""
    made = (
        "CREATE TABLE digested AS SELECT n, md5(n::text) AS text, nullif(n % 7, 0) AS odd, "
        f"jsonb_build_object('n', n) AS doc FROM generate_series(1, {rows}) n ORDER BY "
    )
    found = []
    for server, order, parts in (
        (scenario.source, "n", ["digested"]),
        (scenario.target, "n DESC", ["(SELECT * FROM digested WHERE n % 3 = 0)",
                                     "(SELECT * FROM digested WHERE n % 3 > 0)"]),
    ):  # fmt: skip
        with server.connect("postgres") as connection:
            connection.execute(f"DROP TABLE IF EXISTS digested; {made}{order}".encode())
            queries = [f"COPY {part} TO STDOUT (FORMAT {how})".encode() for part in parts]
            each = [pipe.digest(connection.pgconn, query, lambda *_: None) for query in queries]
            connection.execute("DROP TABLE digested")
        found.append(sum(each, pipe.Digest()))
    assert found[0] == found[1]
    assert found[0].rows == rows
