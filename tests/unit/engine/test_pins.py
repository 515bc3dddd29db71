"""``pins.toml`` is the one place: everything else that names a version must agree."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from engine.cache import GO_SOURCES
from engine.pins import load

PINS = load()
GO_MOD = (GO_SOURCES / "go.mod").read_text()
MODULES = (GO_SOURCES, GO_SOURCES / "langhost", GO_SOURCES / "schemagen")


def test_cli_and_sdk_are_one_version() -> None:
    assert version("pulumi") == PINS.cli.version


@pytest.mark.parametrize("plugin", sorted(PINS.plugins))
def test_plugins_are_the_versions_of_their_sdks(plugin: str) -> None:
    assert version(f"pulumi-{plugin}") == PINS.plugins[plugin]


@pytest.mark.parametrize("module", [PINS.cli.module, PINS.cli_sdk_module])
def test_go_mod_holds_the_cli_at_its_pin(module: str) -> None:
    assert f"{module} => {module} v{PINS.cli.version}\n" in GO_MOD


def test_go_mod_names_the_other_pins() -> None:
    bridge, docker = PINS.terraform_bridge, PINS.docker_upstream
    assert f"{bridge.module} v{bridge.version}\n" in GO_MOD
    assert f"=> {docker.module} v{docker.version}\n" in GO_MOD
    for module, replacement in PINS.replace.items():
        assert f"replace {module} => {replacement}\n" in GO_MOD
    host = PINS.language_host
    langhost = (GO_SOURCES / "langhost" / "go.mod").read_text()
    assert re.search(rf"{re.escape(host.module)} v{re.escape(host.version)}\b", langhost)


@pytest.mark.parametrize("folder", MODULES, ids=lambda p: p.name)
def test_every_module_has_its_checksums(folder: Path) -> None:
    assert (folder / "go.sum").stat().st_size > 0
