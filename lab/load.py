"""Load from outside the hosts: writes to prod's API, and a file of what prod acknowledged.

Each acknowledged id is on disk (fsync) before the next write of its thread, so that the file may be
used as the verdict of what must be found on a copy (`python -m lab.load_verdict`). With
`--target-file` the load outlives prod: a write that is refused or not answered is tried again where
the file points to by then. `python -m lab.load --help`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.embedded_postgres import cache_root
from lab.load_notes import SUMMARY, Notes, percentile
from lab.load_target import LoadError, Login, Target, check, logins

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

__all__ = ["DEFAULT_TARGET", "Load", "LoadError", "Plan", "main"]

DEFAULT_TARGET = "http://127.0.0.1:18000"
DEFAULT_SECONDS = 60.0
MOST_SECONDS = 7200.0
"""More than four hosts take to die and come back on a slow machine; what nobody stops must end."""
MOST_RATE = 500.0
PROGRESS_SECONDS = 5.0
# The server's pool waits 30 s for its database: a restart must delay a write, not fail it.
ANSWER_SECONDS = 40.0
RETRY_SECONDS = 0.1
WATCH_SECONDS = 0.05
LATE_SECONDS = 1.0
NOT_ACKNOWLEDGED = (OSError, http.client.HTTPException, LookupError, ValueError, LoadError)
PASSWORD_VARIABLE = "LAB_LOAD_PASSWORD"  # noqa: S105 - a variable's name


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to write, how fast, for how long, and where to note it."""

    target: str = DEFAULT_TARGET
    target_file: Path | None = None
    """Its first line says where to write now; whoever changes prod writes it, as DNS is changed."""
    logins: Mapping[str, Login] = field(default_factory=dict)
    """By URL; elsewhere `user` and `password`."""
    user: str = ""
    password: str = ""
    rate: float = 20.0
    seconds: float = DEFAULT_SECONDS
    threads: int = 4
    payload_bytes: int = 200
    folder: Path = cache_root() / "lab" / "load"
    stop_file: Path | None = None

    def check(self) -> None:
        """Refuse what goes outside the lab or has no end."""
        check(self.target)
        for name, value, most in (
            ("seconds", self.seconds, MOST_SECONDS),
            ("rate", self.rate, MOST_RATE),
            ("threads", self.threads, 64),
            ("payload_bytes", self.payload_bytes, 1_000_000),
        ):
            if not 0 < value <= most:
                msg = f"{name} must be over 0 and at most {most:g}, got {value:g}"
                raise LoadError(msg)

    def login(self, url: str) -> Login:
        """How to sign in at a target."""
        return self.logins.get(url) or Login(user=self.user, password=self.password)


class Line:
    """One thread's connection to the target; it follows the target, and signs in again."""

    def __init__(self, plan: Plan, target: Target) -> None:
        """Connect with the first write."""
        self._plan = plan
        self._target = target
        self.url = ""
        self._header: str | None = None
        self._connection = http.client.HTTPConnection("127.0.0.1")

    def write(self, number: int) -> int:
        """Write once; return the id that was acknowledged.

        Raises one of NOT_ACKNOWLEDGED when it was not.
        """
        self._follow()
        if self._header is None:
            self._header = self._plan.login(self.url).header(self._connection)
        body = json.dumps({"n": number, "payload": "x" * self._plan.payload_bytes})
        headers = {"Content-Type": "application/json"}
        if self._header:
            headers["Authorization"] = self._header
        self._connection.request("POST", "/lab/write", body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != http.client.OK:
            if answer.status == http.client.UNAUTHORIZED:
                self._header = None
            msg = f"{answer.status}: {text.decode(errors='replace')[:300]}"
            raise LookupError(msg)
        return int(json.loads(text)["id"])

    def close(self) -> None:
        """Hang up; the next write connects again."""
        self._connection.close()

    def give_up_elsewhere(self, url: str) -> None:
        """End a write that still waits for an answer of a target that is not prod any more."""
        opened = self._connection.sock
        if self.url and self.url != url and opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _follow(self) -> None:
        url = self._target.now()
        if url != self.url:
            self._connection.close()
            parts = urlsplit(url)
            self._connection = http.client.HTTPConnection(
                parts.hostname or "", parts.port or 80, timeout=ANSWER_SECONDS
            )
            self.url, self._header = url, None


class Load:
    """A running load; `with Load(plan) as load:` stops it at the end."""

    def __init__(self, plan: Plan) -> None:
        """Check the plan; write nothing yet."""
        plan.check()
        self.plan = plan
        self.target = Target(plan.target, plan.target_file)
        self.notes = Notes(plan.folder)
        self.stopping = threading.Event()
        self.ended = threading.Event()
        self._writing = plan.threads
        self._started = time.monotonic()
        self._next = 0
        self._lock = threading.Lock()
        self._first = int(time.time() * 1000)
        self._lines = [Line(plan, self.target) for _ in range(plan.threads)]
        self._threads = [
            threading.Thread(target=self._write_all, args=(line,), daemon=True)
            for line in self._lines
        ]

    def __enter__(self) -> Load:
        """Start."""
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        if self.target.moves:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop, and wait for the writes in flight."""
        self.stop()

    def stop(self) -> None:
        """End after the writes in flight."""
        self.stopping.set()
        for thread in self._threads:
            thread.join(ANSWER_SECONDS + 5)
        self.notes.close()

    def summary(self) -> dict[str, Any]:
        """Return what happened so far."""
        ordered = sorted(self.notes.latencies)
        return {
            "target": self.target.now(),
            "seconds": round(time.monotonic() - self._started, 1),
            "acknowledged": len(ordered),
            "failed": self.notes.failed,
            "given_up": self.notes.given_up,
            "p50_ms": percentile(ordered, 0.50),
            "p99_ms": percentile(ordered, 0.99),
            "longest_ms": percentile(ordered, 1.0),
        }

    def _ticket(self) -> int | None:
        """Wait for the next write's moment; None when the load is to end."""
        with self._lock:
            # What was missed while prod was away is not made up for in one burst.
            late = time.monotonic() - self._started - LATE_SECONDS
            number = max(self._next, int(late * self.plan.rate))
            self._next = number + 1
        wait = self._started + number / self.plan.rate - time.monotonic()
        if number / self.plan.rate >= self.plan.seconds or self._over(max(0.0, wait)):
            return None
        return number

    def _over(self, wait: float) -> bool:
        late = time.monotonic() - self._started >= self.plan.seconds
        stop = self.plan.stop_file
        return late or self.stopping.wait(wait) or (stop is not None and stop.exists())

    def _write_all(self, line: Line) -> None:
        while (ticket := self._ticket()) is not None:
            while not self._write(line, self._first + ticket):
                if not self.target.moves or self._over(RETRY_SECONDS):
                    self.notes.give_up()
                    break
        line.close()
        with self._lock:
            self._writing -= 1
            if not self._writing:
                self.ended.set()

    def _write(self, line: Line, number: int) -> bool:
        began = time.time()
        try:
            identity = line.write(number)
        except NOT_ACKNOWLEDGED as error:
            line.close()
            reason = f"{type(error).__name__}: {error}"
            self.notes.add_failure(
                {"n": number, "began": began, "at": time.time(), "target": line.url}
                | {"reason": reason}
            )
            return False
        at = time.time()
        self.notes.add(
            {"id": identity, "n": number, "at": at, "target": line.url}
            | {"latency_ms": round((at - began) * 1000, 1)}
        )
        return True

    def _watch(self) -> None:
        while not self.ended.wait(WATCH_SECONDS):
            with suppress(LoadError):
                url = self.target.now()
                for line in self._lines:
                    line.give_up_elsewhere(url)


def _plan(arguments: list[str] | None) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m lab.load", description=__doc__)
    parser.add_argument("--target", default=Plan.target, help=f"default {Plan.target}")
    parser.add_argument("--target-file", type=Path, help="its first line says where to write now")
    parser.add_argument("--logins", type=Path, help="JSON, URL -> user and password, or client")
    parser.add_argument("--user", default="airbyte", help="basic auth; empty for none")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="writes a second")
    parser.add_argument(
        "--seconds", type=float, default=Plan.seconds, help=f"at most {MOST_SECONDS:.0f}"
    )
    parser.add_argument("--threads", type=int, default=Plan.threads)
    parser.add_argument("--payload-bytes", type=int, default=Plan.payload_bytes)
    parser.add_argument("--folder", type=Path, default=Plan.folder, help="where the files go")
    parser.add_argument("--stop-file", type=Path, help="ends when this file appears")
    parser.epilog = f"The password of basic auth is read from {PASSWORD_VARIABLE}."
    values = vars(parser.parse_args(arguments))
    values["logins"] = logins(values["logins"])
    return Plan(password=os.environ.get(PASSWORD_VARIABLE, "password"), **values)


def main(arguments: list[str] | None = None) -> int:
    """Run until the time is over or SIGTERM; exit 0 when every write was accepted, else 3."""
    try:
        load = Load(_plan(arguments))
    except (LoadError, OSError) as error:
        sys.stderr.write(f"lab.load: {error}\n")
        return 2

    def stop(_signum: int, _frame: FrameType | None) -> None:
        load.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with load:
        while not load.ended.wait(PROGRESS_SECONDS):
            sys.stderr.write(f"load: {json.dumps(load.summary())}\n")
            sys.stderr.flush()
    summary = load.summary()
    (load.plan.folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0 if not summary["given_up"] else 3


if __name__ == "__main__":
    sys.exit(main())
