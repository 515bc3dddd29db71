"""Who is prod now: asked of the DB Migration Script, and written where clients look (as DNS is)."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import keys
from lab.demo.places import AIRBYTES
from lab.load_target import point
from lab.spec import LabSpec

STATUS = "docker exec db-migration db-migration status --json"
ASK_DEADLINE = 15.0
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Active:
    """What the highest epoch says."""

    epoch: int
    database: str
    airbyte: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """When a client first learned of an epoch; seconds since 1970."""

    active: Active
    at: float


def ask(host: str) -> Active | None:
    """Ask the script on `host`; None while it does not answer."""
    spec = LabSpec()
    try:
        answer = subprocess.run(
            [*keys.ssh_command(spec, spec.host(host)), STATUS],
            check=False,
            capture_output=True,
            text=True,
            timeout=ASK_DEADLINE,
        )
        found = json.loads(answer.stdout)["epoch"]
        return Active(
            epoch=int(found["epoch"]), database=found["database"], airbyte=found["airbyte"]
        )
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None


class Follower:
    """Points the load at the active Airbyte, whenever the script on one of the hosts says so."""

    def __init__(self, file: Path, hosts: Sequence[str]) -> None:
        """Ask the first host that answers."""
        self._file = file
        self._hosts = hosts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.changes: list[Change] = []

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Stop asking."""
        self._stop.set()
        self._thread.join(ASK_DEADLINE + PAUSE_SECONDS)

    @property
    def active(self) -> Active | None:
        """The newest answer."""
        return self.changes[-1].active if self.changes else None

    def _follow(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            answers = (ask(host) for host in self._hosts)
            found = next((answer for answer in answers if answer is not None), None)
            if found is not None and (self.active is None or found.epoch > self.active.epoch):
                self.changes.append(Change(active=found, at=time.time()))
                point(self._file, AIRBYTES[found.airbyte])
                print(f"\nprod is now {found.airbyte} on {found.database} (epoch {found.epoch})")


@contextmanager
def following(file: Path, hosts: Sequence[str] = ("core-worker-01",)) -> Iterator[Follower]:
    """Follow until the block ends."""
    follower = Follower(file, hosts)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait for a condition, with a sign of life; raise TimeoutError at the deadline."""
    started = time.monotonic()
    spoken = started
    pause = threading.Event()
    while not condition():
        now = time.monotonic()
        if now - started > seconds:
            message = f"not within {seconds:.0f} s: {what}"
            raise TimeoutError(message)
        if now - spoken > SPEAK_SECONDS:
            spoken = now
            print(f"  … {what} ({now - started:.0f} s)", flush=True)
        pause.wait(POLL_SECONDS)


SPEAK_SECONDS = 5.0
POLL_SECONDS = 0.2
