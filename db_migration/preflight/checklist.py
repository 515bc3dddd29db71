"""A checklist: every condition with what was found, what is needed, why, and the way out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from db_migration.errors import ExitCode


class Result(StrEnum):
    """How a check came out."""

    PASS = "pass"  # noqa: S105 - a word, not a secret
    WARNING = "warning"
    """It works, but something is endangered, is lost, or can not be known from here."""
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


UNKNOWN = "not readable from here"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the checklist; `affected` lists what it is about, one by one."""

    id: str
    title: str
    result: Result
    found: str
    needed: str
    why: str
    way_out: str = "nothing to do"
    affected: tuple[dict[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the check for `--json`."""
        return {**asdict(self), "result": self.result.value, "affected": list(self.affected)}


def judged(ok: bool | None, otherwise: Result = Result.FAIL) -> Result:
    """Return PASS, `otherwise`, or WARNING for what could not be read (None)."""
    if ok is None:
        return Result.WARNING
    return Result.PASS if ok else otherwise


def exit_code(checks: Iterable[Check]) -> ExitCode:
    """Return what the process says: all passed, warnings only, or something failed."""
    results = {check.result for check in checks}
    if Result.FAIL in results:
        return ExitCode.CHECK_FAILED
    return ExitCode.WARNINGS if Result.WARNING in results else ExitCode.OK


def counted(checks: Iterable[Check]) -> dict[str, int]:
    """Count the checks by their result."""
    found = [check.result for check in checks]
    return {result.value: found.count(result) for result in Result}


def named(names: Iterable[str] | None, most: int = 6) -> str:
    """Write a list for people: how many, and the first of them."""
    if names is None:
        return UNKNOWN
    listed = sorted(names)
    if not listed:
        return "none"
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return f"{len(listed)}: {', '.join(listed[:most])}{more}"


def sized(number: float | None) -> str:
    """Write a number of bytes for people."""
    if number is None:
        return UNKNOWN
    for unit in ("B", "kiB", "MiB"):
        if abs(number) < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
