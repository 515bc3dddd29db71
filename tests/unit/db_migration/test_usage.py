"""Whatever is typed wrong: three parts and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from db_migration.cli.app import app

PARTS = {"found", "needed", "way_out"}
WRONG = {
    "a goal that there is not": ("status", "--wait", "foo"),
    "an endless look": ("status", "--watch", "--every", "inf"),
    "a look that is no number": ("status", "--watch", "--every", "nan"),
    "a look in a thousand years": ("status", "--watch", "--every", "1e300"),
    "a deadline that is no number": ("status", "--wait", "following", "--deadline", "nan"),
    "an endless deadline": ("status", "--wait", "following", "--deadline", "inf"),
    "a deadline that has passed": ("status", "--wait", "following", "--deadline", "-1"),
    "a drain that is no number": ("failback", "--drain-seconds", "nan"),
    "an endless drain": ("cutover", "--drain-seconds", "inf"),
    "a sync that is no number": ("failover", "--longest-sync", "nan"),
    "a mirror waited for without end": ("rebuild", "--deadline", "inf"),
    "no rows": ("verify", "--rows", "-1"),
    "an option that there is not": ("verify", "--exactly"),
    "an option without its value": ("verify", "--rows"),
    "a word too many": ("prepare", "now"),
    "two things at once": ("cutover", "--hold", "--abort"),
    "steps and the past at once": ("rehearse", "--dry-run", "--history"),
    "a look without end that waits": ("status", "--watch", "--wait", "following"),
    "nothing to wait for": ("status", "--wait", ""),
    "no goal between commas": ("status", "--wait", "following,,verified"),
    "a host that there is not": ("failover", "--host-is-down", "nosuch"),
}

OF_NO_USE = {
    ("failover",): 3,
    ("failover", "--dry-run"): 3,
    ("failback",): 2,
    ("failback", "--dry-run"): 2,
    ("rebuild",): 3,
    ("rebuild", "--dry-run"): 3,
    ("rehearse",): 3,
    ("rehearse", "--dry-run"): 3,
    ("cutover",): 3,
    ("cutover", "--hold"): 3,
    ("cutover", "--abort"): 3,
    ("cutover", "--dry-run"): 3,
    ("verify",): 3,
    ("preflight",): 3,
    ("prepare",): 3,
    ("release",): 3,
    ("release", "--dry-run"): 3,
    ("status", "--wait", "following"): 3,
}
"""What has no use without servers and feeds, and with which exit code it says so."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A deployment of no servers: nothing is asked."""
    (tmp_path / "secret").write_text("planted")
    control = {"host": "localhost", "user": "u", "password_file": str(tmp_path / "secret")}
    whole = {"deployment": "test", "control": control, "feeds": []}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    return tmp_path / "config.json"


@pytest.mark.parametrize("typed", WRONG.values(), ids=WRONG)
def test_wrong_option_is_exit_code_2(config: Path, typed: tuple[str, ...]) -> None:
    plain = CliRunner().invoke(app, ["--config", str(config), *typed])
    programs = CliRunner().invoke(app, ["--config", str(config), *typed, "--json"])
    assert (plain.exit_code, plain.stdout) == (2, "")
    assert programs.exit_code == 2
    assert set(json.loads(programs.stdout)["error"]) == PARTS


@pytest.mark.parametrize("typed", OF_NO_USE, ids=" ".join)
def test_verb_that_has_no_use_here_says_so(config: Path, typed: tuple[str, ...]) -> None:
    found = CliRunner().invoke(app, ["--config", str(config), *typed, "--json"])
    assert found.exit_code == OF_NO_USE[typed]
    assert set(json.loads(found.stdout)["error"]) == PARTS
