"""What the preflight concludes from the target: its disk, and what definitions name there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db_migration.config import Mode
from db_migration.preflight import target as preflight_target
from db_migration.preflight.checklist import Result
from tests.unit.db_migration.test_preflight import CLIENTS, GIB, SOURCE, TARGET, found


@pytest.mark.parametrize(
    ("free", "mirror", "copies", "result"),
    [
        (20 * GIB, None, 3, Result.PASS),
        (GIB, None, 3, Result.WARNING),  # one copy fits, three do not
        (GIB, None, 2, Result.PASS),
        (GIB, GIB // 2, 3, Result.PASS),  # one is there already
        (GIB, GIB // 2, 4, Result.WARNING),
        (GIB // 4, None, 3, Result.FAIL),
        (None, None, 3, Result.WARNING),
    ],
)
def test_room_on_the_target(
    free: int | None, mirror: int | None, copies: int, result: Result
) -> None:
    facts, clients = replace(TARGET, bytes=mirror), replace(CLIENTS, free_bytes=free)
    checks = preflight_target.checks(SOURCE, facts, clients, copies)
    assert found(checks, "target.disk").result == result


@pytest.mark.parametrize(
    ("mode", "working", "copies"),
    [
        (Mode.LOGICAL, False, 2),  # the mirror, and the one that is made
        (Mode.LOGICAL, True, 3),
        (Mode.SNAPSHOT, False, 3),  # the replaced mirror is kept
        (Mode.SNAPSHOT, True, 4),
    ],
)
def test_copies_that_lie_beside_each_other(mode: Mode, copies: int, *, working: bool) -> None:
    assert preflight_target.copies(mode, working=working) == copies


@pytest.mark.parametrize(
    ("milliseconds", "result", "words"),
    [
        (0.05, Result.PASS, "20000 transactions a second"),
        (0.0, Result.PASS, "0.00 ms"),  # a server without fsync, a clock that is coarse
        (10.0, Result.PASS, "at most 100 transactions a second"),
        (10.1, Result.WARNING, "at most 99 transactions a second"),
        (4000.0, Result.WARNING, "at most 0 transactions a second"),
        (None, Result.WARNING, "not readable"),
    ],
)
def test_flush(milliseconds: float | None, result: Result, words: str) -> None:
    facts = replace(TARGET, flush_ms=milliseconds)
    check = found(preflight_target.checks(SOURCE, facts, CLIENTS, 3), "target.flush")
    assert check.result == result
    assert words in check.found


@pytest.mark.parametrize(
    ("wanted", "result", "said"),
    [
        (["role airbyte", "setting work_mem"], Result.PASS, "none"),
        (["role someone", "setting work_mem"], Result.FAIL, "1: role someone"),
        (None, Result.WARNING, "not readable"),
    ],
)
def test_what_definitions_name(wanted: list[str] | None, result: Result, said: str) -> None:
    checks = preflight_target.checks(replace(SOURCE, definitions=wanted), TARGET, CLIENTS, 3)
    check = found(checks, "target.definitions")
    assert check.result == result
    assert said in check.found
