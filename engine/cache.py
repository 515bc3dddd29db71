"""The cache outside the checkout: names by hash, one writer at a time, nothing half-made."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.pins import ENGINE_DIR, Pins

GO_SOURCES = ENGINE_DIR / "gomod"
PLUGIN_SOURCES = ENGINE_DIR / "plugins"
GO_SUFFIXES = frozenset({".go", ".mod", ".sum", ".json"})
PYTHON_SUFFIXES = frozenset({".py"})
# Raise when the build itself changes (flags, layout) without a source file changing.
BUILD_FORMAT = "1"
# The same for what a PULUMI_HOME looks like.
HOME_FORMAT = "2"
HASH_LENGTH = 16


def cache_root() -> Path:
    """Folder of everything the engine makes; ``AIRBYTE_MIGRATION_CACHE`` moves it."""
    moved = os.environ.get("AIRBYTE_MIGRATION_CACHE")
    base = Path(moved) if moved else Path.home() / ".cache" / "airbyte-migration"
    return base / "engine"


def digest_tree(root: Path, suffixes: frozenset[str]) -> str:
    """Hash names and contents of the files below ``root`` that have one of the suffixes."""
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.suffix in suffixes and p.is_file()):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _short(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:HASH_LENGTH]


def build_hash(pins: Pins, sources: Path = GO_SOURCES) -> str:
    """Name of a Go build: pins, Go sources, platform. The Python stand-ins are no part of it."""
    pinned = {
        "cli": pins.cli.version,
        "language_host": pins.language_host.version,
        "bridge": pins.terraform_bridge.version,
        "docker_upstream": pins.docker_upstream.version,
        "docker": pins.plugins["docker"],
        "replace": pins.replace,
    }
    return _short(
        BUILD_FORMAT,
        json.dumps(pinned, sort_keys=True),
        digest_tree(sources, GO_SUFFIXES),
        platform.system(),
        platform.machine(),
    )


def home_hash(pins: Pins, choices: dict[str, str], python: Path, build: str) -> str:
    """Name of a PULUMI_HOME: its plugins, where each comes from, and the Python they run in."""
    return _short(
        HOME_FORMAT,
        build,
        json.dumps(pins.plugins, sort_keys=True),
        json.dumps(choices, sort_keys=True),
        digest_tree(PLUGIN_SOURCES, PYTHON_SUFFIXES),
        str(python),
    )


@contextmanager
def locked(name: str, waiting: Callable[[], bool]) -> Iterator[None]:
    """Hold the lock ``name``; ``waiting`` is called while another process has it.

    ``waiting`` returns after a moment of its own choosing, and False to give up.

    Raises:
        TimeoutError: ``waiting`` gave up.
    """
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting():
                    raise TimeoutError(name) from None
        yield


def make_atomically(target: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write a temporary folder beside ``target``, then rename it into place.

    A kill in the middle leaves only a ``.part-`` folder, which the next run removes. Call
    with the lock held.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".part-{target.name}-"
    for stale in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        fill(part)
        part.chmod(0o755)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
