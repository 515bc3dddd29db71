"""What the operator sees while it runs: progress on stderr, so that stdout stays for results."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console

HEARTBEAT_SECONDS = 5.0


@dataclass
class Reporter:
    """Says what happens, and that it still does at least each HEARTBEAT_SECONDS."""

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Print a sign of life while the block runs."""
        ended = threading.Event()
        began = datetime.now(UTC)

        def beat() -> None:
            while not ended.wait(HEARTBEAT_SECONDS):
                seconds = (datetime.now(UTC) - began).total_seconds()
                self.say(f"  … {what} ({seconds:.0f} s)")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def run(  # noqa: PLR0913
    reporter: Reporter,
    what: str,
    argv: list[str],
    *,
    stdin: str | None = None,
    cwd: str | None = None,
    env: dict[str, str] | None = None,
    keep_open: tuple[int, ...] = (),
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end under the heartbeat; never raises for its exit code."""
    with reporter.waiting(what):
        return subprocess.run(
            argv,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env=env,
            pass_fds=keep_open,
        )
