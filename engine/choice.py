"""Which source each piece comes from: a pure decision over what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path

from engine.pins import Pins


@unique
class Source(StrEnum):
    """Where a piece comes from; the value is what people read."""

    INSTALLED = "installed"
    DOWNLOAD = "official download"
    BUILT = "built from Go modules"
    STAND_IN = "local stand-in (test equipment)"


CLI = "cli"
LANGUAGE_HOST = "language-python"
PLUGINS = ("docker", "command", "postgresql")

# Plugins whose Go sources no module proxy serves: without the official file only our own
# Python imitation is left.
WITHOUT_GO_SOURCES = frozenset({"command", "postgresql"})


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What this machine has already, our own cache not counted.

    ``cli`` is the folder that holds ``pulumi`` and its language host, ``None`` when there is
    none of the pinned version; ``plugins`` maps a plugin to its official folder of the
    pinned version.
    """

    cli: Path | None
    plugins: Mapping[str, Path]


def choose(installed: Installed, *, download_works: bool, pins: Pins) -> dict[str, Source]:
    """Give every piece its source: installed, else official, else built or imitated.

    An official piece always wins over one of ours, so a stand-in is never picked where the
    real plugin can be had.
    """
    fallback = Source.DOWNLOAD if download_works else Source.BUILT
    cli = Source.INSTALLED if installed.cli else fallback
    chosen = {CLI: cli, LANGUAGE_HOST: cli}
    for plugin in pins.plugins:
        if plugin in installed.plugins:
            chosen[plugin] = Source.INSTALLED
        elif download_works:
            chosen[plugin] = Source.DOWNLOAD
        elif plugin in WITHOUT_GO_SOURCES:
            chosen[plugin] = Source.STAND_IN
        else:
            chosen[plugin] = Source.BUILT
    return chosen


def all_installed(chosen: Mapping[str, Source]) -> bool:
    """Tell whether nothing has to be made: then the user's own PULUMI_HOME is used as it is."""
    return all(source is Source.INSTALLED for source in chosen.values())
