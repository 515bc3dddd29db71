"""Wheels for images, downloaded by the machine's own pip, which knows its proxy and CA."""

import hashlib
import sys
import tempfile
from pathlib import Path

from lab.embedded_postgres import cache_root
from lab.process import stream
from lab.progress import Step, step

TARGET = (
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
    "--abi",
    "abi3",
    "--abi",
    "none",
)
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64", "any")


def folder(lock: Path) -> Path:
    """The folder with every wheel that `lock` pins by hash, downloading it the first time."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    home = cache_root() / "wheels" / digest
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with step(f"downloading the wheels of {lock.name}") as current:
            _download(lock, home, current)
    return home


def _download(lock: Path, home: Path, current: Step) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".download-") as scratch:
        ready = Path(scratch) / "ready"
        platforms = [part for name in PLATFORMS for part in ("--platform", name)]
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--only-binary=:all:",
            "--require-hashes",
        ]
        stream(
            [*command, *TARGET, *platforms, "--dest", str(ready), "--requirement", str(lock)],
            current,
            home.parent / "download.log",
        )
        ready.rename(home)
