"""What this machine has already: an installed Pulumi and its official plugins."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from engine.cache import cache_root
from engine.choice import Installed
from engine.pins import Pins

VERSION_SECONDS = 20
LANGUAGE_HOST = "pulumi-language-python"
# File that marks a plugin folder as one of ours, wherever it is found.
STAND_IN_MARK = "airbyte-migration-stand-in.txt"


def _ours(path: Path) -> bool:
    return path.resolve().is_relative_to(cache_root().resolve())


def reported_version(pulumi: Path) -> str:
    """Version that a ``pulumi`` executable reports, without ``v``; empty when it will not run."""
    try:
        ran = subprocess.run(
            [str(pulumi), "version"],
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=True,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ran.stdout.strip().removeprefix("v")


def installed_cli(version: str, path: Sequence[Path]) -> Path | None:
    """First folder on ``path`` with a Pulumi of exactly this version and its language host."""
    for folder in path:
        pulumi = folder / "pulumi"
        complete = os.access(pulumi, os.X_OK) and (folder / LANGUAGE_HOST).exists()
        if complete and not _ours(folder) and reported_version(pulumi) == version:
            return folder
    return None


def official_plugins(pins: Pins, home: Path) -> dict[str, Path]:
    """Official plugins of the pinned versions below a PULUMI_HOME."""
    found: dict[str, Path] = {}
    for plugin in pins.plugins:
        folder = home / "plugins" / pins.plugin_folder(plugin)
        executable = folder / f"pulumi-resource-{plugin}"
        marked = (folder / STAND_IN_MARK).exists()
        if os.access(executable, os.X_OK) and not marked and not _ours(executable):
            found[plugin] = folder
    return found


def user_home() -> Path:
    """The user's own PULUMI_HOME; one of ours, left in the environment, does not count."""
    given = os.environ.get("PULUMI_HOME")
    if given and not _ours(Path(given)):
        return Path(given)
    return Path.home() / ".pulumi"


def installed(pins: Pins) -> Installed:
    """Look at PATH and at the user's PULUMI_HOME."""
    path = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    return Installed(
        cli=installed_cli(pins.cli.version, path), plugins=official_plugins(pins, user_home())
    )
