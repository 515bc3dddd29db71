"""Load from outside the hosts: writes to prod's API, and a file of what prod acknowledged.

Each acknowledged id is on disk (fsync) before the next write of its thread, so that the file may be
used as the verdict of what must be found on a copy. `python -m lab.load --help`.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import ipaddress
import json
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.embedded_postgres import cache_root

if TYPE_CHECKING:
    from types import FrameType

DEFAULT_TARGET = "http://127.0.0.1:18000"
LAB_NETWORK = ipaddress.ip_network("198.51.100.0/24")
DEFAULT_SECONDS = 60.0
MOST_SECONDS = 1800.0
MOST_RATE = 500.0
PROGRESS_SECONDS = 5.0
# The server's pool waits 30 s for its database: a restart must delay a write, not fail it.
ANSWER_SECONDS = 40.0
PASSWORD_VARIABLE = "LAB_LOAD_PASSWORD"  # noqa: S105 - a variable's name


class LoadError(Exception):
    """The load may not be made as asked."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to write, how fast, for how long, and where to note it."""

    target: str = DEFAULT_TARGET
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
        host = urlsplit(self.target).hostname or ""
        address = ipaddress.ip_address(socket.gethostbyname(host))
        if not address.is_loopback and address not in LAB_NETWORK:
            msg = f"target must be a loopback or lab address ({LAB_NETWORK}), got {host}"
            raise LoadError(msg)
        for name, value, most in (
            ("seconds", self.seconds, MOST_SECONDS),
            ("rate", self.rate, MOST_RATE),
            ("threads", self.threads, 64),
            ("payload_bytes", self.payload_bytes, 1_000_000),
        ):
            if not 0 < value <= most:
                msg = f"{name} must be over 0 and at most {most:g}, got {value:g}"
                raise LoadError(msg)


class Notes:
    """The two files; a line is on disk when `add` returns."""

    def __init__(self, folder: Path) -> None:
        """Append to what is there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._acknowledged = (folder / "acknowledged.jsonl").open("ab")
        self._failed = (folder / "failed.jsonl").open("ab")
        self._lock = threading.Lock()
        self.latencies: list[float] = []
        self.failed = 0

    def add(self, line: dict[str, Any], latency: float) -> None:
        """Note an acknowledged write."""
        with self._lock:
            self._write(self._acknowledged, line)
            self.latencies.append(latency)

    def add_failure(self, line: dict[str, Any]) -> None:
        """Note a write that was not acknowledged; it may or may not be in the database."""
        with self._lock:
            self._write(self._failed, line)
            self.failed += 1

    def close(self) -> None:
        """Close both."""
        self._acknowledged.close()
        self._failed.close()

    @staticmethod
    def _write(file: IO[bytes], line: dict[str, Any]) -> None:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


class Load:
    """A running load; `with Load(plan) as load:` stops it at the end."""

    def __init__(self, plan: Plan) -> None:
        """Check the plan; write nothing yet."""
        plan.check()
        self.plan = plan
        self.notes = Notes(plan.folder)
        self.stopping = threading.Event()
        self.ended = threading.Event()
        self._writing = plan.threads
        self._started = time.monotonic()
        self._next = 0
        self._lock = threading.Lock()
        self._first = int(time.time() * 1000)
        self._threads = [
            threading.Thread(target=self._write_all, daemon=True) for _ in range(plan.threads)
        ]

    def __enter__(self) -> Load:
        """Start."""
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
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
            "target": self.plan.target,
            "seconds": round(time.monotonic() - self._started, 1),
            "acknowledged": len(ordered),
            "failed": self.notes.failed,
            "p50_ms": _percentile(ordered, 0.50),
            "p99_ms": _percentile(ordered, 0.99),
            "longest_ms": _percentile(ordered, 1.0),
        }

    def _ticket(self) -> int | None:
        """Wait for the next write's moment; None when the load is to end."""
        with self._lock:
            number, self._next = self._next, self._next + 1
        wait = self._started + number / self.plan.rate - time.monotonic()
        over = number / self.plan.rate >= self.plan.seconds
        late = time.monotonic() - self._started >= self.plan.seconds
        if over or late or self.stopping.wait(max(0.0, wait)) or self._stop_file():
            return None
        return number

    def _stop_file(self) -> bool:
        return self.plan.stop_file is not None and self.plan.stop_file.exists()

    def _write_all(self) -> None:
        parts = urlsplit(self.plan.target)
        host, port = parts.hostname or "", parts.port or 80
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        while (ticket := self._ticket()) is not None:
            self._write(connection, self._first + ticket)
        connection.close()
        with self._lock:
            self._writing -= 1
            if not self._writing:
                self.ended.set()

    def _write(self, connection: http.client.HTTPConnection, number: int) -> None:
        body = json.dumps({"n": number, "payload": "x" * self.plan.payload_bytes})
        began = time.monotonic()
        try:
            connection.request("POST", "/lab/write", body=body, headers=self._headers())
            answer = connection.getresponse()
            text = answer.read()
            latency = (time.monotonic() - began) * 1000
            if answer.status == http.client.OK:
                line = {"id": json.loads(text)["id"], "n": number, "at": time.time()}
                self.notes.add(line | {"latency_ms": round(latency, 1)}, latency)
                return
            reason = f"{answer.status}: {text.decode(errors='replace')[:300]}"
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            connection.close()
            reason = f"{type(error).__name__}: {error}"
        self.notes.add_failure({"n": number, "at": time.time(), "reason": reason})

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self.plan.user:
            pair = f"{self.plan.user}:{self.plan.password}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        return headers


def _percentile(ordered: list[float], part: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1)


def _plan(arguments: list[str] | None) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m lab.load", description=__doc__)
    parser.add_argument("--target", default=Plan.target, help=f"default {Plan.target}")
    parser.add_argument("--user", default="airbyte", help="basic auth; empty for none")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="writes a second")
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="at most 1800")
    parser.add_argument("--threads", type=int, default=Plan.threads)
    parser.add_argument("--payload-bytes", type=int, default=Plan.payload_bytes)
    parser.add_argument("--folder", type=Path, default=Plan.folder, help="where the files go")
    parser.add_argument("--stop-file", type=Path, help="ends when this file appears")
    parser.epilog = f"The password of basic auth is read from {PASSWORD_VARIABLE}."
    values = vars(parser.parse_args(arguments))
    return Plan(password=os.environ.get(PASSWORD_VARIABLE, "password"), **values)


def main(arguments: list[str] | None = None) -> int:
    """Run until the time is over or SIGTERM; exit 0 when no write failed, else 3."""
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
    (load.plan.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0 if not summary["failed"] else 3


if __name__ == "__main__":
    sys.exit(main())
