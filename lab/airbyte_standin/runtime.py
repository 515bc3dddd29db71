"""The life of a role's process: log lines, stop on SIGTERM, waits that end when it stops."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

STOP = threading.Event()
WAKE_SECONDS = 0.2


def log(text: str) -> None:
    """Write one line of log; one write, so that threads do not mix their lines."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    sys.stdout.write(f"{stamp} [standin] {text}\n")
    sys.stdout.flush()


def stop_on_signals() -> None:
    """As process 1 of a container Python would ignore SIGTERM, and a stop would take 10 s."""

    def stop(_signum: int, _frame: FrameType | None) -> None:
        STOP.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def until_stopped() -> None:
    """Block until SIGTERM.

    The kernel may hand a signal to any thread, and a main thread that waits for a lock without a
    limit then never runs the handler: `docker stop` would last its whole grace.
    """
    while not STOP.wait(WAKE_SECONDS):
        continue


def pause(seconds: float) -> bool:
    """Wait, or return True at once when the process is to stop."""
    return STOP.wait(seconds)


def every(seconds: float, name: str, action: Callable[[], None]) -> threading.Thread:
    """Run `action` again and again in a thread; a failure is logged, the next turn comes.

    No two processes keep in step, so that of two that poll one store each has its turns.
    """

    def loop() -> None:
        while not pause(seconds * random.uniform(0.8, 1.2)):  # noqa: S311 - no secret
            try:
                action()
            except Exception as error:  # one bad turn must not end the role
                log(f"{name}: {type(error).__name__}: {error}")

    thread = threading.Thread(target=loop, name=name, daemon=True)
    thread.start()
    return thread
