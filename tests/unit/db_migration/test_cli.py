"""The command line: what it offers, what it says when it can not begin."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from db_migration.cli import app

ROOT = Path(__file__).parents[3]
VERBS = ("preflight", "prepare", "run", "status", "verify", "release")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    found = CliRunner().invoke(app, [verb, "--help"])
    assert found.exit_code == 0
    assert "--config" in found.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_but_run_speaks_json(verb: str) -> None:
    assert "--json" in CliRunner().invoke(app, [verb, "--help"]).stdout


@pytest.mark.parametrize("verb", VERBS)
def test_missing_configuration_is_exit_code_2(verb: str, tmp_path: Path) -> None:
    missing = tmp_path / "none.json"
    for arguments in ([verb, "--config", str(missing)], ["--config", str(missing), verb]):
        found = CliRunner().invoke(app, arguments)
        assert found.exit_code == 2
        assert "must be readable" in found.stderr
        assert "hint:" in found.stderr


def test_environment_names_the_configuration(tmp_path: Path) -> None:
    missing = str(tmp_path / "from-environment.json")
    found = CliRunner().invoke(app, ["status"], env={"DB_MIGRATION_CONFIG": missing})
    assert "from-environment.json" in found.stderr


def test_unknown_verb_is_exit_code_2() -> None:
    assert CliRunner().invoke(app, ["migrate"]).exit_code == 2


def test_imports_neither_pulumi_nor_the_rest_of_the_program() -> None:
    """The agent runs where there is nothing but its own two packages."""
    program = (
        "import sys, db_migration.cli\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"pulumi", "components", "stages", "lab", "engine", "tests"}


def test_arrows_point_one_way() -> None:
    ours = {"components", "stages", "lab", "engine", "tests", "pulumi"}
    for path in sorted((ROOT / "db_migration").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in ours, path
