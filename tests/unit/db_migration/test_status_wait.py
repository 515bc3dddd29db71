"""`status --wait` says on stderr how it goes; stdout is for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from db_migration.cli import status as verb
from db_migration.cli.app import app
from db_migration.reporting import status

NAME = "prod-to-here"
SEEDING: dict[str, Any] = {"state": "seeding", "next": "there is no copy"}
HALF: dict[str, Any] = {"progress": {"text": "50%: 1 of 2 tables, 10 rows, 0 MiB at 0.1 MiB/s"}}
FOLLOWING: dict[str, Any] = {"state": "following", "next": "following"}
AS_IT_GOES: tuple[dict[str, Any], ...] = (
    SEEDING,
    SEEDING,
    SEEDING | HALF,
    SEEDING | HALF,
    FOLLOWING,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("planted")
    login = {"user": "airbyte_migration", "password_file": str(tmp_path / "secret")}
    there: dict[str, Any] = {"host": "prod", "port": 5432}
    logins = {"owner": login, "reader": login, "address_for_subscriber": there}
    feed = {
        "name": NAME,
        "source": {"name": "prod", **there, "database": "airbyte", **logins},
        "target": {"name": "here", "host": "here", **login},
    }
    control = {"host": "here", **login}
    whole = {"deployment": "test", "control": control, "feeds": [feed], "poll_seconds": 0.1}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    return tmp_path / "config.json"


@pytest.fixture(autouse=True)
def seed_that_takes_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each look see the next moment, and the last one for ever."""
    moments = list(AS_IT_GOES)

    def read(_: object) -> dict[str, Any]:
        moment = moments.pop(0) if len(moments) > 1 else moments[0]
        feed = {**status.unknown(NAME, None), **moment, "live": True}
        return {"deployment": "test", "epoch": None, "feeds": [feed], "rehearsals": []}

    monkeypatch.setattr(status, "read", read)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_who_waits_for_a_seed_sees_it_go_on(
    options: tuple[str, ...], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "PROGRESS_SECONDS", 0.01)
    wait = ("status", "--wait", "following", "--config", str(path), *options)
    done = CliRunner().invoke(app, wait)
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        f"{NAME}: seeding, there is no copy",
        f"{NAME}: seeding, {HALF['progress']['text']}",
    ]
    assert json.loads(done.stdout)["feeds"][0]["state"] == "following"


def test_who_waits_is_not_told_more_often_than_every_few_seconds(path: Path) -> None:
    done = CliRunner().invoke(app, ["status", "--wait", "following", "--config", str(path)])
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [f"{NAME}: seeding, there is no copy"]
