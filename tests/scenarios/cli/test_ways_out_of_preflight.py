"""Each way out that `preflight` names is one: made bad, typed as it says, it is good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from db_migration.preflight import preflight
from db_migration.preflight.checklist import Check, Result
from tests.support.scenario import SLOT, Scenario

PREPARED = (
    "BEGIN; INSERT INTO stream_reset SELECT * FROM stream_reset; PREPARE TRANSACTION 'theirs'"
)
BACK = "ROLLBACK PREPARED 'theirs'"
OWN_MIRROR = "ALTER DATABASE airbyte_mirror OWNER TO airbyte_migration"
NO_SLOT = "ALTER SUBSCRIPTION {0} DISABLE; ALTER SUBSCRIPTION {0} SET (slot_name = NONE)"


@dataclass(frozen=True)
class Case:
    """A bad state and how it comes out; what its way out says, and that typed."""

    check: str
    database: str
    bad: str
    result: Result
    says: str
    typed: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    better: dict[str, Any] = field(default_factory=dict)


CASES = {
    "large objects": Case(
        "source.large_objects",
        "source airbyte",
        "SELECT lo_create(0)",
        Result.FAIL,
        "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
        "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
    ),
    "a sequence near its end": Case(
        "source.sequences",
        "source airbyte",
        "CREATE TABLE small (id serial); SELECT setval('small_id_seq', 2147483640)",
        Result.WARNING,
        "ALTER SEQUENCE ... AS bigint on the source, with ALTER TABLE ... ALTER COLUMN ... TYPE",
        "ALTER TABLE small ALTER COLUMN id TYPE bigint; ALTER SEQUENCE small_id_seq AS bigint",
    ),
    "a publication of theirs": Case(
        "source.names",
        "source airbyte",
        "CREATE PUBLICATION airbyte_migration WITH (publish = 'insert')",
        Result.FAIL,
        "ALTER PUBLICATION ... RENAME TO",
        "ALTER PUBLICATION airbyte_migration RENAME TO theirs",
    ),
    "a slot of theirs": Case(
        "source.names",
        "source airbyte",
        f"SELECT pg_create_logical_replication_slot('{SLOT}', 'test_decoding')",
        Result.FAIL,
        f"SELECT pg_drop_replication_slot('{SLOT}')",
        f"SELECT pg_drop_replication_slot('{SLOT}')",
    ),
    "a role that was there": Case(
        "source.names",
        "source airbyte",
        "CREATE ROLE airbyte_migration",
        Result.WARNING,
        "name another role as `source.reader`",
        better={"feeds.0.source.reader.user": "another"},
    ),
    "snapshot mode by configuration": Case(
        "feed.mode",
        "source airbyte",
        "",
        Result.WARNING,
        "`mode: auto`",
        settings={"feeds.0.mode": "snapshot"},
        better={"feeds.0.mode": "auto"},
    ),
    "a mirror of somebody else's": Case(
        "target.mirror",
        "target postgres",
        "ALTER DATABASE airbyte_mirror OWNER TO postgres; "
        "GRANT ALL ON DATABASE airbyte_mirror TO airbyte_migration",
        Result.FAIL,
        OWN_MIRROR,
        OWN_MIRROR,
    ),
    "a mirror that lets nobody in": Case(
        "target.mirror",
        "target postgres",
        "ALTER DATABASE airbyte_mirror OWNER TO postgres",
        Result.FAIL,
        OWN_MIRROR,
        OWN_MIRROR,
    ),
    "a working database of somebody else's": Case(
        "target.working_database",
        "target postgres",
        "ALTER DATABASE airbyte OWNER TO postgres; "
        "GRANT ALL ON DATABASE airbyte TO airbyte_migration",
        Result.WARNING,
        "ALTER DATABASE airbyte OWNER TO airbyte",
        "ALTER DATABASE airbyte OWNER TO airbyte",
    ),
    "an owner's rights that are not inherited": Case(
        "target.owner_role",
        "target postgres",
        "GRANT airbyte TO airbyte_migration WITH INHERIT FALSE, SET TRUE",
        Result.FAIL,
        "db_migration/target_setup.sql",
        "GRANT airbyte TO airbyte_migration WITH INHERIT TRUE, SET TRUE",
    ),
    "a subscription elsewhere": Case(
        "target.subscription_name",
        "target temporal",
        f"CREATE SUBSCRIPTION {SLOT} CONNECTION 'dbname=none' PUBLICATION none "
        "WITH (connect = false)",
        Result.FAIL,
        NO_SLOT.format("..."),
        f"{NO_SLOT.format(SLOT)}; DROP SUBSCRIPTION {SLOT}",
    ),
}


def checked(scenario: Scenario, name: str) -> Check:
    return {check.id: check for check in preflight.preflight(scenario.context())}[name]


def type_in(scenario: Scenario, where: str, statements: str) -> None:
    server, database = where.split()
    for statement in filter(None, statements.split("; ")):
        getattr(scenario, server).sql(statement, database=database)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_typed_as_it_says(scenario: Scenario, case: Case) -> None:
    type_in(scenario, case.database, case.bad)
    scenario.settings |= case.settings
    check = checked(scenario, case.check)
    assert check.result is case.result, check
    assert case.says in check.way_out
    type_in(scenario, case.database, case.typed)
    scenario.settings |= case.better
    check = checked(scenario, case.check)
    assert check.result is Result.PASS, check


def test_a_mirror_in_another_encoding(scenario: Scenario) -> None:
    sql = scenario.target.sql
    sql("DROP DATABASE airbyte_mirror")
    make = "CREATE DATABASE airbyte_mirror OWNER airbyte_migration TEMPLATE template0 ENCODING"
    sql(f"{make} 'LATIN1' LOCALE 'C'")
    check = checked(scenario, "locale.encoding")
    assert check.result is Result.FAIL
    assert "DROP DATABASE" in check.way_out
    assert "OWNER the feed's role TEMPLATE template0 ENCODING 'UTF8'" in check.way_out
    sql("DROP DATABASE airbyte_mirror")
    sql(f"{make} 'UTF8'")
    assert checked(scenario, "locale.encoding").result is Result.PASS


@pytest.fixture
def prepares(scenario: Scenario) -> Iterator[None]:
    scenario.source.sql("ALTER SYSTEM SET max_prepared_transactions = 2")
    scenario.source.restart()
    yield
    for _ in scenario.source.sql("SELECT FROM pg_prepared_xacts"):
        scenario.source.sql(BACK, database="airbyte")
    scenario.source.sql("ALTER SYSTEM RESET max_prepared_transactions")
    scenario.source.restart()


@pytest.mark.usefixtures("prepares")
def test_a_prepared_transaction(scenario: Scenario) -> None:
    with scenario.source.connect("airbyte") as prod:
        for statement in PREPARED.split("; "):
            prod.execute(statement)
    check = checked(scenario, "source.transactions")
    assert check.result is Result.WARNING
    assert "1: 'theirs' in airbyte" in check.found
    assert "ROLLBACK PREPARED" in check.way_out
    scenario.source.sql(BACK, database="airbyte")
    assert checked(scenario, "source.transactions").result is Result.PASS


def test_an_owner_who_sees_no_sessions_of_others(scenario: Scenario) -> None:
    scenario.owned_by("app", "CREATEROLE")
    check = checked(scenario, "source.transactions")
    assert check.result is Result.WARNING
    assert "GRANT pg_read_all_stats TO" in check.way_out
    scenario.source.sql("GRANT pg_read_all_stats TO app")
    assert checked(scenario, "source.transactions").result is Result.PASS


@pytest.mark.parametrize(
    ("mode", "result"), [("logical", Result.FAIL), ("snapshot", Result.NOT_APPLICABLE)]
)
def test_snapshots_need_no_right_to_publish(scenario: Scenario, mode: str, result: Result) -> None:
    scenario.owned_by("app", "CREATEROLE")
    scenario.source.sql("ALTER DATABASE airbyte OWNER TO docker")
    scenario.settings["feeds.0.mode"] = mode
    assert checked(scenario, "source.owner").result is Result.PASS
    assert checked(scenario, "source.may_publish").result is result


@pytest.mark.parametrize("side", ["source", "target"])
def test_nobody_says_that_a_verb_is_tried_again_by_itself(scenario: Scenario, side: str) -> None:
    key = {"source": "feeds.0.source", "target": "control"}[side]
    scenario.settings[f"{key}.port"] = 1
    check = checked(scenario, f"{side}.reachable")
    assert check.result is Result.FAIL
    assert "by itself" not in check.way_out


@pytest.mark.parametrize(
    ("database", "result"), [("airbyte_mirror", Result.FAIL), ("airbyte_migration", Result.PASS)]
)
def test_the_source_is_known_under_another_address(
    scenario: Scenario, database: str, result: Result
) -> None:
    scenario.converge()
    (scenario.folder / "of_the_target").write_text(scenario.target.password)
    owner = {
        "user": scenario.target.user, "password_file": str(scenario.folder / "of_the_target"),
    }  # fmt: skip
    scenario.settings |= {
        "feeds.0.source.host": "localhost",
        "feeds.0.source.port": scenario.target.port,
        "feeds.0.source.database": database,
        "feeds.0.source.owner": owner,
    }
    check = checked(scenario, "target.mirror")
    assert check.result is result
    assert ("is the source itself" in check.found) is (result is Result.FAIL)
