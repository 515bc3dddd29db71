"""What a verb says that can not do its work: the true reason, and a way out that is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.support.scenario import FEED, Scenario


def nothing(scenario: Scenario) -> None:
    """Leave both servers as Pulumi does."""
    del scenario


def released(scenario: Scenario) -> None:
    scenario.converge()
    assert scenario.cli("release").returncode == 0


def torn_journal(scenario: Scenario) -> None:
    scenario.converge()
    scenario.target.sql("DROP TABLE migration.verification", database="airbyte_migration")


def empty_password(scenario: Scenario) -> None:
    (scenario.folder / "empty").write_text("\n")
    scenario.settings["feeds.0.source.owner.password_file"] = str(scenario.folder / "empty")


def silent_source(scenario: Scenario) -> None:
    scenario.settings["feeds.0.source.port"] = 1


@dataclass(frozen=True)
class Case:
    """A world, what is typed in it, and what must be said."""

    world: Callable[[Scenario], None]
    typed: tuple[str, ...]
    code: int
    found: str
    way_out: str


CASES = {
    "nothing was copied yet": Case(
        nothing, ("verify",), 3, f"{FEED} has no copy yet", "db-migration run"
    ),
    "the feed was released": Case(
        released, ("verify",), 3, f"{FEED} is released", "`db-migration prepare`"
    ),
    "the server refuses a statement": Case(
        torn_journal, ("verify",), 1, "migration.verification", "then type this again"
    ),
    "a password is empty": Case(
        empty_password, ("prepare",), 2, "empty` must be a file that is not empty", "correct"
    ),
    "a server does not answer": Case(
        silent_source, ("prepare",), 1, "does not let us in", "then type this again"
    ),
    "there is no such feed": Case(
        nothing, ("history", "--feed", "nosuch"), 2, f"{FEED}, rebuild, rehearsal", "correct"
    ),
    "there is no home to go back to": Case(
        nothing, ("failback", "--dry-run"), 2, "config.json`:", "correct the keys"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_way_out(scenario: Scenario, case: Case) -> None:
    case.world(scenario)
    done = scenario.cli(*case.typed, "--json")
    assert done.returncode == case.code, done.stdout + done.stderr
    error = json.loads(done.stdout)["error"]
    assert set(error) == {"found", "needed", "way_out"}
    assert case.found in error["found"]
    assert case.way_out in error["way_out"]
    assert "by itself" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_empty_password_is_refused_before_anything_is_done(scenario: Scenario) -> None:
    empty_password(scenario)
    scenario.cli("prepare")
    there = "SELECT to_regnamespace('migration')::text"
    assert scenario.target.sql(there, database="airbyte_migration") == [(None,)]
