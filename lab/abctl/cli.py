"""Entry point: parse, run, exit 0 or 1 and nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import commands, install, local, output
from .cluster import Cluster
from .kong import HelpWanted, ParseError, Parser

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "v0.30.4"


def version(_flags: dict[str, Any], _cluster: Cluster) -> None:
    """Print the version that is played."""
    sys.stdout.write(f"version: {VERSION}\n")


RUN: dict[str, Callable[[dict[str, Any], Cluster], None]] = {
    "local install": install.install,
    "local status": local.status,
    "local credentials": local.credentials,
    "local deployments": local.deployments,
    "local uninstall": local.uninstall,
    "images manifest": local.images_manifest,
    "version": version,
}


def main(arguments: list[str]) -> int:
    """Run one command line."""
    try:
        path, flags = Parser(commands.ROOT, dict(os.environ)).parse(arguments)
        output.verbose = bool(flags["verbose"])
        cluster = Cluster(os.environ)
        if path[0] == "local":
            _before_local(cluster)
        RUN[" ".join(path)](flags, cluster)
    except HelpWanted as wanted:
        sys.stdout.write(commands.usage(wanted.path, wanted.command))
    except ParseError as error:
        output.error(str(error))
        sys.stdout.write(commands.usage([], commands.ROOT))
        return 1
    except output.AbctlError as error:
        output.error(str(error))
        if error.hint:
            sys.stdout.write("\n")
            output.info(error.hint)
        return 1
    return 0


def _before_local(cluster: Cluster) -> None:
    if "DO_NOT_TRACK" in os.environ:
        output.info("Telemetry collection disabled (DO_NOT_TRACK)")
    else:
        _analytics(cluster.airbyte / "analytics.yml")
    if cluster.airbyte.exists() and not cluster.airbyte.is_dir():
        hint = (
            "The ~/.airbyte directory is inaccessible.\n"
            "You may need to remove this directory before trying your command again."
        )
        msg = f"airbyte directory is inaccessible: {cluster.airbyte} is not a directory"
        raise output.AbctlError(msg, hint)
    output.info(
        "Using Kubernetes provider:\n  Provider: kind\n"
        f"  Kubeconfig: {cluster.kubeconfig}\n  Context: kind-airbyte-abctl"
    )


def _analytics(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text("# lab stand-in: an id would be kept here; nothing is sent\n")
