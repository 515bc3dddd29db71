"""Whatever differs is found and named, in both strengths, with exit code 3; no secret is shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.scenarios.differences.cases import CASES, KINDS, UNCHANGED
from tests.support import exact
from tests.support.scenario import Scenario

STRENGTHS = {"continuous": (), "exact": ("--exact",)}


@dataclass(frozen=True)
class Found:
    code: int
    said: str
    result: dict[str, Any]


def verify(scenario: Scenario, *options: str) -> Found:
    done = exact.commanded(lambda: scenario.cli("verify", "--json", *options))
    return Found(done.returncode, done.stdout + done.stderr, json.loads(done.stdout)["feeds"][0])


@pytest.fixture(scope="module")
def differing(followed: Scenario) -> dict[str, Found]:
    """What each strength says of a mirror to which all of it was done."""
    for name, options in STRENGTHS.items():
        before = verify(followed, *options)
        assert (before.code, before.result["differences"]) == (0, []), name
    with followed.target.connect("airbyte_mirror") as mirror:
        for change, _ in CASES.values():
            mirror.execute(change.encode())
    return {name: verify(followed, *options) for name, options in STRENGTHS.items()}


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("case", CASES)
def test_is_found_and_named(differing: dict[str, Found], strength: str, case: str) -> None:
    found = differing[strength]
    assert found.code == 3
    lines = found.result["differences"]
    assert any(CASES[case][1] in line for line in lines), "\n".join(lines)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_nothing_else_is_named(differing: dict[str, Found], strength: str) -> None:
    result = differing[strength].result
    for table in UNCHANGED:
        assert not any(f"public.{table}:" in line for line in result["differences"])
    assert result["different_rows_by_table"]["public.many"] == 100
    assert result["different_rows_by_table"]["public.kinds"] == len(KINDS)
    assert result["strength"] == strength
    assert len(result["differences"]) <= len(CASES) + 60


@pytest.mark.parametrize("strength", STRENGTHS)
def test_rows_are_shown_with_both_values(differing: dict[str, Found], strength: str) -> None:
    rows = differing[strength].result["different_rows"]
    where = {(row["table"], row["key"], row["column"]): row for row in rows}

    def values(table: str, key: str, column: str) -> tuple[str | None, str | None]:
        row = where[f"public.{table}", key, column]
        return row["source"], row["mirror"]

    assert values("swapped", "{1}", "value") == ("one", "two")
    assert values("null or empty", "{1}", "a b") == (None, "")
    assert values("null or empty", "{2}", "a b") == ("", None)
    assert values("kinds", "{1}", "big") == ("1", "4294967296")
    assert values("kinds", "{9}", "mood") == ("good", "bad")
    assert where["public.attempts", "{7}", None]["what"] == "missing on the mirror"
    bag = [row for row in rows if row["table"] == "public.keyless"]
    assert [(row["key"], row["what"]) for row in bag] == [
        ("value=same", "2 times on the source, 1 times on the mirror")
    ]
    assert len([row for row in rows if row["table"] == "public.many"]) == 20


@pytest.mark.parametrize("strength", STRENGTHS)
def test_no_secret_is_shown_or_kept(
    followed: Scenario, differing: dict[str, Found], strength: str
) -> None:
    found = differing[strength]
    masked = [row for row in found.result["different_rows"] if row["table"] == "public.secrets"]
    assert masked[0]["source"] == masked[0]["mirror"] == "(masked, 11 characters)"
    people = followed.cli("verify", *STRENGTHS[strength])
    kept = followed.target.sql(
        "SELECT result::text FROM migration.verification", database="airbyte_migration"
    )
    for said in (found.said, people.stdout + people.stderr, str(kept)):
        assert "planted" not in said
        assert "plAnTed" not in said
    assert "swapped {1} value: source 'one', mirror 'two'" in people.stdout
    assert "'two'" not in str(kept)


def test_number_of_named_rows_can_be_chosen(
    followed: Scenario, differing: dict[str, Found]
) -> None:
    assert differing
    none = verify(followed, "--rows", "0").result
    assert none["different_rows"] == []
    assert none["different_rows_by_table"]["public.many"] == 100
    more = verify(followed, "--exact", "--rows", "200").result
    assert len([row for row in more["different_rows"] if row["table"] == "public.many"]) == 100


def test_mirror_goes_on_following(followed: Scenario, differing: dict[str, Found]) -> None:
    assert differing
    assert followed.state()["state"] == "following"
