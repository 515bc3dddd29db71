"""A prod that may not be restarted: copies of one moment each, taken again and again."""

from __future__ import annotations

import threading

import pytest

from db_migration.errors import BlockedError
from db_migration.journal import try_lock
from db_migration.postgres import Connection
from db_migration.snapshots import shadow as snapshot_shadow
from db_migration.snapshots import source as snapshot_source
from db_migration.verification import verify
from tests.scenarios.snapshot_mode.conftest import Snapshots
from tests.support import timeouts
from tests.support.beside import Reader
from tests.support.fix_postgres import wait_for

TRACES = """
SELECT (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_publication),
       (SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'),
       (SELECT count(*) FROM pg_class
        WHERE relreplident <> 'd' AND relkind = 'r' AND relnamespace = 2200),
       (SELECT count(*) FROM pg_roles WHERE rolname = 'airbyte_migration' AND rolreplication)
"""


def move_money(snapshots: Snapshots, ended: threading.Event) -> None:
    """Write as prod does: whoever sees half of a transaction sees money come or go."""
    with snapshots.scenario.source.connect("airbyte") as prod:
        while not ended.is_set():
            with prod.transaction():
                for account, change in ((1, 5), (2, -5)):
                    prod.execute(
                        "UPDATE account SET balance = balance + %s WHERE id = %s", (change, account)
                    )
                    prod.execute(
                        "INSERT INTO entry (account, change) VALUES (%s, %s)", (account, change)
                    )


def test_every_copy_is_of_one_moment_and_prod_gets_a_role_only(snapshots: Snapshots) -> None:
    started = snapshots.prod("SELECT pg_postmaster_start_time()")
    ended = threading.Event()
    writer = threading.Thread(target=move_money, args=(snapshots, ended))
    writer.start()
    counts = []
    try:
        for _ in range(3):
            snapshots.copy()
            check = "SELECT sum(balance), (SELECT sum(change) FROM entry) FROM account"
            assert snapshots.mirror(check) in ([(0, 0)], [(0, None)])
            balances = "SELECT count(*) FROM account a WHERE balance <> (SELECT coalesce("
            balances += "sum(change), 0) FROM entry WHERE account = a.id)"
            assert snapshots.mirror(balances) == [(0,)]
            counts += snapshots.mirror("SELECT count(*) FROM entry")
    finally:
        ended.set()
        writer.join(timeouts.AGENT_STEP)
    assert sorted(set(counts)) == counts, "every copy is of a later moment than the one before"
    snapshots.copy()
    snapshots.assert_equal()
    assert snapshots.prod(TRACES) == [(0, 0, 0, 0, 0)]
    assert snapshots.prod("SELECT pg_postmaster_start_time()") == started


def test_what_has_not_changed_is_not_read_again(snapshots: Snapshots) -> None:
    snapshots.copy()
    whole = sum(
        snapshots.prod("SELECT sum(pg_table_size(oid)) FROM pg_class WHERE relname = 'big'")[0]
    )
    snapshots.prod("ALTER SYSTEM SET log_statement = 'all'")
    snapshots.prod("SELECT pg_reload_conf()")
    log = snapshots.scenario.source.log
    before = len(log.read_text())
    for number in range(2):
        snapshots.prod(f"UPDATE jobs SET scope = 'again {number}' WHERE id = 1")
        cost = snapshots.copy()
        assert cost["tables_read"] == 1
        assert cost["bytes_read"] < whole / 10
        assert cost["bytes_hashed"] > whole
    said = [line for line in log.read_text()[before:].splitlines() if "COPY" in line]
    assert len(said) == 2
    assert all('"public"."jobs"' in line for line in said)
    snapshots.assert_equal()


def test_nothing_changed_costs_no_reader_anything(snapshots: Snapshots) -> None:
    snapshots.copy()
    age = "SELECT shobj_description(oid, 'pg_database'), oid FROM pg_database "
    age += "WHERE datname = 'airbyte_mirror'"
    (before, oid), = snapshots.scenario.target.sql(age)  # fmt: skip
    with snapshots.agent.context.mirror.connect() as reader:
        cost = snapshots.copy()
        assert reader.execute("SELECT count(*) FROM public.jobs").fetchone() is not None
    (after, same_oid), = snapshots.scenario.target.sql(age)  # fmt: skip
    assert (cost["tables_read"], cost["bytes_read"]) == (0, 0)
    assert same_oid == oid
    assert after != before, "the mirror is as new as the snapshot that it equals"


IN_PLACE = {
    "statistics reset": ("one", "SELECT pg_stat_reset()"),
    "table rewritten": ("two", "VACUUM FULL workspace"),
}


@pytest.mark.parametrize(("name", "hide"), IN_PLACE.values(), ids=list(IN_PLACE))
def test_a_change_that_no_counter_shows_is_found(
    snapshots: Snapshots, name: str, hide: str
) -> None:
    snapshots.copy()
    snapshots.prod(f"UPDATE workspace SET name = '{name}'")
    snapshots.prod(hide)
    assert snapshots.copy()["tables_read"] == 1
    assert snapshots.mirror("SELECT DISTINCT name FROM workspace") == [(name,)]


ENTRIES = "SELECT count(*) FROM public.entry"


def test_a_swap_costs_a_reader_one_reconnect(snapshots: Snapshots) -> None:
    snapshots.copy()
    with Reader(snapshots.agent.context.mirror, ENTRIES) as reader:
        first = reader.seen[0]
        for number in range(1, 4):
            snapshots.prod("INSERT INTO entry (account, change) VALUES (3, 0)")
            snapshots.copy()
            wait_for(lambda number=number: reader.seen[-1] == first + number, timeouts.FOLLOW)  # type: ignore[misc]
            assert len(reader.broken) == number
    assert reader.seen == sorted(reader.seen), "never less than before, never half a copy"


def test_a_reader_that_may_not_be_ended_is_named(snapshots: Snapshots) -> None:
    snapshots.copy()
    snapshots.prod("DELETE FROM stream_reset")
    with (
        snapshots.scenario.target.connect("airbyte_mirror"),
        pytest.raises(BlockedError, match=snapshots.scenario.target.user),
    ):
        snapshots.copy()
    snapshots.copy()
    snapshots.assert_equal()


def test_a_changed_schema_is_copied_whole(snapshots: Snapshots) -> None:
    snapshots.copy()
    snapshots.prod("INSERT INTO jobs (scope, status) VALUES ('x', 'pending')")
    snapshots.copy()
    snapshots.prod("ALTER TABLE jobs ADD COLUMN more int DEFAULT 7")
    snapshots.prod("CREATE TABLE secrets (coordinate text); INSERT INTO secrets VALUES ('s')")
    snapshots.prod("ALTER TYPE job_status ADD VALUE 'cancelled'")
    cost = snapshots.copy()
    assert cost["tables_read"] == cost["tables"]
    assert snapshots.mirror("SELECT DISTINCT more FROM jobs") == [(7,)]
    snapshots.assert_equal()
    snapshots.prod("INSERT INTO jobs (scope, status) VALUES ('x', 'cancelled')")
    assert snapshots.copy()["tables_read"] == 1


DURING = {
    "emptied": "TRUNCATE stream_reset",
    "altered": "ALTER TABLE stream_reset ADD COLUMN late int",
}


@pytest.mark.parametrize("change", DURING.values(), ids=list(DURING))
def test_what_is_changed_during_a_copy_never_gets_half_in(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    snapshots.copy()
    kept = snapshots.content()
    snapshots.prod("INSERT INTO jobs (scope, status) VALUES ('x', 'pending')")
    replace_table = snapshot_shadow.replace_table

    def changing(*args: object) -> tuple[int, int]:
        if not met:
            met.append(snapshots.prod(change))
        return replace_table(*args)  # type: ignore[arg-type]

    met: list[object] = []
    monkeypatch.setattr(snapshot_shadow, "replace_table", changing)
    with pytest.raises(BlockedError, match="during the copy"):
        snapshots.copy()
    snapshots.assert_given_up(kept)


def test_table_emptied_just_after_the_snapshot_is_not_taken_for_empty(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots.copy()
    kept = snapshots.content()
    read_definitions = snapshot_source.definitions
    met: list[object] = []

    def late(connection: Connection) -> snapshot_source.Definitions:
        if not met:  # the snapshot is taken, the tables' files are not read yet
            met.append(snapshots.prod("CREATE TABLE kept AS TABLE workspace; TRUNCATE workspace"))
        return read_definitions(connection)

    monkeypatch.setattr(snapshot_source, "definitions", late)
    with pytest.raises(BlockedError, match="during the copy"):
        snapshots.copy()
    assert met
    assert snapshots.content() == kept


def test_a_mirror_that_somebody_wrote_to_is_found_and_put_right(snapshots: Snapshots) -> None:
    snapshots.copy()
    snapshots.prod("INSERT INTO jobs (scope, status) VALUES ('x', 'pending')")
    snapshots.copy()
    snapshots.mirror("UPDATE connection SET name = 'mine'")
    found = snapshots.scenario.cli("verify", "--json")
    assert found.returncode == 3
    assert "table public.connection" in found.stdout
    assert "the next copy puts the mirror right" in found.stderr
    assert "subscription" not in found.stderr  # there is none to drop
    snapshots.mirror("DROP INDEX jobs_scope")
    while snapshots.mirror("SELECT FROM connection WHERE name = 'mine'") or not snapshots.mirror(
        "SELECT to_regclass('jobs_scope') WHERE to_regclass('jobs_scope') IS NOT NULL"
    ):
        snapshots.copy()
    snapshots.assert_equal()
    assert verify.verify_and_record(snapshots.agent.context, snapshots.agent.journal)["equal"]


def test_a_failover_does_not_wait_for_a_copy(snapshots: Snapshots) -> None:
    snapshots.copy()
    snapshots.prod("INSERT INTO jobs (scope, status) VALUES ('x', 'pending')")
    with snapshots.agent.context.control.connect() as failover:
        assert try_lock(failover, "failover")
        with pytest.raises(BlockedError, match="a failover is at work"):
            snapshots.copy()
    wait_for(lambda: snapshots.agent.memory.copies.seconds() == 0, timeouts.FOLLOW)
    snapshots.copy()
    snapshots.assert_equal()


def test_sequences_are_ahead_after_every_copy(snapshots: Snapshots) -> None:
    for _ in range(2):
        snapshots.prod("SELECT nextval('jobs_id_seq') FROM generate_series(1, 700)")
        snapshots.copy()
        (there,), = snapshots.prod("SELECT last_value FROM jobs_id_seq")  # fmt: skip
        (here,), = snapshots.mirror("SELECT last_value FROM jobs_id_seq")  # fmt: skip
        assert here >= there + 500


def test_rows_without_stored_columns_are_copied(snapshots: Snapshots) -> None:
    made = "made integer GENERATED ALWAYS AS (7) STORED"
    snapshots.prod(f"CREATE TABLE hollow (); CREATE TABLE computed ({made})")
    snapshots.copy()
    for number in (1, 2):
        snapshots.prod("INSERT INTO hollow DEFAULT VALUES")
        snapshots.prod("INSERT INTO computed DEFAULT VALUES")
        snapshots.copy()
        assert snapshots.mirror("SELECT count(*) FROM hollow") == [(number,)]
        assert snapshots.mirror("SELECT made FROM computed") == [(7,)] * number


def test_xml_equals_its_copy_whatever_encoding_it_declares(snapshots: Snapshots) -> None:
    """On its way it is said to be in UTF8, and so it is stored."""
    declared = """'<?xml version="1.0" encoding="UTF-8"?><a/>'"""
    snapshots.prod(f"CREATE TABLE page AS SELECT 1 AS id, {declared}::xml AS text")
    snapshots.copy()
    snapshots.prod("UPDATE page SET id = 2")
    assert snapshots.copy()["tables_read"] == 1
    stored = "SELECT text::text FROM page"
    assert snapshots.mirror(stored) != snapshots.prod(stored)
    snapshots.assert_equal()
    assert verify.verify_and_record(snapshots.agent.context, snapshots.agent.journal)["equal"]


def test_two_tables_with_one_name_are_refused(snapshots: Snapshots) -> None:
    snapshots.prod('CREATE SCHEMA "a.b"; CREATE TABLE "a.b".c (); CREATE SCHEMA a')
    snapshots.prod('CREATE TABLE a."b.c" ()')
    with pytest.raises(BlockedError, match=r'"a"\."b\.c", "a\.b"\."c"'):
        snapshots.copy()
