"""A snapshot shows old rows, of whatever table has the name at the moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from db_migration.errors import BlockedError
from db_migration.snapshots import source as snapshot_source
from tests.scenarios.snapshot_mode.conftest import Snapshots

SWAPS = {
    "tables": "ALTER TABLE one RENAME TO passing; ALTER TABLE two RENAME TO one; "
    "ALTER TABLE passing RENAME TO two",
    "schemas": "ALTER SCHEMA blue RENAME TO passing; ALTER SCHEMA green RENAME TO blue; "
    "ALTER SCHEMA passing RENAME TO green",
}
MADE = """
CREATE TABLE IF NOT EXISTS one (id int);
CREATE TABLE IF NOT EXISTS two AS SELECT 2 AS id;
CREATE SCHEMA IF NOT EXISTS blue; CREATE TABLE IF NOT EXISTS blue.release (id int);
CREATE SCHEMA IF NOT EXISTS green; CREATE TABLE IF NOT EXISTS green.release AS SELECT 2 AS id;
"""


def after(first: Callable[[], object], then: Callable[..., object], *args: object) -> object:
    first()
    return then(*args)


@pytest.mark.parametrize("swap", SWAPS.values(), ids=list(SWAPS))
def test_what_had_each_others_names_for_a_while_is_not_taken_for_each_other(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch, swap: str
) -> None:
    snapshots.prod(MADE)
    snapshots.copy()
    kept = snapshots.content()
    with monkeypatch.context() as patched:
        for name in ("sums", "refuse_moved"):  # before the rows are read, and after it
            do = partial(after, partial(snapshots.prod, swap), getattr(snapshot_source, name))
            patched.setattr(snapshot_source, name, do)
        with pytest.raises(BlockedError, match="during the copy"):
            snapshots.copy()
    snapshots.assert_given_up(kept)
