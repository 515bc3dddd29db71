"""The load generator beside the demo, and its verdict from the files it wrote."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab.demo.commands import ROOT, captured
from lab.demo.places import AIRBYTES, COMPOSE, Credentials
from lab.demo.report import Load
from lab.load import MOST_SECONDS
from lab.load_notes import ACKNOWLEDGED, FAILED, SUMMARY, read
from lab.load_target import point, write_logins

STOP_DEADLINE_SECONDS = 60.0
ASK_STATE = ["docker", "inspect", "--format", "{{json .State}}", "airbyte-db"]
BEFORE_STOP_SECONDS = 2.0
"""From the stop signal to the end of the database's processes: statements in flight end here."""
AFTER_START_SECONDS = 10.0
"""From the start of the container until the database takes statements again."""


@dataclass(frozen=True, kw_only=True)
class Generator:
    """A load generator that runs, or has run."""

    folder: Path

    @property
    def target(self) -> Path:
        """Its first line says where to write now."""
        return self.folder / "target"

    def acknowledged(self) -> int:
        """How many writes were acknowledged so far, as they are on disk."""
        return len(read(self.folder / ACKNOWLEDGED))

    def ids(self) -> list[int]:
        """The acknowledged ids so far."""
        return [int(line["id"]) for line in read(self.folder / ACKNOWLEDGED)]

    @property
    def ended(self) -> bool:
        """Whether it writes no more."""
        return (self.folder / SUMMARY).exists()

    def failures(self) -> list[float]:
        """When attempts failed."""
        return [float(line["at"]) for line in read(self.folder / FAILED)]


@dataclass(frozen=True, kw_only=True)
class Restart:
    """When prod's database was away, in seconds since 1970."""

    began: float
    ended: float


@contextmanager
def running(
    *, rate: int, secrets: Credentials, folder: Path, env: Mapping[str, str]
) -> Iterator[Generator]:
    """Write to prod, wherever it is, at `rate` a second until the block ends."""
    generator = Generator(folder=folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in (ACKNOWLEDGED, FAILED, SUMMARY):
        (folder / file).unlink(missing_ok=True)
    point(generator.target, AIRBYTES[COMPOSE])
    write_logins(folder / "logins", secrets.logins())
    options = {
        "--rate": str(rate),
        "--folder": str(folder),
        "--seconds": f"{MOST_SECONDS:.0f}",
        "--target-file": str(generator.target),
        "--logins": str(folder / "logins"),
    }
    words = [word for pair in options.items() for word in pair]
    log = folder / "load.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.load", *words],
            cwd=ROOT,
            env=dict(env),
            stdout=output,
            stderr=output,
        )
        print(f"\nload from outside the hosts: {rate} writes a second (log: {log})", flush=True)
        try:
            yield generator
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGTERM)
            process.wait(STOP_DEADLINE_SECONDS)
            (folder / "logins").unlink(missing_ok=True)


def restart_of_prod_database(env: Mapping[str, str]) -> Restart:
    """Read from Docker on prod when its database container last ended and started again."""
    state = json.loads(
        captured(
            [sys.executable, "-m", "lab", "ssh", "prod", "--", *ASK_STATE],
            env,
        )
    )
    return Restart(began=_seconds(state["FinishedAt"]), ended=_seconds(state["StartedAt"]))


def on_the_copy(generator: Generator, missing_on_copy: int, restart: Restart) -> Load:
    """Sum up the files so far; failures while the database was announced to be away apart."""
    away = (restart.began - BEFORE_STOP_SECONDS, restart.ended + AFTER_START_SECONDS)
    failures = generator.failures()
    in_restart = sum(away[0] <= at <= away[1] for at in failures)
    return Load(
        acknowledged=generator.acknowledged(),
        missing_on_copy=missing_on_copy,
        failed=len(failures) - in_restart,
        failed_in_restart=in_restart,
        restart_seconds=restart.ended - restart.began,
    )


def _seconds(docker_time: str) -> float:
    # Docker writes nanoseconds, which `fromisoformat` refuses.
    whole, _, fraction = docker_time.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return moment.timestamp() + float(f"0.{fraction or 0}")
