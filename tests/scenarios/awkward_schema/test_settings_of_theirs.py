"""What ALTER DATABASE and ALTER ROLE SET on a side neither hinders nor looks different."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from db_migration.following import follow
from db_migration.pinned import SILENCE_SECONDS
from db_migration.postgres import rows
from tests.support import exact, timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import Scenario

SETTINGS = {
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "datestyle": "German, DMY",
    "intervalstyle": "iso_8601",
    "timezone": "Asia/Kolkata",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "search_path": "nowhere",
    "row_security": "off",
    "client_min_messages": "debug1",
    "statement_timeout": "1s",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
}
BACKSLASHED = r"""
CREATE TABLE backslashed (
    id int PRIMARY KEY, path text DEFAULT 'a\b', kind text CHECK (kind <> 'c\d'), raw bytea,
    at timestamptz, numbers int[], number float8);
CREATE INDEX backslashed_path ON backslashed (path) WHERE path <> 'x\y';
CREATE VIEW backslashes AS SELECT id, path = 'k\l' AS same FROM backslashed;
INSERT INTO backslashed
VALUES (1, '\', 'q', '\x00ff', '2024-01-02 03:04+05', '{1,NULL}', 0.1);
"""
CHANGE = r"""
UPDATE backslashed SET path = 'a\\b', raw = '\x5c', number = 0.30000000000000004;
INSERT INTO backslashed (id, at) VALUES (2, '2025-05-06 07:08+09')
"""


def test_settings_of_database_and_owner(scenario: Scenario) -> None:
    source = scenario.source
    source.sql(BACKSLASHED, database="airbyte")
    source.sql("CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'planted-boss-secret'")
    (scenario.folder / "boss").write_text("planted-boss-secret")
    owner = {"user": "boss", "password_file": str(scenario.folder / "boss")}
    scenario.settings["feeds.0.source.owner"] = owner
    with source.connect() as admin:
        for name, setting in SETTINGS.items():
            for whose in ("DATABASE airbyte", "ROLE boss"):
                admin.execute(f"ALTER {whose} SET {name} = '{setting}'".encode())
            # The test's own sessions are this role's.
            admin.execute(f"ALTER ROLE docker IN DATABASE airbyte SET {name} FROM CURRENT".encode())
    scenario.converge()
    source.sql(CHANGE, database="airbyte")
    scenario.assert_equal()
    for strength in ((), ("--exact",)):
        found = exact.commanded(partial(scenario.cli, "verify", *strength))
        assert found.returncode == 0, found.stdout + found.stderr
    released = scenario.cli("release")
    assert released.returncode == 0, released.stderr


OF_OUR_ROLE = {**SETTINGS, "xmloption": "document"}
LISTED = """
CREATE TABLE listed (id int PRIMARY KEY, words text[], numbers int[], markup xml);
INSERT INTO listed VALUES (1, '{NULL}', '{NULL,1}', 'no document')
"""


def test_settings_of_our_role_on_the_target(scenario: Scenario) -> None:
    """The subscription's worker reads values as its role's settings say."""
    scenario.source.sql(BACKSLASHED + LISTED, database="airbyte")
    for name, setting in OF_OUR_ROLE.items():
        change = f"ALTER ROLE airbyte_migration SET {name} = '{setting}'"
        scenario.target.sql(change)
    scenario.converge()
    scenario.source.sql(CHANGE, database="airbyte")
    again = "INSERT INTO listed SELECT 2, words, numbers, markup FROM listed"
    scenario.source.sql(again, database="airbyte")
    scenario.assert_equal()
    assert scenario.copies() == 1
    for strength in ((), ("--exact",)):
        found = exact.commanded(partial(scenario.cli, "verify", *strength))
        assert found.returncode == 0, found.stdout + found.stderr


EURO = """
LC_MONETARY
currency_symbol "EUR"
mon_decimal_point ","
mon_thousands_sep "."
mon_grouping 3;3
frac_digits 2
p_cs_precedes 0
END LC_MONETARY
"""
PRICED = """
CREATE TABLE {0} (id int PRIMARY KEY, price money);
INSERT INTO {0} VALUES (1, 1234.5::numeric::money)
"""


@pytest.fixture
def euros(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """Servers that know a locale `euro`, which writes 1.234,50EUR."""
    folder = Path(scenario.source.home)
    (folder / "euro.definition").write_text(EURO)
    make = ["localedef", "-c", "-f", "ANSI_X3.4-1968", "-i", f"{folder}/euro.definition"]
    # It ends with 1: every other category is left to the default, with a warning.
    subprocess.run([*make, f"{folder}/euro"], capture_output=True, check=False)
    monkeypatch.setenv("LOCPATH", str(folder))
    for server in (scenario.source, scenario.target):
        server.restart()
    scenario.source.sql(PRICED.format("priced"), database="airbyte")
    return scenario


ON_SOURCE = "ALTER DATABASE airbyte SET lc_monetary = 'euro'"
ON_TARGET = "ALTER ROLE airbyte_migration SET lc_monetary = 'euro'"
CHEAPER = "UPDATE priced SET price = price / 3"


@pytest.mark.parametrize("side", ["source", "target"])
def test_money_is_written_and_read_alike(euros: Scenario, side: str) -> None:
    {"source": euros.source, "target": euros.target}[side].sql(
        {"source": ON_SOURCE, "target": ON_TARGET}[side]
    )
    agent = euros.converge()
    euros.source.sql(CHEAPER, database="airbyte")
    euros.source.sql(PRICED.format("priced_late"), database="airbyte")
    euros.converge(agent)
    euros.assert_equal()
    assert euros.copies() == 1
    found = euros.cli("verify")
    assert found.returncode == 0, found.stdout + found.stderr


def test_money_of_a_feed_that_an_earlier_version_made(euros: Scenario) -> None:
    for server, change in ((euros.source, ON_SOURCE), (euros.target, ON_TARGET)):
        server.sql(change)
    agent = euros.converge()
    earlier = make_conninfo(follow.conninfo(agent.context), options="")
    where = sql.Literal(earlier).as_string(None)
    mirror = "airbyte_mirror"
    role = f"ALTER ROLE airbyte_migration IN DATABASE {mirror} RESET lc_monetary"
    euros.target.sql(role, database=mirror)
    euros.target.sql(
        f"ALTER SUBSCRIPTION {agent.context.feed.slot} CONNECTION {where}", database=mirror
    )
    euros.source.sql(CHEAPER, database="airbyte")
    euros.assert_equal()
    follow.reconnect(agent.context)
    euros.source.sql(CHEAPER, database="airbyte")
    euros.assert_equal()
    assert euros.copies() == 1


TIMEOUTS = """
SELECT name, setting FROM pg_settings
WHERE category = 'Client Connection Defaults / Statement Behavior' AND name ~ '_timeout$'
"""
ROLE = "airbyte_migration"


@pytest.mark.parametrize("side", ["source", "target"])
def test_no_time_of_theirs_ends_a_session_of_ours(scenario: Scenario, side: str) -> None:
    """Of 13 and of 17, which has more of them: a step's lock and a copy's snapshot may be idle."""
    server = {"source": scenario.source, "target": scenario.target}[side]
    if side == "source":
        server.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'planted-migration-secret'")
    names = [name for name, _ in server.sql(TIMEOUTS)]
    for name in names:
        server.sql(f"ALTER ROLE {ROLE} SET {name} = '7s'")
    context = scenario.context()
    endpoint = {"source": context.reader, "target": context.control}[side]
    with endpoint.connect() as connection:
        found = dict(rows(connection, TIMEOUTS))
    assert len(names) >= {"source": 3, "target": 5}[side]
    assert found == {**dict.fromkeys(names, "0"), "lock_timeout": "5000"}


def test_locks_of_a_client_whose_host_has_died_do_not_stay(scenario: Scenario) -> None:
    """Servers wait for two hours by default: nobody could change sides meanwhile."""
    alive = "SELECT name, setting::int FROM pg_settings WHERE name ~ '^tcp_keepalives_'"
    with scenario.context().control.connect() as connection:
        found = dict(rows(connection, alive))
    silent = found["tcp_keepalives_interval"] * found["tcp_keepalives_count"]
    assert found["tcp_keepalives_idle"] + silent == SILENCE_SECONDS


@pytest.fixture
def hasty(scenario: Scenario) -> Iterator[Scenario]:
    """A copy that follows, on a target that ends every transaction soon from then on.

    Where the machine is busy a worker does not come up in that time.
    """
    scenario.converge()
    scenario.target.sql("ALTER SYSTEM SET transaction_timeout = '200ms'")
    scenario.target.sql("SELECT pg_reload_conf()")
    yield scenario
    scenario.target.sql("ALTER SYSTEM RESET transaction_timeout")
    scenario.target.sql("SELECT pg_reload_conf()")


def test_who_ends_the_worker_is_said(hasty: Scenario) -> None:
    agent = hasty.agent()
    much = "INSERT INTO jobs (scope, status) SELECT repeat('x', 1000), 'pending' "
    hasty.source.sql(f"{much} FROM generate_series(1, 60000)", database="airbyte")

    def said() -> bool:
        agent.once()
        return "transaction_timeout" in (hasty.state()["error"] or {}).get("found", "")

    wait_for(said, timeouts.FOLLOW)
    hasty.target.sql(hasty.state()["error"]["way_out"].split(",")[0])
    hasty.converge(agent)
    found = hasty.cli("verify")
    assert found.returncode == 0, found.stdout
