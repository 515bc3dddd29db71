"""The Docker engine of the operator's machine, through its CLI: the only place that calls it."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lab.errors import LabError
from lab.process import output

Kind = Literal["container", "network", "volume", "image"]


@dataclass(frozen=True, kw_only=True)
class Container:
    """What the engine says about one container."""

    name: str
    status: str
    image_id: str
    labels: dict[str, str]

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self.status == "running"


def attempt(
    *arguments: str, stdin: str | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """`docker …`; the caller judges the exit code."""
    return output(["docker", *arguments], stdin=stdin, timeout=timeout)


def run(*arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
    """`docker …`, which has to succeed; its stdout."""
    result = attempt(*arguments, stdin=stdin, timeout=timeout)
    if result.returncode:
        raise LabError(
            found=f"`docker {' '.join(arguments[:3])} …` ended with {result.returncode}: "
            f"{(result.stderr or result.stdout).strip()}",
            needed="exit code 0",
            way_out="`python -m lab status` shows the lab; `python -m lab up` repairs it",
        )
    return result.stdout


def present() -> bool:
    """Whether there is a Docker CLI on PATH."""
    return shutil.which("docker") is not None


def answers() -> bool:
    """Whether an engine answers at all."""
    return (
        present()
        and attempt("version", "--format", "{{.Server.Version}}", timeout=20).returncode == 0
    )


def _inspect(kind: Kind, name: str) -> dict[str, Any] | None:
    result = attempt(kind, "inspect", name)
    if result.returncode:
        return None
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found[0]


def container(name: str) -> Container | None:
    """The container called `name`, or nothing."""
    found = _inspect("container", name)
    if found is None:
        return None
    return Container(
        name=name,
        status=found["State"]["Status"],
        image_id=found["Image"],
        labels=found["Config"]["Labels"] or {},
    )


def labels(kind: Literal["network", "volume"], name: str) -> dict[str, str] | None:
    """Labels of a network or volume, or nothing when it does not exist."""
    found = _inspect(kind, name)
    return None if found is None else (found["Labels"] or {})


def image_id(reference: str) -> str | None:
    """Id of a local image, or nothing."""
    found = _inspect("image", reference)
    return None if found is None else str(found["Id"])


def repo_digests(reference: str) -> list[str]:
    """Digests under which a local image was pushed or pulled."""
    found = _inspect("image", reference)
    return [] if found is None else list(found["RepoDigests"] or [])


def labelled(kind: Kind, label: str) -> list[str]:
    """Names (images: ids) of everything of one kind that carries `label`."""
    every = ["--all"] if kind in {"container", "image"} else []
    form = {
        "container": "{{.Names}}",
        "network": "{{.Name}}",
        "volume": "{{.Name}}",
        "image": "{{.ID}}",
    }[kind]
    listing = run(kind, "ls", *every, "--filter", f"label={label}", "--format", form)
    return sorted(set(listing.split()))


def inside(
    name: str, command: Sequence[str], *, stdin: str | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command in a container of the lab; the caller judges the exit code."""
    interactive = ["--interactive"] if stdin is not None else []
    return attempt("exec", *interactive, name, *command, stdin=stdin, timeout=timeout)
