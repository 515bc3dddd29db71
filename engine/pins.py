"""Typed view of ``pins.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ENGINE_DIR = Path(__file__).resolve().parent
PINS_FILE = ENGINE_DIR / "pins.toml"


@dataclass(frozen=True, kw_only=True)
class GoPiece:
    """One Go module that we build or take files from; ``package`` is what is compiled."""

    version: str
    module: str
    package: str = ""


@dataclass(frozen=True, kw_only=True)
class Pins:
    """Every pinned version. Versions have no leading ``v``."""

    cli: GoPiece
    cli_sdk_module: str
    language_host: GoPiece
    terraform_bridge: GoPiece
    docker_upstream: GoPiece
    replace: dict[str, str]
    plugins: dict[str, str]
    download_base: str

    def plugin_folder(self, plugin: str) -> str:
        """Name of a plugin's folder below ``$PULUMI_HOME/plugins``, as Pulumi looks for it."""
        return f"resource-{plugin}-v{self.plugins[plugin]}"


def _piece(table: dict[str, str]) -> GoPiece:
    return GoPiece(
        version=table["version"], module=table["module"], package=table.get("package", "")
    )


def parse(text: str) -> Pins:
    """Read pins from TOML text; raises KeyError when a table or key is missing."""
    data = tomllib.loads(text)
    return Pins(
        cli=_piece(data["cli"]),
        cli_sdk_module=data["cli"]["sdk_module"],
        language_host=_piece(data["language_host"]),
        terraform_bridge=_piece(data["terraform_bridge"]),
        docker_upstream=_piece(data["docker_upstream"]),
        replace=dict(data["replace"]),
        plugins={name: table["version"] for name, table in data["plugins"].items()},
        download_base=data["download"]["base"],
    )


@cache
def load() -> Pins:
    """Read the project's ``pins.toml``."""
    return parse(PINS_FILE.read_text(encoding="utf-8"))
