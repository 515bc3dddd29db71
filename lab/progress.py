"""Steps with a sign of life: nothing is silent for more than a few seconds."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

HEARTBEAT_SECONDS = 5.0
console = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line for people, on stderr (stdout belongs to `--json` and `lab env`)."""
    console.print(text, markup=False)


class Step:
    """A running step; `detail` is shown by the heartbeat."""

    def __init__(self, title: str) -> None:
        """Start with no detail known."""
        self.title = title
        self.detail = ""


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Say what begins, every few seconds that it still runs, and how long it took."""
    current, done, started = Step(title), threading.Event(), time.monotonic()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            tail = f": {current.detail}" if current.detail else ""
            say(f"  … {title} ({time.monotonic() - started:.0f} s){tail}"[:160])

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield current
    except BaseException:
        say(f"  ✗ {title} ({time.monotonic() - started:.1f} s)")
        raise
    else:
        say(f"  ✓ {title} ({time.monotonic() - started:.1f} s)")
    finally:
        done.set()
        thread.join()
