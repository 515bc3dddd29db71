"""`verify` names what it did not compare, and never calls that equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from db_migration import config as configuration
from db_migration.cli import verify as verb
from db_migration.cli.app import app
from db_migration.context import Context
from db_migration.errors import UnreachableError
from db_migration.sides import epoch
from db_migration.verification.verify import Result

WAITS = "waits: the active database is home; nothing compared"


def feed(login: dict[str, str], source: str) -> dict[str, Any]:
    there: dict[str, Any] = {"host": source, "port": 5432}
    logins = {"owner": login, "reader": login, "address_for_subscriber": there}
    return {
        "name": f"{source}-to-here",
        "source": {"name": source, **there, "database": "airbyte", **logins},
        "target": {"name": "here", "host": "here", **login},
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two feeds, of which the one from `home` is live."""
    (tmp_path / "secret").write_text("planted")
    login = {"user": "airbyte_migration", "password_file": str(tmp_path / "secret")}
    feeds = [feed(login, source) for source in ("home", "away")]
    whole = {"deployment": "test", "control": {"host": "here", **login}, "feeds": feeds}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    return tmp_path / "config.json"


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    def live(config: configuration.Config) -> tuple[configuration.FeedConfig, ...]:
        return tuple(one for one in config.feeds if one.source.name == "home")

    def equal(context: Context, exact: bool, rows: int) -> dict[str, Any]:
        del exact, rows
        return {"name": context.feed.name, **Result().with_values()}

    monkeypatch.setattr(epoch, "live_feeds", live)
    monkeypatch.setattr(epoch, "current", lambda _: epoch.Epoch(1, "home", "airbyte", ""))
    monkeypatch.setattr(verb, "_verified", equal)


def test_feed_that_waits_is_named_beside_the_live_one(path: Path) -> None:
    done = CliRunner().invoke(app, ["verify", "--config", str(path)])
    assert done.exit_code == 0
    assert f"away-to-here: {WAITS}" in done.stdout
    found = CliRunner().invoke(app, ["verify", "--json", "--config", str(path)])
    live, waiting = json.loads(found.stdout)["feeds"]
    assert (live["name"], live["equal"]) == ("home-to-here", True)
    assert waiting == {"name": "away-to-here", "skipped": WAITS}


@pytest.mark.parametrize(
    ("kept", "said"),
    [([], "no feed is configured on this host"), ([1], f"away-to-here {WAITS}")],
)
def test_nothing_that_could_be_compared_is_exit_code_3(
    path: Path, kept: list[int], said: str
) -> None:
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "feeds": [whole["feeds"][number] for number in kept]}))
    done = CliRunner().invoke(app, ["verify", "--json", "--config", str(path)])
    assert done.exit_code == 3
    assert said in json.loads(done.stdout)["error"]["found"]


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([], "equal, continuous, 72 tables"),
        (["a"], "DIFFERENT: a, continuous, 72 tables"),
        (["a", "b", "c"], "DIFFERENT: a; b; c, continuous, 72 tables"),
        (["a", "b", "c", "d", "e"], "DIFFERENT: a; b; c; 2 more, continuous, 72 tables"),
    ],
)
def test_result_in_words(differences: list[str], said: str) -> None:
    assert Result(tables=72, differences=differences).in_words() == said


def test_feed_that_fails_does_not_hide_what_the_others_are(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_silent(context: Context, exact: bool, rows: int) -> dict[str, Any]:
        del exact, rows
        if context.feed.source.name == "home":
            raise UnreachableError(found="home is dark", needed="light", way_out="look")
        return {"name": context.feed.name, **Result().with_values()}

    monkeypatch.setattr(epoch, "live_feeds", lambda config: config.feeds)
    monkeypatch.setattr(verb, "_verified", one_silent)
    found = CliRunner().invoke(app, ["verify", "--json", "--config", str(path)])
    silent, other = json.loads(found.stdout)["feeds"]
    assert (found.exit_code, silent["error"]["found"]) == (1, "home is dark")
    assert (other["name"], other["equal"]) == ("away-to-here", True)
    plain = CliRunner().invoke(app, ["verify", "--config", str(path)])
    assert "home-to-here: not compared: home is dark" in plain.stdout
    assert "away-to-here: equal" in plain.stdout
    assert "hint: look" in plain.stderr
