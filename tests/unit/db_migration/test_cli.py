"""The command line: what it offers, what it says when it can not begin."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from typer.testing import CliRunner

from db_migration.cli.app import VERBS, app

ROOT = Path(__file__).parents[3]
LIGHT = ("status", "history", "idle")
"""Verbs that are typed or asked again and again, or that sleep: what else there is costs them."""


def run_interrupted(
    module: str, name: str, folder: Path, stderr: int | IO[str]
) -> subprocess.CompletedProcess[bytes]:
    """Start the agent; it gets the signal when it imports the module.

    What a shell has put into the background is deaf to SIGINT, with all that it starts.
    """
    interrupt = (
        "import os, signal\n"
        "if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"os.kill(os.getpid(), signal.{name})\n"
    )
    (folder / f"{module}.py").write_text(interrupt)
    return subprocess.run(
        [sys.executable, "-m", "db_migration", "run"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=stderr,
        check=False,
    )


@pytest.mark.parametrize("module", ["typer", "prometheus_client"])
@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("SIGINT", 130, b""), ("SIGTERM", 143, b"error: ended by SIGTERM\n")],
)
def test_ended_while_it_starts_it_shows_no_traceback(
    module: str, name: str, code: int, said: bytes, tmp_path: Path
) -> None:
    """The first module is imported by the command line itself, the other one by the verb."""
    found = run_interrupted(module, name, tmp_path, stderr=subprocess.PIPE)
    assert (found.returncode, found.stderr) == (code, said)


def test_nobody_who_hears_it_is_no_reason_to_live_on(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        found = run_interrupted("typer", "SIGTERM", tmp_path, stderr=full)
    assert found.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_stdout_that_is_full_is_said_in_three_parts(unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "db_migration", "run", "--help"],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
        )
    assert found.returncode == 1
    assert found.stderr.startswith("error: found: stdout takes no more")
    assert [line.partition(":")[0] for line in found.stderr.splitlines() if line] == [
        "error",
        "needed",
        "hint",
    ]


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


def test_configuration_that_is_not_utf_8_is_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'{"deployment": "caf\xe9"}')
    found = CliRunner().invoke(app, ["status", "--json", "--config", str(path)])
    assert found.exit_code == 2
    assert "must be UTF-8" in json.loads(found.stdout)["error"]["found"]


def test_environment_names_the_configuration(tmp_path: Path) -> None:
    missing = str(tmp_path / "from-environment.json")
    found = CliRunner().invoke(app, ["status"], env={"DB_MIGRATION_CONFIG": missing})
    assert "from-environment.json" in found.stderr


@pytest.mark.parametrize("verb", ["cutover", "failover", "rebuild"])
def test_whatever_changes_the_active_side_can_be_looked_at_first(verb: str) -> None:
    assert "--dry-run" in CliRunner().invoke(app, [verb, "--help"]).stdout


def test_cut_over_does_one_thing_at_a_time() -> None:
    assert CliRunner().invoke(app, ["cutover", "--hold", "--abort"]).exit_code == 2


def test_help_says_what_the_operators_word_is_for() -> None:
    said = " ".join(CliRunner().invoke(app, ["failover", "--help"]).stdout.split())
    assert "--host-is-down" in said
    assert "Exit code 3" in said


@pytest.mark.parametrize("verb", ["failover", "rebuild"])
def test_deployment_without_servers_says_so(verb: str, tmp_path: Path) -> None:
    """What A1's configuration lacks is named in three parts, not met as a traceback."""
    (tmp_path / "password").write_text("planted")
    control = {"host": "localhost", "user": "u", "password_file": str(tmp_path / "password")}
    whole = {"deployment": "test", "control": control, "feeds": []}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    found = CliRunner().invoke(app, [verb, "--json", "--config", str(tmp_path / "config.json")])
    assert found.exit_code == 3
    assert set(json.loads(found.stdout)["error"]) == {"found", "needed", "way_out"}
    assert "no `servers` are configured" in found.stderr


def test_help_names_every_verb() -> None:
    said = CliRunner().invoke(app, ["--help"]).stdout
    assert all(f" {verb} " in said for verb in VERBS)


@pytest.mark.parametrize(("typed", "meant"), [("migrate", ""), ("fail-over", "'failover'")])
def test_unknown_verb_is_exit_code_2_and_the_nearest_one_is_named(typed: str, meant: str) -> None:
    found = CliRunner().invoke(app, [typed])
    assert found.exit_code == 2
    assert meant in found.stderr


def loaded_by(verb: str) -> set[str]:
    """Name the modules that a process has imported to show a verb's help."""
    program = (
        "import sys\nfrom db_migration.cli.app import app\n"
        f"app([{verb!r}, '--help'], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("verb", VERBS)
def test_imports_neither_pulumi_nor_the_rest_of_the_program(verb: str) -> None:
    """The agent runs where there is nothing but its own two packages."""
    loaded = {name.partition(".")[0] for name in loaded_by(verb)}
    assert "db_migration" in loaded
    assert not loaded & {"pulumi", "components", "stages", "lab", "engine", "tests"}


@pytest.mark.parametrize("verb", LIGHT)
def test_what_only_looks_loads_no_agent_and_no_client_of_airbyte(verb: str) -> None:
    heavy = {"httpx", "prometheus_client", "croniter"}
    heavy |= {f"db_migration.{name}" for name in ("agent.agent", "cutover", "failover")}
    assert not loaded_by(verb) & heavy


def test_arrows_point_one_way() -> None:
    ours = {"components", "stages", "lab", "engine", "tests", "pulumi"}
    for path in sorted((ROOT / "db_migration").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in ours, path
