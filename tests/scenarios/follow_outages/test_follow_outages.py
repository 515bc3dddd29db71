"""What a feed survives by itself, and what it says while it can not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from db_migration.agent.patience import LOOKS_UNTIL_STALLED
from db_migration.agent.plan import Step
from db_migration.following import follow
from tests.scenarios.follow_outages.seen import MIRROR, says, through, well, write
from tests.support import timeouts
from tests.support.fix_postgres import wait_for
from tests.support.scenario import SLOT, Scenario
from tests.support.tunnel import Tunnel

BEYOND_TIMEOUTS = {"wal_sender_timeout": "1s", "wal_receiver_timeout": "1s"}
"""The minutes of a real outage, compressed: what counts is that both sides have given up."""


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


def test_verification_that_is_due_does_not_keep_a_worker_from_being_mended(
    scenario: Scenario,
) -> None:
    """It waits for a mirror that gets nothing, and would be due again right afterwards."""
    agent = scenario.converge()
    scenario.settings["verify_every_seconds"] = 0.01
    eager = scenario.agent()
    nowhere = "'host=127.0.0.1 port=1 dbname=airbyte user=airbyte_migration password=x'"
    lead = f"ALTER SUBSCRIPTION {SLOT} CONNECTION {nowhere}"
    scenario.target.sql(lead, database="airbyte_mirror")
    scenario.target.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_subscription")
    write(scenario)
    steps = [eager.once() for _ in range(WORKER_IS_MISSED)]
    assert Step.RECONNECT in steps
    assert Step.VERIFY not in steps[1 : steps.index(Step.RECONNECT)]
    scenario.converge(agent)
    scenario.assert_equal()


WORKER_IS_MISSED = 3 * LOOKS_UNTIL_STALLED
"""Looks: at some of them a worker that fails is just there."""


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
WORKS = "SELECT FROM pg_stat_subscription WHERE pid IS NOT NULL"


@pytest.mark.usefixtures("impatient")
def test_feed_is_paused_while_its_worker_waits_for_a_silent_source(
    scenario: Scenario, tunnel: Tunnel
) -> None:
    """A disabled subscription's worker notices only when it hears from the source."""
    scenario.run_in_background(scenario.converge())()
    tunnel.freeze()
    wait_for(lambda: scenario.target.sql(f"{WORKS} AND received_lsn IS NULL"), timeouts.FOLLOW)
    follow.disable(scenario.context())
    assert not scenario.target.sql(WORKS)


def test_a_table_in_mid_copy_does_not_have_a_silent_source_waited_for(
    scenario: Scenario, tunnel: Tunnel
) -> None:
    """For its slot DROP SUBSCRIPTION would call the source, and wait for an answer without end."""
    scenario.converge()
    late = "CREATE TABLE late (id int PRIMARY KEY)"
    scenario.source.sql(late, database="airbyte")
    scenario.source.sql("ALTER PUBLICATION airbyte_migration ADD TABLE late", database="airbyte")
    scenario.target.sql(late, database="airbyte_mirror")
    scenario.target.sql("ALTER TABLE late OWNER TO airbyte", database="airbyte_mirror")
    copied = "SELECT FROM pg_subscription_rel WHERE srsubstate = 'd'"
    with scenario.target.connect("airbyte_mirror") as other:
        other.execute("BEGIN; LOCK TABLE late IN SHARE MODE")
        refresh = f"ALTER SUBSCRIPTION {SLOT} REFRESH PUBLICATION"
        scenario.target.sql(refresh, database="airbyte_mirror")
        wait_for(lambda: scenario.target.sql(copied, database="airbyte_mirror"), timeouts.FOLLOW)
        tunnel.freeze()
        dropped = threading.Thread(target=follow.drop_subscription, args=(scenario.context(),))
        dropped.start()
        dropped.join(timeouts.FOLLOW)
        hangs = dropped.is_alive()
    tunnel.mend()
    dropped.join(timeouts.FOLLOW)
    assert not hangs
    assert scenario.target.sql("SELECT FROM pg_subscription") == []


def test_a_change_that_can_not_be_applied_is_warned_of_once(scenario: Scenario) -> None:
    """The worker fails again and again, and raises nothing here: its number of errors grows."""
    agent = scenario.converge()
    row = "INSERT INTO jobs (id, scope, status) VALUES (900000, 'of both', 'pending')"
    scenario.target.sql(row, database="airbyte_mirror")
    scenario.source.sql(row, database="airbyte")
    with capture_logs() as logs:
        stop = scenario.run_in_background(agent)
        wait_for(lambda: failures(scenario) >= 2, timeouts.FOLLOW)
        wait_for(lambda: agent.board.entries()[agent.name].errors >= 2, timeouts.FOLLOW)
        stop()
    warned = [line["error"] for line in logs if line["log_level"] == "warning"]
    assert [error.split("(")[0] for error in warned] == [
        "the subscription's worker does not run, or the source does not answer it "
    ]


def failures(scenario: Scenario) -> int:
    query = "SELECT apply_error_count FROM pg_stat_subscription_stats WHERE subname = %s"
    ((number,),) = scenario.target.sql(query, SLOT)
    return int(number)


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
