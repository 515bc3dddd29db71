"""The official downloads: the CLI as an archive, plugins by the CLI's own installer."""

from __future__ import annotations

import os
import platform
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from engine.errors import EngineError
from engine.pins import Pins
from engine.progress import HEARTBEAT_SECONDS, Say, run

CONNECT_SECONDS = 5
READ_SECONDS = 60
CHUNK_BYTES = 1 << 20
MEBIBYTE = 1 << 20
ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def cli_address(pins: Pins, system: str, machine: str) -> str:
    """Address of the CLI's archive for a platform."""
    architecture = ARCHITECTURES.get(machine.lower(), machine.lower())
    name = f"pulumi-v{pins.cli.version}-{system.lower()}-{architecture}.tar.gz"
    return f"{pins.download_base}/releases/sdk/{name}"


def _this_address(pins: Pins) -> str:
    return cli_address(pins, platform.system(), platform.machine())


def works(pins: Pins, say: Say) -> bool:
    """Ask, for at most five seconds, whether the official download answers."""
    request = urllib.request.Request(_this_address(pins), method="HEAD")  # noqa: S310 - pinned https
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as response:  # noqa: S310
            answered = bool(response.status == 200)
    except (urllib.error.URLError, OSError) as error:
        say(f"official download not available ({error})")
        return False
    return answered


def fetch_cli(pins: Pins, target: Path, say: Say) -> None:
    """Download and unpack the CLI into ``target/bin``.

    Raises:
        EngineError: the download broke off or is no archive.
    """
    archive = target / "cli.tar.gz"
    address = _this_address(pins)
    try:
        with (
            urllib.request.urlopen(address, timeout=READ_SECONDS) as response,  # noqa: S310
            archive.open("wb") as file,
        ):
            done, spoke = 0, time.monotonic()
            while chunk := response.read(CHUNK_BYTES):
                done += file.write(chunk)
                if time.monotonic() - spoke > HEARTBEAT_SECONDS:
                    spoke = time.monotonic()
                    say(f"downloading {address}: {done // MEBIBYTE} MiB")
        # Not tarfile: its `filter` is missing in Debian 12's Python 3.11.2.
        where = ["--file", str(archive), "--directory", str(target)]
        unpack = ["tar", "--extract", "--no-same-owner", *where]
        subprocess.run(unpack, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip()
        raise EngineError(
            found=f"the download of {address} failed: {said or error}",
            needed="the complete archive",
            way_out="run `python -m engine ensure` again",
        ) from error
    archive.unlink()
    (target / "pulumi").rename(target / "bin")


def install_plugin(pins: Pins, plugin: str, pulumi: Path, home: Path, say: Say) -> None:
    """Let the CLI install one official plugin below ``home``.

    Raises:
        EngineError: the CLI could not.
    """
    version = pins.plugins[plugin]
    run(
        f"installing the official {plugin} plugin {version}",
        [str(pulumi), "plugin", "install", "resource", plugin, version],
        cwd=home,
        env={**os.environ, "PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"},
        say=say,
    )
