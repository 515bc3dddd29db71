"""Installs the local Python plugins as Pulumi plugins."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from engine.cache import PLUGIN_SOURCES
from engine.find import STAND_IN_MARK
from engine.pins import ENGINE_DIR

MARK = """\
This is test equipment of airbyte-migration, not the official plugin.
It was installed because neither the official download nor the plugin's Go sources
could be had on this machine. Official plugins always win: run `python -m engine ensure`.
"""

LAUNCHER = """\
#!/bin/sh
exec {python} -B {main} "$@"
"""

MAIN = """\
from engine.plugins.{plugin}.main import main

main({version!r})
"""


def install(plugin: str, version: str, python: Path, folder: Path, final_folder: Path) -> None:
    """Write plugin ``plugin`` into ``folder``, to be run by ``python`` from ``final_folder``.

    The sources are copied, so that a later change in the checkout does not alter a plugin
    that runs; the folder's name carries their hash.
    """
    package = folder / "engine"
    shutil.copytree(
        PLUGIN_SOURCES, package / "plugins", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copyfile(ENGINE_DIR / "__init__.py", package / "__init__.py")
    (folder / "main.py").write_text(MAIN.format(plugin=plugin, version=version))
    (folder / STAND_IN_MARK).write_text(MARK)
    launcher = folder / f"pulumi-resource-{plugin}"
    launcher.write_text(
        LAUNCHER.format(
            python=shlex.quote(str(python)), main=shlex.quote(str(final_folder / "main.py"))
        )
    )
    launcher.chmod(0o755)
