"""Programs of the operator's machine, with their last words kept for the error."""

import os
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.progress import Step

LAST_LINES = 25
SYSTEM_PATH = ("/usr/sbin", "/sbin")
"""Where Debian has dockerd, debootstrap and iptables; not on every user's PATH."""


def search_path() -> str:
    """PATH with the system's folders at its end."""
    return os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_PATH))


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The process's environment, with the classic builder: Debian's client has no other."""
    settings = {"PATH": search_path(), "DOCKER_BUILDKIT": "0", "DOCKER_CLI_HINTS": "false"}
    return {**os.environ, **settings, **(extra or {})}


def output(
    command: Sequence[str], *, stdin: str | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a short command; the caller judges the exit code."""
    return subprocess.run(
        list(command),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=environment(),
    )


def stream(
    command: Sequence[str], current: Step, log: Path, extra: Mapping[str, str] | None = None
) -> str:
    """Run a long command: lines into `log`, the newest as the step's detail; return the last."""
    log.parent.mkdir(parents=True, exist_ok=True)
    tail: deque[str] = deque(maxlen=LAST_LINES)
    with (
        log.open("a") as sink,
        subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(extra),
        ) as process,
    ):
        for line in process.stdout or ():
            sink.write(line)
            if line.strip():
                tail.append(line.rstrip())
                current.detail = line.strip()
    if process.returncode:
        last = "\n".join(tail)
        raise LabError(
            found=f"`{' '.join(command[:4])} …` ended with {process.returncode}:\n{last}",
            needed="exit code 0",
            way_out=f"read {log}, mend the cause and run the same command again",
        )
    return "\n".join(tail)
