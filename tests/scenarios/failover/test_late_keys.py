"""Prod dies while a table that it got late is taken in: its keys, or its rows, are not here yet."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest

from db_migration.cli import failover as failover_cli
from db_migration.context import Context
from db_migration.effects import Effect
from db_migration.errors import BlockedError
from db_migration.following import follow, late, prepare
from db_migration.sides.epoch import Epoch
from tests.scenarios.late_table.test_late_table import WITH_FOREIGN_KEYS
from tests.support.crash_world import CrashWorld
from tests.support.deployment import KEEPER, REPLICA
from tests.support.fix_postgres import PgServer, wait_for
from tests.support.killed_agent import Life
from tests.support.live_standin import CONTROL
from tests.support.timeouts import FOLLOW

KEYS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' ORDER BY 1, 2
"""
TRAIL = "SELECT detail FROM migration.event WHERE step = 'promote' AND phase = 'done'"

COPIED_SO_FAR = """
SELECT srrelid::regclass::text, srsubstate::text FROM pg_subscription_rel
WHERE srsubstate <> 'r' ORDER BY 1
"""
WAITED_FOR = "SELECT true FROM pg_locks WHERE NOT granted AND relation = 'workspace'::regclass"
IN_MID_COPY = [
    "some rows of table public.late, written after its copy",
    "table public.later with its rows",
]

Until = Callable[[ModuleType, str], None]


def keys(server: PgServer, database: str = "airbyte") -> list[tuple[Any, ...]]:
    return server.sql(KEYS, database=database)


@pytest.fixture
def until(v1: CrashWorld, monkeypatch: pytest.MonkeyPatch) -> Until:
    """Have prod make tables that refer to others, and an agent never come to a step of its own."""

    def make(module: ModuleType, step: str) -> None:
        here = threading.Event()

        def never(*_: object) -> None:
            here.set()
            raise BlockedError(found="a source that dies now", needed="one that lives", way_out="")

        monkeypatch.setattr(module, step, never)
        v1.prod.sql(WITH_FOREIGN_KEYS, database="airbyte")
        assert here.wait(FOLLOW)
        v1.writing.clear()
        v1.stop_agents()

    return make


def test_a_promotion_adds_their_keys(v1: CrashWorld, until: Until) -> None:
    until(late, "add_late_keys")
    v1.until_equal((v1.prod, "airbyte"), (v1.keeper, "airbyte_mirror"))
    there = keys(v1.prod)
    assert keys(v1.keeper, "airbyte_mirror") != there
    v1.kill("prod")
    report = v1.failover("prod")
    assert keys(v1.keeper) == there
    assert report.lacks == []
    v1.assert_lives(v1.keeper, Epoch(1, KEEPER, REPLICA, "failover"))


@pytest.mark.parametrize(("module", "step"), [(prepare, "publish_late"), (follow, "refresh")])
def test_tables_that_were_not_copied_are_named(
    v1: CrashWorld, until: Until, module: ModuleType, step: str
) -> None:
    until(module, step)
    v1.kill("prod")
    report = v1.failover("prod")
    assert report.lacks == ["table public.late with its rows", "table public.later with its rows"]


@pytest.fixture
def in_mid_copy(v1: CrashWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have prod make two tables: of one no row has come, of the other what was written later lacks.

    The mirror's worker waits for a lock meanwhile, and lets no table's copy come to its end.
    """
    v1.writing.clear()
    v1.until_equal((v1.prod, "airbyte"), (v1.keeper, "airbyte_mirror"))
    publish = prepare.publish_late
    with ExitStack() as held:
        of = {
            table: held.enter_context(v1.keeper.connect("airbyte_mirror"))
            for table in ("late", "later", "workspace")
        }

        def lock(table: str) -> None:
            of[table].execute(f"BEGIN; LOCK TABLE {table} IN SHARE MODE".encode())

        def locked(context: Context, names: list[str]) -> None:
            monkeypatch.setattr(prepare, "publish_late", publish)
            lock("late")
            lock("later")
            publish(context, names)

        monkeypatch.setattr(follow, "REFRESH_DEADLINE_SECONDS", 1)
        monkeypatch.setattr(prepare, "publish_late", locked)
        v1.prod.sql(WITH_FOREIGN_KEYS, database="airbyte")
        until_copied(v1, late="d", later="d")
        lock("workspace")
        v1.prod.sql("INSERT INTO workspace (id) VALUES (gen_random_uuid())", database="airbyte")
        wait_for(lambda: v1.keeper.sql(WAITED_FOR, database="airbyte_mirror"), FOLLOW)
        of["late"].execute("COMMIT")
        until_copied(v1, late="f", later="d")
        v1.prod.sql("INSERT INTO late VALUES (2, 77777)", database="airbyte")
        v1.stop_agents()
        v1.kill("prod")


def until_copied(world: CrashWorld, **wanted: str) -> None:
    """Wait until the copies of these tables have come so far; all others are at their end."""

    def reached() -> bool:
        return world.keeper.sql(COPIED_SO_FAR, database="airbyte_mirror") == [*wanted.items()]

    wait_for(reached, FOLLOW)


@pytest.fixture
def silent(v1: CrashWorld) -> Iterator[None]:
    """Where prod was whoever connects is never answered, as behind a tunnel to a dead host."""
    with socket.create_server(("127.0.0.1", v1.prod.port)):
        yield


@pytest.mark.usefixtures("in_mid_copy", "silent")
def test_tables_in_mid_copy_are_named(v1: CrashWorld, capsys: pytest.CaptureFixture[str]) -> None:
    run = v1.observe("prod")
    failover_cli._carry_out(run, dry_run=False, as_json=False)
    assert run.report.lacks == IN_MID_COPY
    [(trail,)] = v1.keeper.sql(TRAIL, database=CONTROL)
    said = capsys.readouterr().out
    assert all(line in trail and f"lacks: {line}" in said for line in run.report.lacks)
    v1.assert_lives(v1.keeper, Epoch(1, KEEPER, REPLICA, "failover"))


@pytest.mark.usefixtures("in_mid_copy")
@pytest.mark.parametrize("last", [Effect.OPEN_PROMOTED, Effect.ADVANCE_EPOCH])
def test_a_failover_that_was_killed_names_them_again(
    v1: CrashWorld, killer: Life, last: Effect
) -> None:
    v1.keeper.sql("UPDATE late SET job = -1", database="airbyte_mirror")
    for effect in (Effect.LET_GO, Effect.CLOSE_DATABASES, last):
        killer("failover prod", effect, "after")
    *tables, key = v1.failover("prod").lacks
    assert tables == IN_MID_COPY
    assert key.startswith("constraint late_job_fkey of public.late, for ForeignKeyViolation")


def test_key_that_can_not_be_added_is_named(
    v1: CrashWorld, until: Until, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody has changed the mirror, say; the rest goes on as ever."""
    until(late, "add_late_keys")
    v1.until_equal((v1.prod, "airbyte"), (v1.keeper, "airbyte_mirror"))
    there = keys(v1.prod)
    v1.keeper.sql("UPDATE late SET job = -1", database="airbyte_mirror")
    v1.kill("prod")
    run = v1.observe("prod")
    failover_cli._carry_out(run, dry_run=False, as_json=False)
    assert keys(v1.keeper) == [key for key in there if key[1] != "late_job_fkey"]
    [(trail,)] = v1.keeper.sql(TRAIL, database=CONTROL)
    for said in (capsys.readouterr().out, trail, *run.report.as_dict()["lacks"]):
        assert "constraint late_job_fkey of public.late" in said
        assert "ALTER TABLE ONLY public.late ADD CONSTRAINT late_job_fkey" in said
    v1.assert_lives(v1.keeper, Epoch(1, KEEPER, REPLICA, "failover"))
