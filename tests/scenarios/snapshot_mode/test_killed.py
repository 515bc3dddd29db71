"""An agent in snapshot mode is killed with SIGKILL before and after each of its side effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from db_migration.effects import Effect
from tests.scenarios.snapshot_mode.conftest import Snapshots, fresh
from tests.support.fix_postgres import PgServer
from tests.support.killed_agent import lives

WHOLE = (
    Effect.CREATE_SEED,
    Effect.RESTORE_SCHEMA,
    Effect.REPLACE_TABLE,
    Effect.ADD_CONSTRAINTS,
    Effect.ADVANCE_SEQUENCES,
    Effect.MARK_SNAPSHOT,
    Effect.SWAP_MIRROR,
    Effect.DROP_OLD_MIRROR,
)
"""What the first copy does, into an empty mirror."""
CHANGED = (
    Effect.ADOPT_SHADOW,
    Effect.DROP_KEYS,
    Effect.REPLACE_TABLE,
    Effect.ADD_KEYS,
    Effect.MARK_SNAPSHOT,
    Effect.SWAP_MIRROR,
)
"""What later ones do, from the replaced mirror."""

Kill = Callable[..., None]


@pytest.fixture
def killed(pg13: PgServer, pg17: PgServer, tmp_path: Path) -> Snapshots:
    return fresh(pg13, pg17, tmp_path)


@pytest.fixture
def agents(killed: Snapshots) -> Iterator[Kill]:
    """Return what runs one agent, killed at an effect or until it has taken a copy."""
    scenario = killed.scenario
    arguments = str(scenario.write_config()), scenario.source.dump()
    log = scenario.folder / "agents.log"
    with lives("tests.support.killed_snapshot", *arguments, log_file=log) as life:

        def run(effect: Effect | None = None, when: str = "") -> None:
            life("copies" if effect else "copy", effect, when)

        yield run


SHOWN = """
SELECT (SELECT sum(balance) FROM account),
       (SELECT count(*) FROM account WHERE balance <> (
            SELECT coalesce(sum(change), 0) FROM entry WHERE account = account.id)),
       (SELECT count(*) FROM big), (SELECT count(*) FROM jobs),
       (SELECT count(*) FROM pg_constraint WHERE connamespace = 2200 AND contype <> 'n'),
       (SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = 2200 AND i.indisvalid),
       (SELECT count(*) FROM entry)
"""


def shown(killed: Snapshots) -> int:
    """Return how much the mirror shows, which must be whole; nothing before the first copy."""
    try:
        *found, entries = killed.mirror(SHOWN)[0]
    except psycopg.errors.UndefinedTable:
        return 0
    *whole, _ = killed.prod(SHOWN)[0]
    assert found == whole
    return int(entries)


def test_never_half_a_copy_and_nothing_left_over(killed: Snapshots, agents: Kill) -> None:
    last = 0
    for effects in (WHOLE, CHANGED):
        for effect in effects:
            for when in ("before", "after"):
                agents(effect, when)
                now = shown(killed)
                assert now >= last, f"{effect} {when}"
                last = now
        agents()
        agents()
        assert killed.databases("_seed") == []
    assert shown(killed) > last
    assert killed.scenario.cli("verify").returncode == 0
    assert killed.prod("SELECT FROM pg_replication_slots") == []
    holding = "SELECT FROM pg_stat_activity WHERE usename = 'airbyte_migration' AND xact_start "
    assert killed.prod(holding + "IS NOT NULL") == []
