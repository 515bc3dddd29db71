"""Whatever differs is found, named, and ends with exit code 3; what only moves is no difference."""

from __future__ import annotations

import json
import threading

from tests.support.scenario import Scenario

CASES = {
    "changed value": (
        "UPDATE jobs SET created_at = created_at + interval '1 microsecond' WHERE id = 1",
        "table public.jobs: row {1} differs in created_at",
    ),
    "changed key of a document": (
        """UPDATE composite SET value = '{"a": 1, "c": 2}'""",
        'table public.composite: row {"it\'s, \\"odd\\"",1} differs in value',
    ),
    "missing row": (
        "DELETE FROM attempts WHERE id = 7",
        "table public.attempts: row {7} missing on the mirror",
    ),
    "extra row": (
        "INSERT INTO attempts (id, job_id) VALUES (9999, 1)",
        "table public.attempts: row {9999} only on the mirror",
    ),
    "NULL against ''": (
        """UPDATE "null or empty" SET "a b" = '' WHERE id = 1""",
        "table public.null or empty: row {1} differs in a b",
    ),
    "'' against NULL": (
        """UPDATE "null or empty" SET "a b" = NULL WHERE id = 2""",
        "table public.null or empty: row {2} differs in a b",
    ),
    "values swapped between rows": (
        "UPDATE swapped SET value = CASE id WHEN 1 THEN 'two' ELSE 'one' END WHERE id < 3",
        "table public.swapped: row {2} differs in value",
    ),
    "columns named as the script's own aliases": (
        "UPDATE aliases SET name = 'changed'",
        "table public.aliases: row {1} differs in name",
    ),
    "fewer of the same in a table without a key": (
        "DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless)",
        "2 times on the source, 1 times on the mirror",
    ),
    "many rows": (
        "UPDATE many SET value = value + 1",
        "table public.many: 80 more rows differ",
    ),
    "sequence behind": (
        "SELECT setval('jobs_id_seq', 12)",
        "sequence public.jobs_id_seq: stands at 12 on the mirror, behind 500 on the source",
    ),
    "missing index": (
        "DROP INDEX jobs_scope",
        "table public.jobs: missing on the mirror: index jobs_scope CREATE INDEX jobs_scope",
    ),
    "missing foreign key": (
        "ALTER TABLE attempts DROP CONSTRAINT attempts_job_id_fkey",
        "missing on the mirror: constraint attempts_job_id_fkey FOREIGN KEY (job_id)",
    ),
    "enum label": (
        "ALTER TYPE mood ADD VALUE 'other'",
        "only on the mirror: enum public.mood ('good', 'bad', 'other')",
    ),
    "grant": (
        "GRANT UPDATE ON granted TO PUBLIC",
        "table public.granted: UPDATE granted to PUBLIC only on the mirror",
    ),
    "grant taken away": (
        "REVOKE SELECT ON swapped FROM PUBLIC",
        "table public.swapped: SELECT granted to PUBLIC only on the source",
    ),
    "owner": (
        "ALTER TABLE owned OWNER TO postgres",
        "table public.owned: belongs to `postgres` on the mirror, not to `airbyte`",
    ),
    "column default": (
        "ALTER TABLE no_default ALTER value DROP DEFAULT",
        "table public.no_default: missing on the mirror: column value text default 'x'::text",
    ),
    "column type": (
        "ALTER TABLE narrow ALTER value TYPE varchar(9)",
        "table public.narrow: only on the mirror: column value character varying(9)",
    ),
    "missing column": (
        "ALTER TABLE lost_column DROP COLUMN value",
        "table public.lost_column: missing on the mirror: column value text",
    ),
    "missing table": ("DROP TABLE lost", "table public.lost: missing on the mirror"),
    "extra table": ("CREATE TABLE more (id int)", "table public.more: only on the mirror"),
}


def test_each_is_found_and_named(scenario: Scenario) -> None:
    scenario.converge()
    equal = scenario.cli("verify", "--json")
    assert equal.returncode == 0, equal.stdout
    with scenario.target.connect("airbyte_mirror") as mirror:
        for change, _ in CASES.values():
            mirror.execute(change.encode())
    found = scenario.cli("verify", "--json")
    assert found.returncode == 3, found.stdout + found.stderr
    differences = json.loads(found.stdout)["feeds"][0]["differences"]
    for name, (_, expected) in CASES.items():
        assert any(expected in line for line in differences), f"{name}: {differences}"
    unchanged = ("workspace", "connection", "actor_definition_workspace_grant", "stream_reset")
    for table in unchanged:
        assert not any(f"public.{table}:" in line for line in differences), differences
    said = scenario.cli("verify")
    assert said.returncode == 3
    for line in differences:
        assert f"- {line}" in said.stdout
    assert scenario.state()["state"] == "following"


def test_values_are_never_shown(scenario: Scenario) -> None:
    scenario.converge()
    scenario.target.sql("UPDATE swapped SET value = 'planted-value'", database="airbyte_mirror")
    found = scenario.cli("verify")
    assert found.returncode == 3
    assert "planted-value" not in found.stdout + found.stderr


def test_mirror_that_does_not_follow_is_an_error(scenario: Scenario) -> None:
    scenario.converge()
    name = "airbyte_migration_core_worker_01"
    scenario.target.sql(f"ALTER SUBSCRIPTION {name} DISABLE", database="airbyte_mirror")
    scenario.source.sql("UPDATE jobs SET scope = 'moved'", database="airbyte")
    scenario.settings["catch_up_seconds"] = 1
    found = scenario.cli("verify")
    assert found.returncode == 3
    assert "has not reached" in found.stderr


def test_rows_that_change_all_the_time_are_no_difference(scenario: Scenario) -> None:
    """The sides are never read at the same moment; what is late must not look like what is lost."""
    scenario.converge()
    stop = threading.Event()

    def write() -> None:
        with scenario.source.connect("airbyte") as prod:
            while not stop.is_set():
                prod.execute("UPDATE jobs SET scope = random()::text WHERE id % 7 = 0")
                prod.execute("INSERT INTO keyless VALUES ('more')")
                prod.execute("DELETE FROM attempts WHERE id = (SELECT min(id) FROM attempts)")
                stop.wait(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [scenario.cli("verify", "--json") for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    for each in found:
        assert each.returncode == 0, each.stdout
    assert scenario.cli("verify").returncode == 0
