"""The process with all agents: it ends as a whole, and says so."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from db_migration.agent.agent import Agent
from db_migration.cli import run as cli_run
from db_migration.config import Config
from tests.support import timeouts


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "password").write_text("planted-password")
    login = {"user": "airbyte_migration", "password_file": str(tmp_path / "password")}
    at = {"host": "127.0.0.1", "port": 1}

    def feed(name: str, target: str) -> dict[str, Any]:
        source = {"name": "prod", **at, "database": "airbyte", "owner": login, "reader": login}
        return {
            "name": name,
            "source": {**source, "address_for_subscriber": at},
            "target": {"name": target, "host": "127.0.0.1", "port": 2, **login},
        }

    whole = {
        "deployment": "test",
        "control": {**at, **login},
        "feeds": [feed("one", "a"), feed("two", "b")],
        "http": {"port": 0},
    }
    return Config.model_validate(whole)


def test_one_agent_that_ends_by_itself_ends_the_process_with_an_error(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that runs without one of its feeds would look healthy."""
    ended: list[str] = []

    def work(agent: Agent) -> None:
        if agent.name == "two":
            msg = "nobody expected this"
            raise RuntimeError(msg)
        assert agent.context.stop.wait(timeouts.AGENT_STEP)
        ended.append(agent.name)

    monkeypatch.setattr(Agent, "run", work)
    assert cli_run.run(config, threading.Event()) is False
    assert ended == ["one"]


def test_told_to_stop_it_ends_well(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Agent, "run", lambda agent: agent.context.stop.wait(timeouts.AGENT_STEP))
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert cli_run.run(config, stop) is True
