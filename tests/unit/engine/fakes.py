"""Stand-ins for an official installation."""

from __future__ import annotations

from pathlib import Path

from engine import find
from engine.pins import load

PINS = load()


def quiet(line: str) -> None:
    """Say nothing."""


def fake_pulumi(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("pulumi", find.LANGUAGE_HOST):
        script = folder / name
        script.write_text(f"#!/bin/sh\necho v{version}\n")
        script.chmod(0o755)
    return folder


def fake_plugin(home: Path, plugin: str) -> Path:
    folder = home / "plugins" / PINS.plugin_folder(plugin)
    folder.mkdir(parents=True)
    executable = folder / f"pulumi-resource-{plugin}"
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    return folder
