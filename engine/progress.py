"""Run long commands with a line of progress at least every ten seconds."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from engine.errors import EngineError

HEARTBEAT_SECONDS = 8.0
TAIL_LINES = 30
FETCHED = "modules fetched"
COMPILED = "packages compiled"

Say = Callable[[str], None]


def _count(line: str, counts: dict[str, int]) -> None:
    if line.startswith("go: downloading"):
        counts[FETCHED] += 1
    elif line and not line.startswith(("go:", "#")):
        counts[COMPILED] += 1


def _describe(label: str, started: float, counts: Mapping[str, int]) -> str:
    seconds = int(time.monotonic() - started)
    told = [f"{count} {what}" for what, count in counts.items() if count]
    return ", ".join([f"{label}: {seconds // 60}:{seconds % 60:02d} min", *told])


def _read(
    lines: Iterable[str], counts: dict[str, int], tail: deque[str], finished: threading.Event
) -> None:
    for line in lines:
        _count(line.rstrip(), counts)
        tail.append(line.rstrip())
    finished.set()


def run(label: str, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], say: Say) -> None:
    """Run a command, reporting as it goes; counts what ``go`` writes, a line a package.

    Raises:
        EngineError: the command failed; the message ends with its last lines.
    """
    started = time.monotonic()
    counts = {FETCHED: 0, COMPILED: 0}
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    say(f"{label}: started")
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        finished = threading.Event()
        args = (process.stderr, counts, tail, finished)
        threading.Thread(target=_read, args=args, daemon=True).start()
        try:
            while not finished.wait(HEARTBEAT_SECONDS):
                say(_describe(label, started, counts))
        except BaseException:
            process.terminate()
            raise
        code = process.wait()
    if code != 0:
        raise EngineError(
            found=f"{label} failed with exit code {code}:\n" + "\n".join(tail),
            needed="this step, to the end",
            way_out="repair what the last lines name and run `python -m engine ensure` again; "
            "what is fetched and compiled already is kept",
        )
    say(_describe(label, started, counts) + ", done")
