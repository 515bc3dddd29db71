"""What a checklist as a whole says, and in which words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db_migration.errors import ExitCode
from db_migration.preflight.checklist import Check, Result, counted, exit_code, named, sized

GIB = 1024**3


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ((), ExitCode.OK),
        ((Result.PASS, Result.NOT_APPLICABLE), ExitCode.OK),
        ((Result.PASS, Result.WARNING), ExitCode.WARNINGS),
        ((Result.WARNING, Result.FAIL), ExitCode.CHECK_FAILED),
    ],
)
def test_exit_code(results: tuple[Result, ...], code: ExitCode) -> None:
    one = Check(id="a", title="a", result=Result.PASS, found="", needed="", why="")
    checks = [replace(one, result=result) for result in results]
    assert exit_code(checks) is code
    assert sum(counted(checks).values()) == len(checks)


def test_words_for_people() -> None:
    assert named(["b", "a"]) == "2: a, b"
    assert named([]) == "none"
    assert "and 4 more" in named(str(number) for number in range(10))
    assert [sized(0), sized(2048), sized(3 * GIB)] == ["0 B", "2 kiB", "3.0 GiB"]
