"""Build the real `abctl` of the pinned version from its Go module, and print where it is.

For the tests that compare with it, and for hosts that can not fetch the official release: copy
what this prints to such a host's /usr/local/bin. `abctl_gomod/go.sum` holds the module's checksums,
and those of all it is made of; Go compiles nothing that differs.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

from engine import cache
from engine.errors import EngineError

SOURCES = Path(__file__).parent / "abctl_gomod"
PACKAGE = "github.com/airbytehq/abctl"
BUILD_SECONDS = 1200
"""Two to three minutes of one processor without a build cache; seconds with one."""
WAIT_SECONDS = 1.0


def ensure(seconds: float = BUILD_SECONDS) -> Path:
    """Return the program, built when the cache lacks it.

    Raises:
        EngineError: there is no Go, or the build failed or took longer than `seconds`.
    """
    target = _place()
    program = target / "abctl"
    deadline = time.monotonic() + seconds

    def waiting() -> bool:
        time.sleep(WAIT_SECONDS)
        return time.monotonic() < deadline

    if not program.exists():
        with cache.locked("abctl", waiting):
            if not program.exists():
                cache.make_atomically(target, lambda part: _build(part / "abctl", seconds))
    return program


def _place() -> Path:
    digest = cache.digest_tree(SOURCES, cache.GO_SUFFIXES)[: cache.HASH_LENGTH]
    return cache.cache_root() / f"abctl-{digest}-{platform.system()}-{platform.machine()}"


def _build(program: Path, seconds: float) -> None:
    go = shutil.which("go")
    if go is None:
        raise EngineError(
            found="no `go` command",
            needed="Go 1.24 or newer on PATH",
            way_out="install Go, or the official release of abctl",
        )
    # Without symbols: they double the link, and nobody debugs it.
    command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(program), PACKAGE]
    environment = {
        **os.environ,
        # The checksum database is often out of reach; the committed go.sum keeps the check.
        "GOSUMDB": "off",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    try:
        done = subprocess.run(
            command,
            cwd=SOURCES,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        found = f"a build of abctl that takes longer than {seconds:.0f} s"
        raise EngineError(found, "its end", "run it again: what is compiled is kept") from error
    if done.returncode:
        found = f"a build of abctl that failed:\n{done.stderr[-2000:]}"
        raise EngineError(found, "Go's module proxy or its cache", "mend it, then run this again")


def main() -> int:
    """Print the path, or why there is none."""
    try:
        print(ensure())
    except EngineError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
