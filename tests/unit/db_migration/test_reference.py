"""docs/reference/db-migration.md says what is: verbs, exit codes, checks, status keys, metrics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest

from db_migration.cli.app import VERBS
from db_migration.config import Config
from db_migration.errors import ConfigError, ExitCode
from db_migration.reporting import metrics, status
from db_migration.reporting.board import Board

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "db-migration.md").read_text()
CHECK = re.compile(r'(?:id=|Right\(\s*|_Topic\(\s*)"([a-z]+\.[a-z_]+)"')
OBJECTS = (
    "table_names",
    "unlogged",
    "foreign",
    "partitioned",
    "row_security",
    "odd_types",
    "incomparable",
    "not_binary",
    "key_generated",
    "superusers",
    "search_path",
    "checks",
    "event_triggers",
    "replica_triggers",
    "materialized_views",
    "generated",
)


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> set[str]:
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return {name for line in lines for name in re.findall(r"`([^`]+)`", line.split("|")[1])}


def test_page_that_a_wrong_configuration_is_sent_to_shows_one() -> None:
    needed = ConfigError("config.json", ["`feeds`: Field required"]).needed
    (named,) = re.findall("`([^`]+)`", needed)
    shown = (ROOT / named).read_text().split("```json\n")[1].split("```")[0]
    assert Config.model_validate_json(shown).feeds


def test_verbs() -> None:
    assert first_cells(section("Verbs")) == set(VERBS)


def test_exit_codes() -> None:
    codes = re.findall(r"^\| (\d) \|", section("Exit codes"), re.MULTILINE)
    assert [int(code) for code in codes] == sorted(ExitCode)


def test_checks() -> None:
    text = "".join(path.read_text() for path in (ROOT / "db_migration" / "preflight").glob("*.py"))
    made = set(CHECK.findall(text)) | {f"source.{name}" for name in OBJECTS}
    made |= {"source.reachable", "target.reachable"}
    made |= {"source.max_replication_slots", "source.max_wal_senders"}
    assert first_cells(section("`preflight`")) == made


@pytest.mark.parametrize("key", [*status.unknown("a", None), "live", "lag_seen", "progress"])
def test_status_keys(key: str) -> None:
    assert key in first_cells(section("`status --json`"))


def test_metrics() -> None:
    body = generate_latest(metrics.registry(Board())).decode()
    made = set(re.findall(r"^# TYPE (\w+) ", body, re.MULTILINE))
    assert first_cells(section("HTTP")) == made
