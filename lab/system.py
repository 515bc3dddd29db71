"""What the lab needs of the operator's machine, and how it comes there."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from lab import docker
from lab.embedded_postgres import cache_root
from lab.errors import LabError
from lab.process import environment, search_path, stream
from lab.progress import step
from lab.spec import IMAGE_LABEL

PACKAGES = {
    "docker": "docker.io",
    "dockerd": "docker.io",
    "iptables": "iptables",
    "debootstrap": "debootstrap",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "npm": "npm",
}
"""Program on PATH -> Debian package that brings it."""

ENGINE_DEADLINE = 60.0
"""Seconds until a dockerd that was just started answers."""


def dockerd_pid_file() -> Path:
    """Written only when the lab itself started the engine."""
    return cache_root() / "lab" / "dockerd.pid"


def missing_programs() -> list[str]:
    """Programs that are not there; dockerd is needed only where no engine answers."""
    absent = [name for name in PACKAGES if shutil.which(name, path=search_path()) is None]
    if "docker" not in absent and docker.answers():
        absent = [name for name in absent if name not in {"dockerd", "iptables"}]
    return absent


def ensure() -> None:
    """Install what is missing, have an engine answer; one error names all that can not be had."""
    absent = missing_programs()
    engine = "docker" not in absent and docker.answers()
    problems = _obstacles(absent, engine=engine)
    packages = {PACKAGES[name] for name in absent}
    if problems:
        raise LabError(
            found="; ".join(problems),
            needed="a Debian 12 machine as root, or one where a Docker engine answers and "
            f"{', '.join(sorted(set(PACKAGES) - {'dockerd', 'iptables'}))} are installed",
            way_out="run as root, or have somebody install: "
            + " ".join(sorted(packages if engine else {*packages, "docker.io"})),
        )
    if absent:
        _install(sorted(packages))
    if not docker.answers():
        _start_engine()


def _obstacles(absent: list[str], *, engine: bool) -> list[str]:
    """Everything that keeps this machine from getting what is missing."""
    root = os.geteuid() == 0
    problems = []
    if absent and not (root and shutil.which("apt-get")):
        why = "no apt-get here" if root else "not root, so it can not be installed"
        problems.append(f"missing: {', '.join(absent)} ({why})")
    if not engine and not root:
        problems.append("no Docker engine answers this user, and only root can start one")
    if engine and not root and not docker.labelled("image", IMAGE_LABEL):
        problems.append("the base image is not there yet, and only root can bootstrap it")
    return problems


def _install(packages: list[str]) -> None:
    log = cache_root() / "lab" / "logs" / "apt.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {' '.join(packages)} (apt)") as current:
        stream(["apt-get", "update", "-qq"], current, log, quiet)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
        stream([*install, *packages], current, log, quiet)


def _start_engine() -> None:
    log = cache_root() / "lab" / "logs" / "dockerd.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with step("starting dockerd (no engine answered)") as current, log.open("ab") as sink:
        current.detail = f"log: {log}"
        # A child of ours that outlives us would be a ResourceWarning at our own end.
        subprocess.run(
            [
                *("setsid", "--fork"),
                shutil.which("dockerd", path=search_path()) or "dockerd",
                *("--log-level=warn", f"--pidfile={dockerd_pid_file()}"),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
        try:
            Retrying(
                stop=stop_after_delay(ENGINE_DEADLINE),
                wait=wait_fixed(0.3),
                retry=retry_if_result(lambda answers: not answers),
            )(docker.answers)
        except RetryError as error:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise LabError(
                found=f"dockerd does not answer:\n{tail}",
                needed="a Docker engine on this machine",
                way_out=f"read {log}; or start an engine yourself and run this again",
            ) from error


def stop_engine() -> bool:
    """Stop the engine that the lab started; False when it started none."""
    file = dockerd_pid_file()
    if not file.exists():
        return False
    pid = int(file.read_text())
    file.unlink(missing_ok=True)
    command = Path(f"/proc/{pid}/comm")
    if not command.exists() or command.read_text().strip() != "dockerd":
        return False
    with step(f"stopping dockerd ({pid})"):
        os.kill(pid, signal.SIGTERM)
        Retrying(
            stop=stop_after_delay(ENGINE_DEADLINE),
            wait=wait_fixed(0.2),
            retry=retry_if_result(lambda alive: alive),
        )(lambda: _runs(pid))
    return True


def _runs(pid: int) -> bool:
    """Whether the process lives; one that ended and was not yet reaped does not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
