"""What a feed survives by itself, and what it says while it can not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.support import timeouts
from tests.support.disk import Disk, server_on_a_small_disk
from tests.support.fix_postgres import PgServer, drop_everything, wait_for
from tests.support.scenario import SLOT, Scenario
from tests.support.tunnel import Tunnel

MIRROR = "SELECT oid FROM pg_database WHERE datname = 'airbyte_mirror'"
BEYOND_TIMEOUTS = {"wal_sender_timeout": "1s", "wal_receiver_timeout": "1s"}
"""The minutes of a real outage, compressed: what counts is that both sides have given up."""


@pytest.fixture
def tunnel(scenario: Scenario) -> Iterator[Tunnel]:
    """Lead the agent and the subscriber through a tunnel that can be cut."""
    found = Tunnel(scenario.source.port)
    through(scenario, found)
    yield found
    found.close()


def through(scenario: Scenario, tunnel: Tunnel) -> None:
    scenario.settings["feeds.0.source.port"] = tunnel.port
    scenario.settings["feeds.0.source.address_for_subscriber.port"] = tunnel.port


@pytest.fixture
def impatient(scenario: Scenario) -> Iterator[None]:
    """Let both servers give up a silent peer after a second."""
    sides = (scenario.source, "wal_sender_timeout"), (scenario.target, "wal_receiver_timeout")
    for server, name in sides:
        server.sql(f"ALTER SYSTEM SET {name} = '{BEYOND_TIMEOUTS[name]}'")
        server.sql("SELECT pg_reload_conf()")
    yield
    for server, name in sides:
        server.start()
        server.sql(f"ALTER SYSTEM RESET {name}")
        server.sql("SELECT pg_reload_conf()")


def write(scenario: Scenario, rows: int = 1) -> None:
    query = "INSERT INTO jobs (scope, status) SELECT repeat('x', 1000), 'pending' "
    scenario.source.sql(f"{query} FROM generate_series(1, {rows})", database="airbyte")


def says(scenario: Scenario, *words: str) -> Callable[[], bool]:
    """Return whether the state is broken, and its error holds these words and a way out."""

    def said() -> bool:
        state = known(scenario)
        error: dict[str, Any] = state["error"] or {}
        text = " ".join(error.values())
        return state["state"] == "broken" and all(word in text for word in words)

    return said


def known(scenario: Scenario) -> dict[str, Any]:
    """Return the feed's state; a full disk may end the target, which tells nothing meanwhile."""
    with suppress(psycopg.OperationalError):
        return scenario.state()
    return {"state": None, "error": None}


def well(scenario: Scenario) -> bool:
    state = known(scenario)
    return state["state"] == "following" and state["error"] is None


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_tunnel_is_gone_for_long(scenario: Scenario, tunnel: Tunnel, how: str) -> None:
    stop = scenario.run_in_background(scenario.converge())
    before = scenario.target.sql(MIRROR)
    getattr(tunnel, how)()
    write(scenario, rows=3000)
    walsender = "SELECT FROM pg_stat_replication"
    wait_for(lambda: not scenario.source.sql(walsender), timeouts.FOLLOW)
    if how == "cut":
        wait_for(says(scenario, "source `prod`", "tunnel"), timeouts.FOLLOW)
    tunnel.mend()
    write(scenario)
    scenario.assert_equal()
    wait_for(lambda: well(scenario), timeouts.FOLLOW)
    stop()
    assert scenario.target.sql(MIRROR) == before, "an outage is no reason for a new copy"


def test_slot_is_invalidated(scenario: Scenario, tunnel: Tunnel) -> None:
    stop = scenario.run_in_background(scenario.converge())
    before, kept = scenario.target.sql(MIRROR), scenario.content(scenario.target, "airbyte_mirror")
    tunnel.cut()
    write(scenario, rows=100)
    for _ in range(3):
        scenario.source.sql("SELECT pg_switch_wal()")
        scenario.source.sql("SELECT txid_current()")
    scenario.source.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    scenario.source.sql("SELECT pg_reload_conf()")
    lost = "SELECT FROM pg_replication_slots WHERE slot_name = %s AND wal_status = 'lost'"

    def is_lost() -> bool:
        scenario.source.sql("CHECKPOINT")
        return bool(scenario.source.sql(lost, SLOT))

    wait_for(is_lost, timeouts.FOLLOW)
    assert scenario.content(scenario.target, "airbyte_mirror") == kept
    scenario.source.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'")
    scenario.source.sql("SELECT pg_reload_conf()")
    tunnel.mend()
    scenario.assert_equal()
    wait_for(lambda: well(scenario), timeouts.FOLLOW)
    stop()
    assert scenario.target.sql(MIRROR) != before, "a lost slot needs a new copy"
    assert any("lost the WAL" in detail for *_, detail in scenario.journal().events())


def test_password_is_rotated_on_the_source_by_somebody_else(scenario: Scenario) -> None:
    stop = scenario.run_in_background(scenario.converge())
    before = scenario.target.sql(MIRROR)
    scenario.source.sql("ALTER ROLE airbyte_migration PASSWORD 'of somebody else'")
    scenario.source.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    write(scenario)
    scenario.assert_equal()
    wait_for(lambda: well(scenario), timeouts.FOLLOW)
    stop()
    assert scenario.target.sql(MIRROR) == before


def test_password_of_prods_owner_is_rotated(scenario: Scenario) -> None:
    """The copy goes on; the state names the file that holds the old password."""
    stop = scenario.run_in_background(scenario.converge())
    file = scenario.folder / "source_owner"
    old = scenario.source.password
    rotated = replace(scenario.source, password="rotated")
    scenario.source.sql(f"ALTER ROLE {rotated.user} PASSWORD 'rotated'")
    try:
        wait_for(says(scenario, "password authentication failed", str(file)), timeouts.FOLLOW)
        rotated.sql("INSERT INTO stream_reset VALUES ('meanwhile')", database="airbyte")
        arrived = "SELECT FROM stream_reset WHERE stream_name = 'meanwhile'"
        wait_for(lambda: scenario.target.sql(arrived, database="airbyte_mirror"), timeouts.FOLLOW)
        file.write_text("rotated")
        wait_for(lambda: well(scenario), timeouts.FOLLOW)
    finally:
        rotated.sql(f"ALTER ROLE {rotated.user} PASSWORD '{old}'")
        file.write_text(old)
    write(scenario)
    scenario.assert_equal()
    stop()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_source_moves_to_another_address(scenario: Scenario, tunnel: Tunnel, how: str) -> None:
    """Its data and its slot come along, as when a host or a tunnel is given a new address.

    Where the old address takes a connection and stays silent, the worker asks there for ever:
    PostgreSQL's receiver keeps to no `connect_timeout`.
    """
    scenario.run_in_background(scenario.converge())()
    before = scenario.target.sql(MIRROR)
    getattr(tunnel, how)()
    wait_for(lambda: scenario.target.sql(ASKS), timeouts.FOLLOW)
    write(scenario, rows=10)
    elsewhere = Tunnel(scenario.source.port)
    try:
        through(scenario, elsewhere)
        stop = scenario.run_in_background(scenario.agent())
        scenario.assert_equal()
        wait_for(lambda: well(scenario), timeouts.FOLLOW)
        stop()
    finally:
        elsewhere.close()
    assert scenario.target.sql(MIRROR) == before


ASKS = "SELECT FROM pg_stat_subscription WHERE received_lsn IS NULL"
"""The subscription's worker is not there, or has not heard from its source yet."""


@pytest.fixture(scope="module")
def small() -> Iterator[tuple[PgServer, Disk]]:
    with server_on_a_small_disk(17, "postgres", 160, with_wal=False) as found:
        yield found


@pytest.fixture
def cramped(scenario: Scenario, small: tuple[PgServer, Disk]) -> Iterator[tuple[Scenario, Disk]]:
    """Put the target on a small disk of its own."""
    server, disk = small
    found = Scenario(scenario.source, server, scenario.folder)
    found.set_up_target()
    yield found, disk
    for stop in found.stops:
        stop()
    disk.empty()
    server.start()
    drop_everything(server)


def fill(scenario: Scenario, disk: Disk, but: int = 0) -> None:
    """Fill the disk when every block in memory has its place there.

    A checkpoint that finds no place for one of a new database's blocks, or for its own notes,
    ends the server (PANIC), and its recovery too.
    """
    scenario.target.sql("CHECKPOINT")
    disk.fill(but)


def test_disk_of_the_target_is_full(cramped: tuple[Scenario, Disk]) -> None:
    scenario, disk = cramped
    stop = scenario.run_in_background(scenario.converge())
    before = scenario.target.sql(MIRROR)
    fill(scenario, disk)

    def full() -> bool:
        write(scenario, rows=500)
        return says(scenario, "no room left", "free space")()

    wait_for(full, timeouts.FOLLOW)
    disk.empty()
    scenario.assert_equal()
    wait_for(lambda: well(scenario), timeouts.FOLLOW)
    stop()
    assert scenario.target.sql(MIRROR) == before, "a full disk is no reason for a new copy"


def test_copy_that_does_not_fit(cramped: tuple[Scenario, Disk]) -> None:
    """It says so, leaves no slot on prod, and begins anew by itself once there is room."""
    scenario, disk = cramped
    bulky = "SELECT n, repeat(md5(n::text), 8) AS filler FROM generate_series(1, 100000) AS n"
    scenario.source.sql(f"CREATE TABLE bulky AS {bulky}", database="airbyte")
    fill(scenario, disk, but=24 * 1024**2)
    stop = scenario.run_in_background(scenario.agent())
    wait_for(says(scenario, "target `core-worker-01`", "no room left"), timeouts.CONVERGE)
    wait_for(lambda: not scenario.source.sql(SLOTS), timeouts.CONVERGE)
    disk.empty()
    wait_for(lambda: well(scenario), timeouts.CONVERGE)
    scenario.assert_equal()
    stop()


SLOTS = "SELECT FROM pg_replication_slots"
REFUSED = """
CREATE FUNCTION on_13(int) RETURNS boolean LANGUAGE sql
    AS $$ SELECT current_setting('server_version_num')::int < 140000 $$;
CREATE TABLE refused (a int CHECK (on_13(a)));
INSERT INTO refused VALUES (1);
"""


def test_copy_that_fails_is_not_tried_without_end(scenario: Scenario) -> None:
    """The target refuses a table; each attempt would burden prod and the target's disk."""
    with scenario.source.connect("airbyte") as prod:
        prod.execute(REFUSED.encode())
    stop = scenario.run_in_background(scenario.agent())

    def rests() -> bool:
        state = scenario.state()
        failed = (state.get("schema") or {}).get("failed_copies", 0)
        return failed >= 2 and "after a pause" in state["next"]

    wait_for(rests, timeouts.CONVERGE)
    assert scenario.source.sql(SLOTS) == []
    scenario.source.sql("DROP TABLE refused", database="airbyte")
    wait_for(lambda: well(scenario), timeouts.CONVERGE)
    scenario.assert_equal()
    stop()


def test_a_lost_journal_costs_its_history_only(scenario: Scenario) -> None:
    """Somebody drops the tables of the control database while the agent writes into them."""
    stop = scenario.run_in_background(scenario.converge())
    before = scenario.target.sql(MIRROR)
    scenario.target.sql("DROP SCHEMA migration CASCADE", database="airbyte_migration")
    wait_for(lambda: journaled(scenario) and well(scenario), timeouts.FOLLOW)
    write(scenario)
    wait_for(lambda: well(scenario), timeouts.FOLLOW)
    scenario.assert_equal()
    assert scenario.target.sql(MIRROR) == before
    stop()


def journaled(scenario: Scenario) -> bool:
    query = "SELECT to_regclass('migration.feed') IS NOT NULL"
    return scenario.target.sql(query, database="airbyte_migration") == [(True,)]
