"""After a failover the dead come back, one command makes them redundant, and they die again."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import psycopg
import pytest

from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.failover.plan import Kind
from db_migration.following import release
from db_migration.journal import Journal
from db_migration.rebuild import rebuild as rebuild_verb
from db_migration.sides.epoch import Epoch
from db_migration.sides.hosts import HostControl
from db_migration.sides.watch import watch
from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, KEEPER, NEW, REPLICA
from tests.support.fix_postgres import wait_for
from tests.support.live_standin import CONTROL
from tests.support.returned import assert_redundant, fail_over_and_return, fail_over_without_loss
from tests.support.timeouts import AGENT_STEP, FOLLOW

NAMES = "SELECT datname FROM pg_database WHERE datname LIKE '%_before_failover_%' ORDER BY 1"
OPEN = "SELECT datallowconn FROM pg_database WHERE datname = 'airbyte'"
CLOSED = ("prod: let nobody into database `airbyte`, drop our slots in it",)


def test_returned_server_becomes_the_copy_and_then_prod_again(v2: CrashWorld) -> None:
    fail_over_and_return(v2)
    foreseen = v2.rebuild(dry_run=True).done
    assert any("set its former live databases aside" in what for what in foreseen)
    done = v2.rebuild().done
    assert done[: len(foreseen)] == foreseen or set(foreseen) <= set(done)
    assert [name for (name,) in v2.intermediary.sql(NAMES)] == [
        "airbyte_before_failover_2",
        "temporal_before_failover_2",
        "temporal_visibility_before_failover_2",
    ]
    assert_redundant(v2)
    assert v2.rebuild().done == []

    v2.until_written()
    v2.writing.clear()
    v2.until_equal((v2.keeper, "airbyte"), (v2.intermediary, "airbyte_mirror"))
    v2.kill(KEEPER)
    v2.failover(here=INTERMEDIARY)
    v2.until_written()
    v2.writing.clear()
    assert v2.lost(v2.intermediary) == set()
    v2.bring_back(KEEPER)
    assert v2.observe(here=KEEPER).plan.now == Epoch(3, INTERMEDIARY, NEW, "failover")


def test_slot_of_a_table_that_was_in_mid_copy_keeps_no_log(v2: CrashWorld) -> None:
    """Its server died, and the subscription that named it with it."""
    made = "SELECT FROM pg_create_logical_replication_slot('pg_16399_sync_16400_7300', 'pgoutput')"
    v2.intermediary.sql(made, database="airbyte")
    fail_over_and_return(v2)
    v2.rebuild()
    assert v2.intermediary.sql("SELECT slot_name FROM pg_replication_slots") == []


def test_returned_host_becomes_the_standby_and_then_prod_again(v2: CrashWorld) -> None:
    v2.kill("prod")
    v2.failover("prod")
    v2.bring_back("prod")
    report = v2.rebuild()
    assert f"{NEW}: activate {NEW} 2 stopped" in report.done
    standby = v2.instances()[NEW]
    assert (standby["rendering"], standby["epoch"]) == (f"standby-{KEEPER}", 2)
    v2.until_written()

    v2.kill("replica")
    again = v2.failover("replica")
    assert again.plan.then == Epoch(3, INTERMEDIARY, NEW, "failover")
    v2.until_written()
    v2.writing.clear()
    assert v2.lost(v2.intermediary) == set()


def test_compose_that_came_back_with_its_host_is_stopped(v1: CrashWorld) -> None:
    fail_over_without_loss(v1)
    v1.bring_back("prod")
    assert (v1.folder / "compose.runs").exists()
    assert v1.rebuild().done == ["airbyte-prod: stop airbyte", *CLOSED]
    assert not (v1.folder / "compose.runs").exists()
    assert v1.prod.sql(OPEN) == [(False,)]
    assert v1.rebuild().done == []


def test_database_that_prod_has_left_is_closed_wherever_it_comes_from(v2: CrashWorld) -> None:
    """A backup or a volume has no fence; who was in it is put out."""
    v2.prod.sql("ALTER DATABASE airbyte ALLOW_CONNECTIONS true")
    with v2.prod.connect("airbyte") as somebody:
        assert v2.rebuild(dry_run=True).done == [*CLOSED]
        assert v2.prod.sql(OPEN) == [(True,)]
        assert v2.rebuild(here=INTERMEDIARY).done == [*CLOSED]
        with pytest.raises(psycopg.OperationalError):
            somebody.execute("SELECT 1")
    assert v2.prod.sql(OPEN) == [(False,)]
    assert v2.rebuild().done == []


def test_release_opens_it_for_good_and_undoes_what_is_left(v1: CrashWorld) -> None:
    fail_over_without_loss(v1)
    v1.bring_back("prod")
    v1.rebuild()
    config = v1.config()
    context = Context(config, config.feeds[0])
    listed = release.traces(context)
    assert listed[0].what == (
        f"database `airbyte` lets nobody in: prod is on {KEEPER} since epoch 1"
    )
    assert v1.prod.sql(OPEN) == [(False,)]
    done = release.release(context, Journal(context.control, context.feed.name))
    assert done[0] == listed[0]
    assert "publication `airbyte_migration`" in done[1].what
    assert v1.prod.sql("SELECT rolname FROM pg_roles WHERE rolname ~ 'migration'") == []
    assert v1.rebuild().done == []
    assert v1.prod.sql(OPEN) == [(True,)]


def test_compose_that_came_back_is_stopped_by_the_script_without_a_command(v1: CrashWorld) -> None:
    fail_over_without_loss(v1)
    stop = threading.Event()
    watching = threading.Thread(target=watch, args=(v1.config(), stop, v1.host))
    watching.start()
    v1.bring_back("prod")
    wait_for(lambda: not (v1.folder / "compose.runs").exists(), AGENT_STEP)
    wait_for(lambda: v1.prod.sql(OPEN) == [(False,)], AGENT_STEP)
    assert v1.prod.sql("SELECT slot_name FROM pg_replication_slots") == []
    stop.set()
    watching.join()
    trail = "SELECT detail FROM migration.event WHERE feed = 'rebuild' AND phase = 'done'"
    assert sorted(v1.keeper.sql(trail, database=CONTROL)) == [
        ("airbyte-prod: stop airbyte",),
        CLOSED,
    ]


@dataclass(frozen=True)
class SickHost:
    """One that answers, and does not end what it is told to stop until it is let to."""

    host: HostControl
    told: threading.Event
    let: threading.Event

    def run(self, verb: str) -> str:
        if verb == "status":
            return self.host.run(verb)
        self.told.set()
        self.let.wait(FOLLOW)
        return ""


def test_a_host_that_does_not_stop_its_airbyte_keeps_no_failover_out(v2: CrashWorld) -> None:
    v2.kill("prod")
    v2.failover("prod")
    v2.bring_back("prod")
    v2.until_caught_up()
    stop, told = threading.Event(), threading.Event()
    sick = (v2.config(), stop, lambda instance: SickHost(v2.host(instance), told, stop))
    watching = threading.Thread(target=watch, args=sick)
    watching.start()
    try:
        assert told.wait(AGENT_STEP)
        v2.kill(INTERMEDIARY)
        v2.failover()
    finally:
        stop.set()
        watching.join()
    v2.assert_lives(v2.keeper, Epoch(3, KEEPER, REPLICA, "failover"))


def test_mirror_that_somebody_wrote_to_is_made_again(v2: CrashWorld) -> None:
    v2.until_caught_up()
    v2.keeper.sql("DELETE FROM attempts WHERE id <= 10", database="airbyte_mirror")
    feed = f"{INTERMEDIARY}-to-{KEEPER}"
    wait_for(lambda: v2.feed_state(feed)["verified"], FOLLOW)
    wait_for(lambda: not v2.feed_state(feed)["verified"]["equal"], FOLLOW)
    report = v2.rebuild()
    assert any("drop the mirror's subscription" in what for what in report.done)
    v2.until_equal((v2.intermediary, "airbyte"), (v2.keeper, "airbyte_mirror"))


def test_silent_hosts_are_named_and_waited_for(v2: CrashWorld) -> None:
    v2.kill("prod")
    v2.failover("prod")
    report = v2.rebuild()
    assert any("host prod" in silent for silent in report.waiting_for)
    assert v2.observe().plan.kind is Kind.NOTHING


def test_a_failover_while_it_waits_ends_it(v2: CrashWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the standby was to be let in is prod by now, even one whose connections all rest."""
    v2.kill("prod")
    v2.failover("prod")
    v2.bring_back("prod")
    v2.intermediary.sql("UPDATE connection SET status = 'inactive'", database="airbyte")
    v2.until_caught_up()

    def meanwhile(*_: object) -> None:
        v2.kill(INTERMEDIARY)
        v2.failover()

    monkeypatch.setattr(rebuild_verb._Rebuild, "_wait", meanwhile)
    with pytest.raises(BlockedError, match="epoch 3 was recorded meanwhile"):
        v2.rebuild()
    v2.assert_lives(v2.keeper, Epoch(3, KEEPER, REPLICA, "failover"))
