"""The checklist against real servers: everything that can stop or endanger a move is named."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from db_migration import pinned
from db_migration.agent import observe
from db_migration.preflight import airbyte_side as preflight_airbyte
from db_migration.preflight import preflight
from db_migration.preflight import travel as preflight_travel
from db_migration.preflight import trial as preflight_try
from db_migration.preflight.checklist import Check, Result
from lab.airbyte_standin import flyway
from tests.support.scenario import Scenario

TROUBLE = {
    # id of the check: how it must come out, and what it must name
    "source.table_names": (Result.FAIL, "1: dotted.by.both"),
    "source.unlogged": (Result.FAIL, "public.fleeting"),
    "source.foreign": (Result.FAIL, "public.far"),
    "source.partitioned": (Result.FAIL, "2: public.parted, public.parted_low"),
    "source.row_security": (Result.FAIL, "public.guarded"),
    "source.large_objects": (Result.FAIL, "1"),
    "source.odd_types": (Result.WARNING, "3: public.odd.at pg_lsn, public.odd.big oid"),
    "source.incomparable": (
        Result.WARNING,
        "6: public.blurred.docs _json, public.blurred.named document, public.blurred.nested "
        "_wrapped, public.blurred.place point, public.blurred.plain json, public.blurred.tree xml",
    ),
    "source.not_binary": (
        Result.FAIL,
        "2: public.unsendable.acl _aclitem, public.unsendable.who aclitem",
    ),
    "source.key_generated": (Result.FAIL, "1: public.key_made.b"),
    "source.generated": (Result.PASS, "public.computed.twice"),
    "source.superusers": (
        Result.FAIL,
        "9: cast from character varying to json, cast from public.span_one to public.span_two, "
        "foreign-data wrapper nowhere, function public.custom(), function "
        "public.hidden_sum(bigint), function public.noisy()",
    ),
    "target.definitions": (
        Result.FAIL,
        "3: postfix operator public.!!!(integer,NONE), role stranger, setting "
        "operator_precedence_warning",
    ),
    "source.search_path": (
        Result.FAIL,
        "4: public.pathless: column lower (function helper(text) does not exist), public.pathless: "
        "column path (function helper(text) does not exist), public.pathless: constraint worded "
        "(function helper(text) does not exist), public.pathless: index pathless_word",
    ),
    "source.checks": (Result.WARNING, "1: public.pathless.asking"),
    "source.event_triggers": (Result.WARNING, "1: noted"),
    "source.replica_triggers": (
        Result.WARNING,
        "2: public.jobs.always, public.jobs.on_replicas",
    ),
    "source.materialized_views": (Result.WARNING, "1: public.counted"),
    "source.sequences": (
        Result.WARNING,
        "near their end: 3: public.falling, public.leaping, public.small_seq",
    ),
    "source.identities": (
        Result.PASS,
        "3 table(s) without a key: public.blurred, public.pathless, public.stream_reset",
    ),
    "source.wal_headroom": (Result.WARNING, "not readable"),
    "target.disk": (Result.WARNING, "not readable"),
    "airbyte.version": (Result.PASS, "0.63.15"),
    "airbyte.schema": (Result.FAIL, "newest migration 0.50.19.001, failed migrations: 1, main "),
    "airbyte.jobs": (Result.WARNING, "1 not ended"),
    "airbyte.secrets": (Result.FAIL, "2 times, to 1 connector(s)"),
    "airbyte.login_email": (Result.WARNING, "empty"),
    "travel.hosts": (Result.WARNING, "1 connector(s), used by 1 connection(s)"),
    "travel.networks": (Result.WARNING, "1 connector(s), used by 1 connection(s)"),
    "travel.files": (Result.WARNING, "1 connector(s), used by 2 connection(s)"),
    "travel.images": (Result.WARNING, "1 connector(s), used by 1 connection(s)"),
    "travel.logs": (Result.WARNING, "1 attempt(s)"),
}


def checked(scenario: Scenario) -> dict[str, Check]:
    return {check.id: check for check in preflight.preflight(scenario.context())}


def test_everything_amiss_is_named_and_listed_by_connection(scenario: Scenario) -> None:
    done = scenario.cli("preflight", "--json")
    assert done.returncode == 3, done.stderr
    checks = {check["id"]: check for check in json.loads(done.stdout)["feeds"][0]["checks"]}
    told = {name: (checks[name]["result"], checks[name]["found"]) for name in TROUBLE}
    for name, (result, part) in TROUBLE.items():
        assert told[name][0] == result, (name, told[name])
        assert part in told[name][1], (name, told[name])
    assert affected(checks["travel.hosts"]) == [("11", "Shop to files", "localhost", "host")]
    assert affected(checks["travel.images"]) == [
        ("12", "Ours to files", "example/source-ours:0.1.0", "image")
    ]
    assert {line[:2] for line in affected(checks["travel.files"])} == {
        ("11", "Shop to files"),
        ("12", "Ours to files"),
    }
    (job,) = checks["airbyte.jobs"]["affected"]
    assert (job["job"], job["connection"]) == ("7", "Shop to files")
    assert checks["airbyte.secrets"]["affected"] == [{"actor": "Ours", "actor_id": "2"}]
    for check in checks.values():
        assert all(check[key] for key in ("title", "needed", "why", "way_out"))
    assert "transactions a second are followed" in checks["target.flush"]["found"]
    for_people = scenario.cli("preflight")
    assert for_people.returncode == 3
    assert "FAILED source.unlogged" in for_people.stdout
    assert "12, Ours to files" in for_people.stdout
    for text in (done.stdout, for_people.stdout, for_people.stderr):
        assert "planted" not in text


def test_a_database_of_anybodys_needs_no_airbyte(scenario: Scenario) -> None:
    scenario.source.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database="airbyte")
    scenario.source.sql(
        'SELECT lo_unlink(oid) FROM pg_largeobject_metadata; DROP SCHEMA dotted, "dotted.by" '
        "CASCADE; DROP FOREIGN DATA WRAPPER nowhere CASCADE; DROP CAST (varchar AS json); "
        "CREATE TABLE kept (id int)",
        database="airbyte",
    )
    assert scenario.cli("preflight").returncode == 5
    assert checked(scenario)["airbyte.version"].result is Result.NOT_APPLICABLE
    scenario.settings["here"] = "core-worker-01"
    assert checked(scenario)["airbyte.version"].result is Result.FAIL


def affected(check: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    keys = ("connection_id", "connection", "what", "where")
    return [tuple(line[key] for key in keys) for line in check["affected"]]


TRACES = (
    "SELECT rolname::text FROM pg_roles UNION ALL SELECT subname::text FROM pg_subscription "
    "UNION ALL SELECT pubname::text FROM pg_publication UNION ALL SELECT nspname::text "
    "FROM pg_namespace UNION ALL SELECT slot_name::text FROM pg_replication_slots"
)
SPOILED = {
    # id of the check: the server, and what is done to it
    "target.subscribe": ("target", "REVOKE pg_create_subscription FROM airbyte_migration"),
    "target.createdb": ("target", "ALTER ROLE airbyte_migration NOCREATEDB"),
    "target.owner_role": ("target", "REVOKE airbyte FROM airbyte_migration"),
    "target.quiet_log": (
        "target",
        "REVOKE SET ON PARAMETER log_min_error_statement FROM airbyte_migration",
    ),
    "target.workers": ("target", "ALTER SYSTEM SET max_logical_replication_workers = 1"),
    "source.names": ("source", "CREATE PUBLICATION airbyte_migration FOR ALL TABLES"),
}


def there(scenario: Scenario) -> list[Any]:
    databases = ("airbyte_mirror", "airbyte_migration")
    found = [sorted(scenario.target.sql(TRACES, database=name)) for name in databases]
    return [*found, sorted(scenario.source.sql(TRACES, database="airbyte"))]


def test_rights_are_tried_and_nothing_is_left(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = there(scenario)
    monkeypatch.setattr(preflight, "LONG_TRANSACTION_SECONDS", 0)
    with scenario.source.connect("airbyte") as prod, prod.transaction():
        prod.execute("SELECT 1")
        found = checked(scenario)
    assert there(scenario) == before
    assert found["source.transactions"].result is Result.WARNING
    assert "of docker for" in found["source.transactions"].found
    assert {found[name].result for name in SPOILED} == {Result.PASS}

    for server, spoil in SPOILED.values():
        where = getattr(scenario, server)
        where.sql(spoil, database="airbyte" if server == "source" else "postgres")
    try:
        scenario.target.restart()
        found = checked(scenario)
        assert {name: found[name].result for name in SPOILED} == dict.fromkeys(SPOILED, Result.FAIL)
        assert "permission denied" in found["target.subscribe"].found
    finally:
        scenario.target.sql("ALTER SYSTEM RESET max_logical_replication_workers")
        scenario.target.restart()


def test_a_table_that_is_held_hides_nothing_else(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = set(checked(scenario))
    scenario.journal().open()
    monkeypatch.setitem(pinned.PINNED, "lock_timeout", "200ms")
    with scenario.source.connect("airbyte") as prod, prod.transaction():
        prod.execute("LOCK TABLE connection IN ACCESS EXCLUSIVE MODE")
        found = checked(scenario)
        sight = observe.look(scenario.context(), scenario.journal())
    assert set(found) == whole
    assert found["source.reachable"].result is Result.PASS
    assert found["source.transactions"].result is Result.WARNING
    assert found["source.transactions"].found.endswith("s, holds public.connection; prepared: none")
    assert found["source.identities"].result is Result.WARNING
    assert "not readable from here: a table may be locked" in found["source.identities"].found
    (error,) = sight.unreachable
    assert "a table of the source is locked" in error.found
    assert "pg_terminate_backend" in error.way_out


def test_a_database_without_an_encoding_is_named(scenario: Scenario) -> None:
    """It hands out bytes that nobody said how to read, some of them no text at all."""
    scenario.source.sql("DROP DATABASE airbyte")
    scenario.source.sql(
        "CREATE DATABASE airbyte ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' "
        "LC_CTYPE 'C'"
    )
    with scenario.source.connect("airbyte") as prod:
        prod.execute(b'CREATE TABLE plain (id int); CREATE UNLOGGED TABLE "caf\xe9" (id int)')
    done = scenario.cli("preflight", "--json")
    assert done.returncode == 3, done.stderr
    checks = {check["id"]: check for check in json.loads(done.stdout)["feeds"][0]["checks"]}
    assert checks["locale.encoding"]["result"] == Result.FAIL
    assert "source SQL_ASCII" in checks["locale.encoding"]["found"]
    assert "a database of UTF8 on the source" in checks["locale.encoding"]["way_out"]
    assert "public.plain" in checks["source.identities"]["found"]
    assert "not readable" in checks["source.unlogged"]["found"]


def test_a_role_that_sees_no_sessions_does_not_call_them_short(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "LONG_TRANSACTION_SECONDS", 0)
    scenario.source.sql("CREATE ROLE blind LOGIN PASSWORD 'planted'")
    with scenario.source.connect("airbyte") as prod, prod.transaction():
        prod.execute("SELECT 1")
        with scenario.source.connect("airbyte", options="-c role=blind") as owner:
            facts = preflight.read_source(scenario.context(), owner)
    assert facts.long_transactions is None


def test_a_right_is_not_called_lacking_because_all_connections_are_taken(
    scenario: Scenario,
) -> None:
    """`source.password` is tried with a second connection, beside the one that asks."""
    scenario.owned_by("app", "CREATEROLE CONNECTION LIMIT 1")
    check = checked(scenario)["source.password"]
    assert check.result is Result.FAIL
    assert "too many connections for role" in check.found
    assert "CONNECTION LIMIT" in check.way_out
    assert "pg_hba.conf" not in check.way_out


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(("mode", "said"), [("logical", "must be superuser"), ("snapshot", None)])
def test_the_role_is_made_or_completed_as_the_mode_needs_it(
    scenario: Scenario, mode: str, said: str | None, *, there: bool
) -> None:
    """CREATEROLE is enough for a role that reads; only a superuser lets one replicate."""
    scenario.source.sql("CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'planted'")
    if there:
        scenario.source.sql("CREATE ROLE airbyte_migration")
    (scenario.folder / "maker").write_text("planted")
    scenario.settings["feeds.0.mode"] = mode
    owner = {"user": "maker", "password_file": str(scenario.folder / "maker")}
    scenario.settings["feeds.0.source.owner"] = owner
    (right,) = [one for one in preflight_try.RIGHTS if one.id == "source.may_make_role"]
    refused = preflight_try.refusal(scenario.context(), right)
    assert refused is None if said is None else said in str(refused)
    roles = scenario.source.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname ~ '^airbyte_'")
    assert roles == ([(False,)] if there else [])


def test_every_question_fits_airbytes_own_schema(scenario: Scenario) -> None:
    """The stand-in's schema has the names and types of Airbyte's, from 0.63.15 to 2.2.

    `secrets` is not Flyway's: Airbyte makes it when it first keeps one.
    """
    scenario.source.sql("CREATE DATABASE shaped")
    for version, compose in (("0.63.15", True), ("1.8.5", False), ("2.2.0", False)):
        with psycopg.connect(
            scenario.source.dsn("shaped"), autocommit=True, row_factory=dict_row
        ) as maker:
            flyway.migrate(maker, version)
            key = "INSERT INTO airbyte_metadata VALUES ('airbyte_version', %s) ON CONFLICT (key) "
            maker.execute(key.encode() + b"DO UPDATE SET value = excluded.value", [version])
            maker.execute("CREATE TABLE IF NOT EXISTS secrets (coordinate text PRIMARY KEY)")
        with scenario.source.connect("shaped") as connection:
            facts = preflight_airbyte.read(connection)
            travellers = preflight_travel.read(connection)
        unread = [name for name, value in vars(facts).items() if value is None]
        assert unread == ["email"], version  # there is no organization yet
        assert (travellers.actors, travellers.logs) == ([], 0), version
        checks = {check.id: check for check in preflight_airbyte.checks(facts, compose=compose)}
        assert checks["airbyte.schema"].result is Result.PASS, checks["airbyte.schema"]
        assert checks["airbyte.version"].result is Result.PASS
