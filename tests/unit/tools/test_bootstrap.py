"""What a machine lacks is named in one error, before anything is installed or made."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHELL = ("bash", "cat", "dirname", "env", "sed", "sha256sum")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree with what tools/bootstrap reads, and a `bin` with hardly anything."""
    folder = tmp_path / "checkout"
    for name in ("tools", "engine/pins.toml", "requirements", "pyproject.toml"):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    for command in SHELL:
        found = shutil.which(command)
        assert found
        put(folder, command, f'exec {found} "$@"')
    put(folder, "id", "echo 1000")
    return folder


def put(checkout: Path, command: str, script: str) -> None:
    path = checkout / "bin" / command
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def bootstrap(checkout: Path) -> list[str]:
    """Run it; return the lines of its error."""
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, "tools/bootstrap"],
        cwd=checkout,
        env={"PATH": str(checkout / "bin"), "HOME": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert not (checkout / ".venv").exists()
    return done.stderr.splitlines()


def test_everything_is_named_at_once(checkout: Path) -> None:
    first, *lines = bootstrap(checkout)
    pulumi = tomllib.loads((ROOT / "engine/pins.toml").read_text())["cli"]["version"]
    assert first == "error: this machine lacks what the project can not install by itself:"
    assert all(line.startswith("  - ") for line in lines), lines
    text = "\n".join(lines)
    assert "Python 3.11 or 3.12 (found: none)" in text
    assert f"Pulumi {pulumi}" in text
    for command in ("git", "npm", "docker", "dockerd", "debootstrap", "ssh", "shellcheck"):
        assert f"- {command}: install" in text


def test_a_docker_engine_that_does_not_answer_is_named(checkout: Path) -> None:
    for command in (
        "git",
        "go",
        "npm",
        "dockerd",
        "debootstrap",
        "ssh",
        "shellcheck",
        "python3.11",
    ):
        put(checkout, command, "exit 0")
    put(checkout, "docker", "exit 1")
    assert [line for line in bootstrap(checkout)[1:] if "docker info" not in line] == []
