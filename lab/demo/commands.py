"""Runs the commands a user would type, in the environment that `lab env` prints."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEADILY = ROOT / "tools" / "steadily.py"


class CommandFailedError(RuntimeError):
    """A command of the demo ended with an exit code other than 0."""

    def __init__(self, command: list[str], code: int) -> None:
        """Keep the command line and its exit code."""
        self.command = command
        self.code = code
        super().__init__(f"`{' '.join(command)}` ended with exit code {code}")


def lab_environment() -> dict[str, str]:
    """Return the environment of a shell after `eval "$(python -m lab env)"`."""
    script = f'set -euo pipefail; lines=$({sys.executable} -m lab env); eval "$lines"; env -0'
    shell = subprocess.run(["bash", "-c", script], cwd=ROOT, check=True, capture_output=True)
    pairs = (item.split("=", 1) for item in shell.stdout.decode().split("\0") if "=" in item)
    return dict(pairs)


def shown(command: list[str], env: Mapping[str, str] | None = None) -> float:
    """Print the command, run it with its output passed through, and return the seconds it took.

    Raises CommandFailedError when it fails; its own output has said why.
    """
    print(f"\n$ {' '.join(command)}", flush=True)
    started = time.monotonic()
    process = subprocess.run(
        [sys.executable, str(STEADILY), command[0], "--", *command],
        cwd=ROOT,
        env=dict(env) if env is not None else os.environ.copy(),
        check=False,
    )
    if process.returncode != 0:
        raise CommandFailedError(command, process.returncode)
    return time.monotonic() - started


def captured(command: list[str], env: Mapping[str, str]) -> str:
    """Run the command and return its stdout; its stderr goes to the console."""
    process = subprocess.run(
        command, cwd=ROOT, env=dict(env), check=False, stdout=subprocess.PIPE, text=True
    )
    if process.returncode != 0:
        raise CommandFailedError(command, process.returncode)
    return process.stdout
