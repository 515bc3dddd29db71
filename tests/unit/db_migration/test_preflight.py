"""What the preflight concludes from what was read, as tables; reading is a scenario's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from db_migration.config import Mode
from db_migration.errors import ExitCode
from db_migration.preflight import airbyte_side as preflight_airbyte
from db_migration.preflight import source as preflight_source
from db_migration.preflight import target as preflight_target
from db_migration.preflight import travel as preflight_travel
from db_migration.preflight.airbyte_side import AirbyteFacts
from db_migration.preflight.checklist import Check, Result, exit_code
from db_migration.preflight.facts import Clock, Locale, SourceFacts, TargetFacts
from db_migration.preflight.source import Allowed
from db_migration.preflight.target import Clients

GIB = 1024**3
UTF8 = Locale(encoding="UTF8", collate="C.UTF-8", ctype="C.UTF-8")
CLOCK = Clock(offset=0.0, error=0.001)
EMPTY: list[str] = []

SOURCE = SourceFacts(
    version=130023,
    clock=CLOCK,
    locale=UTF8,
    in_recovery=False,
    wal_level="logical",
    wal_level_fixed=False,
    wal_bound=8 * GIB,
    can_bound=True,
    slots_free=10,
    slots_max=10,
    senders_free=10,
    senders_max=10,
    bytes=GIB // 2,
    keyless=["public.stream_reset"],
    table_names=EMPTY,
    unlogged=EMPTY,
    foreign=EMPTY,
    partitioned=EMPTY,
    generated=EMPTY,
    row_security=EMPTY,
    odd_types=EMPTY,
    incomparable=EMPTY,
    not_binary=EMPTY,
    key_generated=EMPTY,
    superusers=EMPTY,
    definitions=EMPTY,
    search_path=EMPTY,
    checks=EMPTY,
    event_triggers=EMPTY,
    replica_triggers=EMPTY,
    materialized_views=EMPTY,
    extensions=EMPTY,
    large_objects=0,
    sequences=["public.jobs_id_seq"],
    ending_sequences=EMPTY,
    long_transactions=EMPTY,
    prepared_transactions=EMPTY,
    max_wal_size=GIB,
    other_slots={},
)
ALLOWED = Allowed(
    mode=Mode.LOGICAL,
    why="a test",
    restart=False,
    retained_bytes=8 * GIB,
    interval_seconds=300,
    host_free_bytes=20 * GIB,
)
TARGET = TargetFacts(
    version=170010,
    clock=CLOCK,
    locale=UTF8,
    workers_max=8,
    replication_workers_max=4,
    sync_workers_max=2,
    subscriptions=0,
    origins_free=10,
    origins_max=10,
    extensions={"pg_trgm": True, "postgis": False},
    definitions=["role airbyte", "setting work_mem"],
    flush_ms=0.5,
    elsewhere=EMPTY,
)
CLIENTS = Clients(pg_dump=18, libpq=180000, free_bytes=20 * GIB)
AIRBYTE = AirbyteFacts(
    version="0.63.15",
    configs=["0.50.19.001", "0.57.4.013"],
    failed=0,
    lacking=EMPTY,
    jobs=[],
    email=True,
    has_secrets=True,
    references=4,
    dangling=[],
)


def found(checks: Any, name: str) -> Check:  # noqa: ANN401 - any of the iterators
    (check,) = [check for check in checks if check.id == name]
    assert isinstance(check, Check)
    return check


def test_nothing_is_amiss_with_what_is_as_it_should_be() -> None:
    checks = [
        *preflight_source.checks(SOURCE, ALLOWED),
        *preflight_target.checks(SOURCE, TARGET, CLIENTS, 3),
        *preflight_target.clients(CLIENTS, 170000),
        *preflight_airbyte.checks(AIRBYTE, compose=True),
    ]
    assert {check.id: check.result for check in checks if check.result is not Result.PASS} == {}
    assert exit_code(checks) is ExitCode.OK
    assert len({check.id for check in checks}) == len(checks)


@pytest.mark.parametrize(
    ("change", "name", "result"),
    [
        ({"version": 120000}, "source.version", Result.FAIL),
        ({"in_recovery": True}, "source.primary", Result.FAIL),
        ({"in_recovery": None}, "source.primary", Result.WARNING),
        ({"wal_level": "replica"}, "source.wal_level", Result.FAIL),
        ({"slots_free": 1}, "source.max_replication_slots", Result.FAIL),
        ({"senders_free": None}, "source.max_wal_senders", Result.WARNING),
        ({"table_names": ["a.b.c"]}, "source.table_names", Result.FAIL),
        ({"unlogged": ["public.a"]}, "source.unlogged", Result.FAIL),
        ({"unlogged": None}, "source.unlogged", Result.WARNING),
        ({"odd_types": ["public.a.b oid"]}, "source.odd_types", Result.WARNING),
        ({"incomparable": ["public.a.b json"]}, "source.incomparable", Result.WARNING),
        ({"not_binary": ["public.a.b aclitem"]}, "source.not_binary", Result.FAIL),
        ({"key_generated": ["public.a.b"]}, "source.key_generated", Result.FAIL),
        ({"search_path": ["a"]}, "source.search_path", Result.FAIL),
        ({"event_triggers": ["a"]}, "source.event_triggers", Result.WARNING),
        ({"replica_triggers": ["public.a.b"]}, "source.replica_triggers", Result.WARNING),
        ({"materialized_views": ["public.a"]}, "source.materialized_views", Result.WARNING),
        ({"generated": ["public.a.b"]}, "source.generated", Result.PASS),
        ({"large_objects": 1}, "source.large_objects", Result.FAIL),
        ({"ending_sequences": ["public.s"]}, "source.sequences", Result.WARNING),
        ({"long_transactions": ["pid 1"]}, "source.transactions", Result.WARNING),
        ({"prepared_transactions": ["'gid' in airbyte"]}, "source.transactions", Result.WARNING),
    ],
)
def test_source(change: dict[str, Any], name: str, result: Result) -> None:
    assert found(preflight_source.checks(replace(SOURCE, **change), ALLOWED), name).result == result


@pytest.mark.parametrize(
    ("change", "level", "name", "result"),
    [
        ({"restart": True}, "replica", "source.wal_level", Result.PASS),
        ({"mode": Mode.SNAPSHOT}, "replica", "source.wal_level", Result.NOT_APPLICABLE),
        ({"mode": Mode.SNAPSHOT}, "replica", "source.wal_headroom", Result.NOT_APPLICABLE),
        ({"mode": Mode.SNAPSHOT}, "replica", "feed.mode", Result.WARNING),
        ({"host_free_bytes": 8 * GIB}, "logical", "source.wal_headroom", Result.FAIL),
        ({"host_free_bytes": None}, "logical", "source.wal_headroom", Result.WARNING),
    ],
)
def test_what_is_allowed_counts(
    change: dict[str, Any], level: str, name: str, result: Result
) -> None:
    facts = replace(SOURCE, wal_level=level)
    checks = preflight_source.checks(facts, replace(ALLOWED, **change))
    assert found(checks, name).result == result


@pytest.mark.parametrize(
    ("source", "target", "result"),
    [(160000, 160004, Result.PASS), (170000, 160004, Result.WARNING), (None, 160004, Result.PASS)],
)
def test_a_target_is_not_older_than_its_source(
    source: int | None, target: int, result: Result
) -> None:
    there = replace(SOURCE, version=source) if source is not None else None
    checks = preflight_target.checks(there, replace(TARGET, version=target), CLIENTS, 3)
    assert found(checks, "target.version").result is result


def test_a_restart_does_not_help_against_the_command_line() -> None:
    facts = replace(SOURCE, wal_level="replica", wal_level_fixed=True)
    checks = preflight_source.checks(facts, replace(ALLOWED, restart=True))
    check = found(checks, "source.wal_level")
    assert check.result is Result.FAIL
    assert "command line" in check.found
    assert "allow_source_restart" not in check.way_out


@pytest.mark.parametrize(
    ("change", "name", "result"),
    [
        ({"version": 150000}, "target.version", Result.FAIL),
        ({"version": 160004}, "target.version", Result.PASS),
        ({"version": 170002}, "target.version", Result.PASS),
        ({"version": 180001}, "target.version", Result.WARNING),  # facts 3.1: not tested there
        ({"replication_workers_max": 1}, "target.workers", Result.FAIL),
        ({"subscriptions": 3}, "target.workers", Result.FAIL),
        ({"workers_max": 4}, "target.workers", Result.FAIL),
        ({"workers_max": None}, "target.workers", Result.WARNING),
        ({"origins_free": 0}, "target.origins", Result.FAIL),
        ({"elsewhere": ["other"]}, "target.subscription_name", Result.FAIL),
        ({"locale": replace(UTF8, encoding="LATIN1")}, "locale.encoding", Result.FAIL),
        ({"locale": None}, "locale.encoding", Result.WARNING),
        ({"locale": replace(UTF8, collate="de_DE.UTF-8")}, "locale.collation", Result.WARNING),
        (
            {"locale": replace(UTF8, recorded="2.36", actual="2.41")},
            "locale.collation",
            Result.WARNING,
        ),
        ({"clock": Clock(offset=3.0, error=0.01)}, "clock.skew", Result.WARNING),
        ({"clock": Clock(offset=1.5, error=0.9)}, "clock.skew", Result.PASS),  # can not be told
    ],
)
def test_target(change: dict[str, Any], name: str, result: Result) -> None:
    checks = preflight_target.checks(SOURCE, replace(TARGET, **change), CLIENTS, 3)
    assert found(checks, name).result == result


@pytest.mark.parametrize("mirror", ["UTF8", "LATIN1", None])
def test_no_mirror_helps_a_source_that_is_not_utf_8(mirror: str | None) -> None:
    """Every copy is made in UTF8, whatever the mirror that it replaces."""
    source = replace(SOURCE, locale=replace(UTF8, encoding="LATIN1"))
    locale = replace(UTF8, encoding=mirror) if mirror else None
    checks = preflight_target.checks(source, replace(TARGET, locale=locale), CLIENTS, 3)
    check = found(checks, "locale.encoding")
    assert check.result is Result.FAIL
    assert "on the source" in check.way_out
    assert "CREATE DATABASE" not in check.way_out


@pytest.mark.parametrize(
    ("wanted", "result"),
    [([], Result.PASS), (["pg_trgm"], Result.WARNING), (["postgis"], Result.FAIL)],
)
def test_extensions(wanted: list[str], result: Result) -> None:
    checks = preflight_target.checks(replace(SOURCE, extensions=wanted), TARGET, CLIENTS, 3)
    check = found(checks, "source.extensions")
    assert check.result == result
    assert "in the mirror does not help" in check.way_out


@pytest.mark.parametrize(
    ("pg_dump", "server", "result"),
    [(18, 170000, Result.PASS), (17, 180000, Result.FAIL), (None, None, Result.FAIL)],
)
def test_pg_dump(pg_dump: int | None, server: int | None, result: Result) -> None:
    checks = preflight_target.clients(replace(CLIENTS, pg_dump=pg_dump), server)
    assert found(checks, "client.pg_dump").result == result


@pytest.mark.parametrize(
    ("change", "name", "result"),
    [
        ({"version": "0.50.3"}, "airbyte.version", Result.FAIL),
        ({"version": None}, "airbyte.version", Result.FAIL),
        ({"version": None}, "airbyte.schema", Result.NOT_APPLICABLE),
        ({"version": "0.63.19"}, "airbyte.schema", Result.FAIL),  # one migration behind
        ({"version": "0.63.9", "configs": ["0.57.4.002"]}, "airbyte.schema", Result.PASS),
        ({"version": "0.63.17", "configs": ["0.57.4.014"]}, "airbyte.schema", Result.PASS),
        ({"configs": ["1.6.0.024"]}, "airbyte.schema", Result.FAIL),  # a newer bootloader was here
        ({"configs": []}, "airbyte.schema", Result.FAIL),
        ({"failed": 1}, "airbyte.schema", Result.FAIL),
        ({"lacking": ["state"]}, "airbyte.schema", Result.FAIL),
        ({"jobs": [{"job": "1"}]}, "airbyte.jobs", Result.WARNING),
        ({"has_secrets": False}, "airbyte.secrets", Result.FAIL),
        ({"has_secrets": False, "references": 0}, "airbyte.secrets", Result.PASS),
        ({"dangling": [{"actor": "a"}]}, "airbyte.secrets", Result.FAIL),
        ({"references": None}, "airbyte.secrets", Result.WARNING),
        ({"email": False}, "airbyte.login_email", Result.WARNING),
        ({"email": None}, "airbyte.login_email", Result.WARNING),
    ],
)
def test_airbyte(change: dict[str, Any], name: str, result: Result) -> None:
    checks = preflight_airbyte.checks(replace(AIRBYTE, **change), compose=True)
    assert found(checks, name).result == result


def test_a_version_that_the_owner_vouches_for_is_a_warning() -> None:
    facts = replace(AIRBYTE, version="0.62.4")
    checks = preflight_airbyte.checks(facts, compose=True, accepted=["0.62.4"])
    assert found(checks, "airbyte.version").result == Result.WARNING


def test_an_abctl_airbyte_may_be_a_charts_version() -> None:
    facts = replace(AIRBYTE, version="1.8.5", configs=["1.6.0.024"])
    checks = list(preflight_airbyte.checks(facts, compose=False))
    assert {check.result for check in checks} == {Result.PASS}
    assert found(preflight_airbyte.checks(facts, compose=True), "airbyte.version").result == (
        Result.FAIL
    )


def test_what_can_not_be_read_of_connectors_is_not_called_fine() -> None:
    nothing = preflight_travel.Travellers(actors=None, connections=[], logs=None)
    assert {check.result for check in preflight_travel.checks(nothing)} == {Result.WARNING}
