"""The whole of ensure and its command line, with a Go build that only notes the call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine import download, find, gobuild
from engine import ensure as ensuring
from engine.cli import app
from engine.errors import EngineError
from engine.pins import Pins, load
from engine.progress import Say
from tests.unit.engine.fakes import fake_plugin, fake_pulumi, quiet

PINS = load()
PYTHON = Path("/venv/bin/python")


@pytest.fixture
def offline(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No download, and a Go build that only notes that it was asked for."""
    builds: list[str] = []

    def build(pins: Pins, target: Path, say: Say) -> None:
        builds.append(pins.cli.version)
        (target / "bin").mkdir()
        (target / "docker").mkdir()

    monkeypatch.setattr(download, "works", lambda pins, say: False)
    monkeypatch.setattr(gobuild, "build", build)
    monkeypatch.setattr(gobuild, "observe_and_check", lambda root: None)
    return builds


class TestEnsure:
    def test_offline_everything_is_made_once(self, offline: list[str], cache: Path) -> None:
        first = ensuring.ensure(PINS, PYTHON, quiet)
        assert ensuring.ensure(PINS, PYTHON, quiet) == first
        assert offline == [PINS.cli.version]
        sources = {piece.name: piece.source for piece in first.pieces}
        assert sources["docker"] == "built from Go modules"
        assert sources["command"] == "local stand-in (test equipment)"
        assert Path(first.home).is_relative_to(cache)

    def test_another_interpreter_makes_a_home_and_no_build(self, offline: list[str]) -> None:
        first = ensuring.ensure(PINS, PYTHON, quiet)
        second = ensuring.ensure(PINS, Path("/other/bin/python"), quiet)
        assert first.home != second.home
        assert first.bin_dir == second.bin_dir
        assert len(offline) == 1

    def test_a_stand_in_is_labelled_and_runs_in_that_interpreter(self, offline: list[str]) -> None:
        home = Path(ensuring.ensure(PINS, Path("/my venv/bin/python"), quiet).home)
        folder = home / "plugins" / PINS.plugin_folder("command")
        launcher = (folder / "pulumi-resource-command").read_text()
        assert f"exec '/my venv/bin/python' -B {folder}/main.py" in launcher
        assert "not the official plugin" in (folder / find.STAND_IN_MARK).read_text()

    def test_installed_pieces_make_nothing(
        self, offline: list[str], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = fake_pulumi(tmp_path / "official", PINS.cli.version)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        for plugin in PINS.plugins:
            fake_plugin(Path.home() / ".pulumi", plugin)
        engine = ensuring.ensure(PINS, PYTHON, quiet)
        assert {piece.source for piece in engine.pieces} == {"installed"}
        assert engine.home == str(Path.home() / ".pulumi")
        assert not cache.exists()

    def test_an_official_plugin_is_linked_beside_a_build(self, offline: list[str]) -> None:
        official = fake_plugin(Path.home() / ".pulumi", "command")
        home = Path(ensuring.ensure(PINS, PYTHON, quiet).home)
        folder = home / "plugins" / PINS.plugin_folder("command")
        assert not folder.is_symlink()  # Pulumi passes over folders that are links
        executable = folder / "pulumi-resource-command"
        assert executable.resolve() == (official / "pulumi-resource-command").resolve()

    def test_missing_go_is_one_error_before_anything_is_made(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download, "works", lambda pins, say: False)
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(EngineError, match="no `go` command"):
            ensuring.ensure(PINS, PYTHON, quiet)
        assert [p.name for p in cache.iterdir()] == ["ensure.lock"]

    def test_the_environment_puts_the_interpreter_first(self, offline: list[str]) -> None:
        engine = ensuring.ensure(PINS, PYTHON, quiet)
        variables = engine.environment("/usr/bin")
        assert variables["PATH"] == f"/venv/bin:{engine.bin_dir}:/usr/bin"
        assert variables["PULUMI_HOME"] == engine.home
        assert variables["PULUMI_SKIP_UPDATE_CHECK"] == "true"


class TestCli:
    def test_ensure_json_is_data_alone(self, offline: list[str]) -> None:
        done = CliRunner().invoke(app, ["ensure", "--json", "--python", "/venv/bin/python"])
        assert done.exit_code == 0
        assert {p["name"] for p in json.loads(done.stdout)["pieces"]} >= {"cli", "docker"}

    def test_env_prints_lines_for_a_shell(self, offline: list[str]) -> None:
        ensuring.ensure(PINS, PYTHON, quiet)
        done = CliRunner().invoke(app, ["env", "--python", str(PYTHON)])
        script = f'{done.stdout}\necho "$PULUMI_SKIP_UPDATE_CHECK"'
        ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        assert ran.stdout == "true\n"

    def test_env_before_ensure_says_what_to_do(self, offline: list[str]) -> None:
        done = CliRunner().invoke(app, ["env", "--python", str(PYTHON)])
        assert done.exit_code == 1
        assert "python -m engine ensure" in done.stderr


def test_every_name_of_one_python_finds_the_same_engine() -> None:
    """`.venv/bin/pytest` runs `python3`, make runs `python`."""
    code = "from engine.cli import THIS_PYTHON; print(THIS_PYTHON)"
    names = [Path(sys.prefix, "bin", name) for name in ("python", "python3")]
    found = {subprocess.check_output([name, "-c", code], text=True) for name in names}
    assert found == {f"{names[0]}\n"}
