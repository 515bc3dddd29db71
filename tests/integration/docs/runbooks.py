"""The commands of the runbooks, as they stand there: what an operator types is what tests run.

A fenced `console` block holds one command a line, after the machine that it is typed on:
`core-worker-01$ docker exec …`. The operator's own machine is `operator`.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

FOLDER = Path(__file__).resolve().parents[3] / "docs/runbooks"
OPERATOR = "operator"
_SECTION = re.compile(r"^## (?P<title>.+?)\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^(?P<machine>[a-z0-9-]+)\$ (?P<line>\S.*)$")


@dataclass(frozen=True)
class Command:
    """One line of a console block."""

    machine: str
    line: str


class Deployment(Protocol):
    """What the main job's `Deployment` offers."""

    def run(self, *command: str, ok: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command on the operator's machine."""


def sections(runbook: str) -> dict[str, list[Command]]:
    """Give the commands of `docs/runbooks/<runbook>.md` by the title of their section.

    Raises ValueError for a line that is no command: an operator would type it too.
    """
    text = (FOLDER / f"{runbook}.md").read_text()
    return {
        section["title"]: [
            _command(line)
            for block in _BLOCK.findall(section["body"])
            for line in block.split("\n")[:-1]
        ]
        for section in _SECTION.finditer(text)
    }


def carry_out(
    deployment: Deployment, command: Command, *, ok: bool = True
) -> "subprocess.CompletedProcess[str]":
    """Type one command where the runbook says; with `ok` it must succeed."""
    words = command.line.split()
    if command.machine != OPERATOR:
        words = [sys.executable, "-m", "lab", "ssh", command.machine, "--", *words]
    return deployment.run(*words, ok=ok)


def follow(
    deployment: Deployment, runbook: str, title: str
) -> "list[subprocess.CompletedProcess[str]]":
    """Type every command of a section, one after the other; each must succeed."""
    return [carry_out(deployment, command) for command in sections(runbook)[title]]


def _command(line: str) -> Command:
    found = _COMMAND.match(line)
    if found is None:
        message = f"a console block may hold `MACHINE$ command` only, found {line!r}"
        raise ValueError(message)
    return Command(found["machine"], found["line"])
