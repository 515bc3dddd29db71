"""A table that prod rewrites while it is read in parts: its rows are on other pages then."""

from __future__ import annotations

import threading

import pytest

from db_migration import catalog
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.seeding import jobs as seed_jobs
from db_migration.seeding import plan as seed_plan
from db_migration.seeding import seed
from db_migration.seeding.crew import Worker
from db_migration.seeding.plan import Job
from tests.support import timeouts
from tests.support.scenario import Scenario

KEYLESS = f"""
CREATE TABLE keyless (id int, other int);
ALTER TABLE keyless REPLICA IDENTITY FULL;
INSERT INTO keyless SELECT n, (n * 7919) % 100003 FROM generate_series(1, 20000) n;
CREATE INDEX by_other ON keyless (other);
ALTER PUBLICATION {PUBLICATION} ADD TABLE keyless
"""


SWAPPED = """
ALTER TABLE attempts RENAME TO passing; ALTER TABLE other RENAME TO attempts;
ALTER TABLE passing RENAME TO other
"""


def test_a_copy_of_tables_that_had_each_others_names_for_a_while_gets_no_mark(
    prepared: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot shows old rows, of whatever table has the name now."""
    other = f"CREATE TABLE other (LIKE attempts INCLUDING ALL); ALTER PUBLICATION {PUBLICATION} "
    prepared.source.sql(f"{other} ADD TABLE other", database="airbyte")
    names, moved = prepared.source, seed._moved
    restore = seed.restore_schema

    def swapped(context: Context, script: str) -> None:
        restore(context, script)
        names.sql(SWAPPED, database="airbyte")

    def swapped_back(context: Context, tables: list[catalog.Table]) -> set[str]:
        names.sql(SWAPPED, database="airbyte")
        return moved(context, tables)

    monkeypatch.setattr(seed, "restore_schema", swapped)
    monkeypatch.setattr(seed, "_moved", swapped_back)
    with pytest.raises(BlockedError, match=r"table public\.attempts: 500 rows .* 0 in the copy"):
        seed.seed(prepared.context(), verify=True)
    monkeypatch.undo()
    prepared.converge()
    prepared.assert_equal()


def test_a_copy_with_rows_read_twice_and_never_gets_no_mark(
    prepared: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many rows as the source has, and no key that would tell."""
    prepared.source.sql(KEYLESS, database="airbyte")
    first_read, rewritten = threading.Event(), threading.Event()
    copy_part = seed_jobs.copy_part

    def around(work: seed_jobs.Work, worker: Worker, job: Job) -> None:
        if job.tables == ("public.keyless",) and job.part.first > 0 and not rewritten.is_set():
            assert first_read.wait(timeouts.AGENT_STEP)
            prepared.source.sql("CLUSTER keyless USING by_other", database="airbyte")
            rewritten.set()
        copy_part(work, worker, job)
        if job.tables == ("public.keyless",) and job.part.first == 0:
            worker.let_go_of_tables()
            first_read.set()

    monkeypatch.setattr(seed_plan, "SMALLEST_PART_BYTES", 8192)
    monkeypatch.setattr(seed, "WORKERS", 2)
    monkeypatch.setattr(seed_jobs, "copy_part", around)
    with pytest.raises(BlockedError, match=r"public\.keyless: 20000 rows .* 20000 in .* differ"):
        seed.seed(prepared.context(), verify=True)
    assert rewritten.is_set()
    monkeypatch.undo()
    prepared.converge()
    prepared.assert_equal()
