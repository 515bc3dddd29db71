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
from typing import Any

from lab.demo.commands import ROOT, captured
from lab.demo.report import Load
from lab.load import MOST_SECONDS, PASSWORD_VARIABLE

STOP_DEADLINE_SECONDS = 60.0
ASK_STATE = ["docker", "inspect", "--format", "{{json .State}}", "airbyte-db"]
BEFORE_STOP_SECONDS = 2.0
"""From the stop signal to the end of the database's processes: statements in flight end here."""
AFTER_START_SECONDS = 10.0
"""From the start of the container until the database takes statements again."""


@dataclass(frozen=True, kw_only=True)
class Generator:
    """Where a running load generator notes what prod answered."""

    folder: Path

    @property
    def acknowledged(self) -> Path:
        """One JSON line for each write that prod acknowledged, on disk before the next write."""
        return self.folder / "acknowledged.jsonl"

    @property
    def failed(self) -> Path:
        """One JSON line for each write that prod answered with an error."""
        return self.folder / "failed.jsonl"


@dataclass(frozen=True, kw_only=True)
class Restart:
    """When prod's database was away, in seconds since 1970."""

    began: float
    ended: float


@contextmanager
def running(
    *, rate: int, password: str, folder: Path, env: Mapping[str, str]
) -> Iterator[Generator]:
    """Write to prod at `rate` a second until the block ends."""
    generator = Generator(folder=folder)
    for file in (generator.acknowledged, generator.failed):
        file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "lab.load", "--rate", str(rate), "--folder", str(folder)]
    log = folder / "load.log"
    folder.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--seconds", f"{MOST_SECONDS:.0f}"],
            cwd=ROOT,
            env={**env, PASSWORD_VARIABLE: password},
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


def restart_of_prod_database(env: Mapping[str, str]) -> Restart:
    """Read from Docker on prod when its database container last ended and started again."""
    state = json.loads(
        captured(
            [sys.executable, "-m", "lab", "ssh", "prod", "--", *ASK_STATE],
            env,
        )
    )
    return Restart(began=_seconds(state["FinishedAt"]), ended=_seconds(state["StartedAt"]))


def verdict(generator: Generator, missing_on_copy: int, restart: Restart) -> Load:
    """Sum up the files; failures while the database was announced to be away are told apart."""
    away = (restart.began - BEFORE_STOP_SECONDS, restart.ended + AFTER_START_SECONDS)
    failures = [float(line["at"]) for line in _lines(generator.failed)]
    in_restart = sum(away[0] <= at <= away[1] for at in failures)
    return Load(
        acknowledged=len(_lines(generator.acknowledged)),
        missing_on_copy=missing_on_copy,
        failed=len(failures) - in_restart,
        failed_in_restart=in_restart,
        restart_seconds=restart.ended - restart.began,
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _seconds(docker_time: str) -> float:
    # Docker writes nanoseconds, which `fromisoformat` refuses.
    whole, _, fraction = docker_time.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return moment.timestamp() + float(f"0.{fraction or 0}")
