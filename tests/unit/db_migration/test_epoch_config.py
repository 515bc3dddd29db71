"""Servers, instances and the cut-over in the configuration, and what follows from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from db_migration import config_file
from db_migration.agent import plan, state
from db_migration.config import Config
from db_migration.cutover.plan import Step
from db_migration.cutover.report import BEGIN, downtime, phases
from db_migration.errors import ConfigError
from db_migration.reporting import status
from db_migration.sides import standby


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Any]:
    """v2 as on a host without a database server: no feeds, only tools."""
    (tmp_path / "secret").write_text("planted\n")
    login = {"user": "airbyte_migration", "password_file": str(tmp_path / "secret")}
    abctl = {"kind": "abctl", "client_id": "x", "client_secret_file": str(tmp_path / "secret")}
    return {
        "deployment": "lab",
        "control": {"host": "198.51.100.13", **login},
        "feeds": [],
        "servers": [
            {"name": "core-worker-01", "host": "198.51.100.13", **login},
            {"name": "intermediary", "host": "198.51.100.14", **login},
        ],
        "instances": [
            {"name": "airbyte-prod", "kind": "compose", "host": "prod", "database": "prod"},
            {"name": "airbyte-prod-abctl", "host": "prod", "role": "airbyte_prod", **abctl},
            {"name": "replica-2", "host": "replica", "role": "airbyte_replica", **abctl},
        ],
        "initial": {"database": "prod", "airbyte": "airbyte-prod"},
        "cutover": {"database": "intermediary", "airbyte": "airbyte-prod-abctl"},
    }


def load(tmp_path: Path, document: dict[str, Any]) -> Config:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    return config_file.load(path)


def test_tools_without_a_feed(tmp_path: Path, whole: dict[str, Any]) -> None:
    found = load(tmp_path, whole)
    assert found.roles == ["airbyte_prod", "airbyte_replica"]
    assert found.cutover is not None
    assert found.cutover.drain_seconds == 300
    instance = found.instance("replica-2")
    assert instance is not None
    assert instance.client_secret() == "planted"
    assert found.server("prod") is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"initial": None}, "`servers` need `initial`"),
        ({"cutover": {"database": "nowhere", "airbyte": "replica-2"}}, "`cutover.database`"),
        ({"initial": {"database": "prod", "airbyte": "nobody"}}, "`initial.airbyte`"),
    ],
)
def test_names_must_be_known(
    tmp_path: Path, whole: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path, {**whole, **change})


def test_changed_file_is_noticed_and_half_a_file_is_not(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    found = load(tmp_path, whole)
    path = tmp_path / "config.json"
    assert not found.outdated()
    path.write_text(json.dumps(whole)[:100])
    assert not found.outdated()
    path.write_text(json.dumps({**whole, "poll_seconds": 9}))
    assert found.outdated()


@pytest.mark.parametrize(
    ("active", "expected"),
    [
        ("airbyte-prod", "replica-2"),
        ("airbyte-prod-abctl", "replica-2"),
        ("replica-2", "airbyte-prod-abctl"),
    ],
)
def test_who_stands_by(tmp_path: Path, whole: dict[str, Any], active: str, expected: str) -> None:
    found = standby.of(load(tmp_path, whole), active)
    assert found is not None
    assert found.name == expected


def test_feed_that_is_not_live_waits_whatever_there_is() -> None:
    policy = state.Policy()
    active = state.Active(3, "intermediary", "airbyte-prod-abctl")
    stopped = state.Intent(restarting_source=True)
    seen = state.Observed(None, None, policy, stopped, active=active, source_name="prod")
    decision = plan.next_step(seen)
    assert decision.step is plan.Step.WAIT
    assert decision.why == "the active database is intermediary (epoch 3)"


def test_nothing_is_asked_of_a_feed_that_is_not_live() -> None:
    away = {**status.unknown("prod-to-core-worker-01", None), "live": False}
    here = {**status.unknown("intermediary-to-core-worker-01", None), "live": True}
    assert status.reached([away, here], ["following"]) == [
        "intermediary-to-core-worker-01: following"
    ]


def test_report_counts_from_the_first_fence_of_the_last_try() -> None:
    from datetime import UTC, datetime, timedelta

    zero = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [
        (0, BEGIN, "started"),
        (1, Step.FENCE, "started"),
        (2, BEGIN, "started"),
        (10, Step.FENCE, "started"),
        (12, Step.FENCE, "started"),
        (13, Step.FENCE, "done"),
        (14, Step.ACTIVATE, "started"),
        (16, Step.ACTIVATE, "done"),
    ]
    events = [(zero + timedelta(seconds=at), step, phase, "") for at, step, phase in lines]
    assert phases(events) == [
        {"name": Step.FENCE, "seconds": 3.0},
        {"name": Step.ACTIVATE, "seconds": 2.0},
    ]
    assert downtime(events, Step.ACTIVATE) == 6.0
    assert downtime(events, Step.PROVE) is None
