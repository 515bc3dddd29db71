"""A host dies; one command later an up-to-date Airbyte writes again."""

from __future__ import annotations

import threading

import psycopg
import pytest

from db_migration.errors import BlockedError, ExitCode, MigrationError
from db_migration.failover import look, outwait
from db_migration.failover import steps as failover_steps
from db_migration.failover.plan import Kind
from db_migration.sides.epoch import Epoch
from tests.support.crash_world import CrashWorld
from tests.support.deployment import INTERMEDIARY, KEEPER, NEW, REPLICA, enter
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.live_standin import CONTROL
from tests.support.timeouts import FACTOR, FOLLOW

DATABASE_ACCEPTS = 5 * FACTOR
"""Seconds; what is reached on a machine of its own, `make takeovers` measures."""


def test_prods_host_dies_and_the_replica_attaches(v2: CrashWorld) -> None:
    v2.kill("prod")
    report = v2.failover("prod")
    assert report.plan.kind is Kind.ATTACH
    assert report.plan.rpo.startswith("0 rows")
    assert report.connections is not None
    assert report.connections.scheduled == report.connections.active == 6
    assert report.database_accepts is not None
    assert report.database_accepts - report.started < DATABASE_ACCEPTS
    v2.assert_lives(v2.intermediary, Epoch(2, INTERMEDIARY, REPLICA, "failover"))


def test_standby_takes_no_write_once_the_epoch_names_it(
    v2: CrashWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for(lambda: may_enter(v2.keeper), FOLLOW)
    entered: list[bool] = []
    record = failover_steps.record

    def spy(task: failover_steps.Task) -> None:
        entered.append(may_enter(v2.keeper))
        record(task)

    monkeypatch.setattr(failover_steps, "record", spy)
    v2.kill("prod")
    v2.failover("prod")
    assert entered == [False]


def may_enter(server: PgServer) -> bool:
    """Tell whether the replica's Airbyte comes into the working database."""
    try:
        enter(server, "airbyte_replica").close()
    except psycopg.OperationalError:
        return False
    return True


def test_nothing_happens_without_the_operators_word(v2: CrashWorld) -> None:
    v2.kill("prod")
    with pytest.raises(BlockedError) as refused:
        v2.failover()
    assert refused.value.exit_code == ExitCode.CHECK_FAILED
    assert "db-migration failover --host-is-down prod" in refused.value.way_out
    assert "--longest-sync SECONDS" in refused.value.way_out
    assert v2.verbs() == []
    assert {found.epoch for found in v2.epochs()} == {1}


def test_time_takes_the_place_of_a_word(v2: CrashWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes on while nobody waits, and starts when the last door is closed."""
    v2.kill("prod")
    with monkeypatch.context() as patched:
        patched.setattr(outwait, "wait", interrupted)
        with pytest.raises(BlockedError):
            v2.observe(longest_sync=LONGEST).run()
    with pytest.raises(psycopg.OperationalError):
        enter(v2.intermediary, "airbyte_prod")
    record, passed = failover_steps.record, list[float]()

    def spy(task: failover_steps.Task) -> None:
        passed.extend(shut_out_for(v2))
        record(task)

    monkeypatch.setattr(failover_steps, "record", spy)
    wait_for(lambda: shut_out_for(v2)[0] > LONGEST / 2, FOLLOW)
    report = v2.observe(longest_sync=LONGEST).run()
    assert report.seconds["outwait"] < LONGEST / 2 + 2 * outwait.LOOK_SECONDS
    assert passed[0] >= LONGEST
    v2.assert_lives(v2.intermediary, Epoch(2, INTERMEDIARY, REPLICA, "failover"))
    assert shut_out_for(v2) == []


LONGEST = 6.0


def shut_out_for(world: CrashWorld) -> list[float]:
    """Return for how many seconds prod's Airbyte has been shut out, as it is noted."""
    query = "SELECT extract(epoch FROM now() - at)::float8 FROM migration.intent WHERE name = %s"
    found = world.intermediary.sql(query, outwait.SHUT_OUT, database=CONTROL)
    return [seconds for (seconds,) in found]


def interrupted(_: failover_steps.Task) -> None:
    raise BlockedError(found="a connection that broke", needed="one that holds", way_out="again")


def test_who_answers_is_given_time_to_let_us_in(v2: CrashWorld) -> None:
    """A server in its recovery, or a host under load just after another one has died."""
    v2.kill(INTERMEDIARY)
    v2.keeper.sql("ALTER ROLE airbyte_migration NOLOGIN")
    busy = 2 * look.SILENT_SECONDS
    threading.Timer(busy, v2.keeper.sql, ["ALTER ROLE airbyte_migration LOGIN"]).start()
    observed = v2.observe()
    assert observed.report.seconds["observe"] >= busy
    assert observed.plan.kind is Kind.PROMOTE


def test_time_fences_nobody_whose_database_is_silent(v2: CrashWorld) -> None:
    """Cut off together with its database, prod begins new syncs for ever."""
    v2.until_caught_up()
    v2.kill(INTERMEDIARY, "prod")
    with pytest.raises(BlockedError) as refused:
        v2.observe(longest_sync=0).run()
    assert refused.value.way_out.endswith("db-migration failover --host-is-down prod")


def test_intermediary_dies_and_the_mirror_is_promoted(v2: CrashWorld) -> None:
    v2.until_caught_up()
    v2.kill(INTERMEDIARY)
    report = v2.failover()
    assert report.plan.kind is Kind.PROMOTE
    assert report.database_accepts is not None
    assert report.database_accepts - report.started < DATABASE_ACCEPTS
    assert report.connections is not None
    assert report.connections.unscheduled == {}
    v2.assert_lives(v2.keeper, Epoch(2, KEEPER, NEW, "failover"))
    before = "SELECT count(*) FROM pg_database WHERE datname = 'airbyte_before_failover_2'"
    assert v2.keeper.sql(before) == [(1,)]
    assert v2.verbs()[:2] == sorted(v2.verbs()[:2], key=lambda verb: "activate" in verb)
    assert v2.instances()[REPLICA]["rendering"] == "stopped"


def test_intermediary_and_prods_host_die(v2: CrashWorld) -> None:
    v2.until_caught_up()
    v2.kill(INTERMEDIARY, "prod")
    v2.failover("prod", here=KEEPER)
    v2.assert_lives(v2.keeper, Epoch(2, KEEPER, REPLICA, "failover"))


def test_core_worker_01_dies_and_nothing_is_done(v2: CrashWorld) -> None:
    v2.kill(KEEPER)
    report = v2.failover(here=INTERMEDIARY)
    assert report.plan.kind is Kind.NOTHING
    assert KEEPER in report.plan.why
    assert v2.verbs() == []
    v2.until_written()


def test_prod_dies_in_v1_and_the_mirror_is_promoted(v1: CrashWorld) -> None:
    v1.writing.clear()
    v1.until_equal((v1.prod, "airbyte"), (v1.keeper, "airbyte_mirror"))
    v1.kill("prod")
    report = v1.failover("prod")
    assert report.plan.then == Epoch(1, KEEPER, REPLICA, "failover")
    v1.assert_lives(v1.keeper, report.plan.then)


def test_two_at_once(v2: CrashWorld) -> None:
    v2.until_caught_up()
    v2.kill(INTERMEDIARY)
    both = [v2.observe(), v2.observe()]
    said: list[MigrationError] = []

    def run(number: int) -> None:
        try:
            both[number].run()
        except MigrationError as error:
            said.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 1
    assert "nothing was done here" in said[0].way_out
    v2.assert_lives(v2.keeper, Epoch(2, KEEPER, NEW, "failover"))


def test_old_side_returns_and_is_shut_out(v2: CrashWorld) -> None:
    v2.kill("prod")
    v2.failover("prod")
    v2.bring_back("prod")  # its Airbyte starts with its host, and believes to be active
    assert v2.instances()[NEW] == {
        "epoch": 1, "rendering": f"active-{INTERMEDIARY}", "running": True,
    }  # fmt: skip
    v2.until_written()
    query = "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'active'"
    assert v2.intermediary.sql(query) == [("airbyte_replica",)]
    assert v2.observe().plan.kind is Kind.NOTHING


def test_airbyte_that_is_only_stopped_is_started(v2: CrashWorld) -> None:
    v2.tell(NEW, running=False)
    report = v2.failover()
    assert report.plan.kind is Kind.START
    v2.assert_lives(v2.intermediary, Epoch(1, INTERMEDIARY, NEW, "cut-over"))
