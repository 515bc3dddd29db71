"""Who is prod now: asked of the DB Migration Script, and written where clients look (as DNS is)."""

import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from lab import keys
from lab.demo.places import AIRBYTES
from lab.load_target import point
from lab.spec import LabSpec

WATCH = (
    "docker exec db-migration timeout {seconds:.0f} db-migration status --watch --json --every 0.5"
)
WATCH_SECONDS = 60.0
"""Nothing ends a `docker exec` whose client has gone: a watch ends by itself, and is begun anew."""
SILENCE_SECONDS = 15.0
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


def active_in(line: str) -> Active | None:
    """Read a line of `status --watch --json`; None where the script knows of no epoch."""
    try:
        found = json.loads(line)["epoch"]
        return Active(
            epoch=int(found["epoch"]), database=found["database"], airbyte=found["airbyte"]
        )
    except (ValueError, KeyError, TypeError):
        return None


def watch(host: str, stop: threading.Event) -> Iterator[Active]:
    """Yield what the script on `host` says, until it ends, falls silent, or `stop`."""
    spec = LabSpec()
    command = [*keys.ssh_command(spec, spec.host(host)), WATCH.format(seconds=WATCH_SECONDS)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            for line in lines_of(cast("IO[bytes]", process.stdout), stop):
                found = active_in(line)
                if found is not None:
                    yield found
        finally:
            process.kill()


def lines_of(pipe: IO[bytes], stop: threading.Event) -> Iterator[str]:
    """Yield lines as they come, until there are no more, none for too long, or `stop`."""
    rest, heard = b"", time.monotonic()
    while not stop.is_set() and time.monotonic() - heard < SILENCE_SECONDS:
        if not select.select([pipe], [], [], PAUSE_SECONDS)[0]:
            continue
        came = os.read(pipe.fileno(), 65536)
        if not came:
            return
        heard = time.monotonic()
        *whole, rest = (rest + came).split(b"\n")
        yield from (line.decode() for line in whole)


class Follower:
    """Points the load at the active Airbyte, whenever the script on one of the hosts says so."""

    def __init__(self, file: Path, hosts: Sequence[str]) -> None:
        """Know of nothing yet."""
        self._file = file
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._follow, args=(host,), daemon=True) for host in hosts
        ]
        self.changes: list[Change] = []

    def start(self) -> None:
        """Begin to ask all hosts at once: one that has died must not delay what another knows."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop asking."""
        self._stop.set()
        for thread in self._threads:
            thread.join(SILENCE_SECONDS)

    @property
    def active(self) -> Active | None:
        """The newest answer."""
        return self.changes[-1].active if self.changes else None

    def _follow(self, host: str) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            for found in watch(host, self._stop):
                self.learn(found)

    def learn(self, found: Active) -> None:
        """Take over what a host says, unless a higher epoch is known."""
        with self._lock:
            if self.active is not None and found.epoch <= self.active.epoch:
                return
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
POLL_SECONDS = 0.5
