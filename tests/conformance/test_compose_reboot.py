"""Fenced compose stays stopped over a reboot of its host (facts 1.1, 7.3): hostctl, a real Docker.

A Docker engine of the test's own, with containers as in compose's file, which all restart
`unless-stopped`; its end and its next start are what a reboot is to them.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.conformance.harness import eventually
from tests.support import host_script

SERVICES = ("airbyte-proxy", "airbyte-worker", "airbyte-server")
DATABASE = "airbyte-db"
PROGRAM = "/bin/sleep"
READY_SECONDS = 60.0
BRIDGE = Path("/sys/class/net/docker0")
"""Of the machine's own engine, if one has ever run."""


class Machine:
    """A host with compose on it, which can be rebooted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.socket = f"unix://{folder}/docker.sock"
        self.engine: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        flags = {
            "data-root": self.folder / "data",
            "exec-root": self.folder / "exec",
            "pidfile": self.folder / "pid",
            "host": self.socket,
            "bridge": "none",
            "storage-driver": "vfs",
        }
        words = [f"--{name}={value}" for name, value in flags.items()]
        # In a network of its own: without a bridge it takes docker0 away, the lab's engine's too.
        with (self.folder / "log").open("ab") as log:
            self.engine = subprocess.Popen(
                ["unshare", "--net", "dockerd", *words, "--iptables=false", "--ip6tables=false"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        eventually(self.answers, "the engine answers", READY_SECONDS)

    def answers(self) -> bool:
        return self.docker("version", check=False).returncode == 0

    def shut_down(self) -> None:
        if self.engine is not None:
            self.engine.terminate()
            self.engine.wait(timeout=READY_SECONDS)
        # An engine that did not end in order leaves its folder mounted: nobody could remove it.
        if (self.folder / "data").is_mount():
            subprocess.run(["umount", self.folder / "data"], check=True)

    def docker(
        self, *words: str, check: bool = True, given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["docker", "--host", self.socket, *words]
        return subprocess.run(command, input=given, check=check, capture_output=True)

    def hostctl(self, *words: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DOCKER_HOST": self.socket,
            "AIRBYTE_MIGRATION_STATE": str(self.state),
        }
        done = subprocess.run(
            ["bash", host_script.laid(self.folder), *words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def running(self) -> set[str]:
        listed = self.docker("ps", "--format", "{{.Names}}").stdout.decode()
        return set(listed.split())

    def compose_up(self) -> None:
        """Start containers that end at once when they are told to."""
        self.docker("import", "-", "lab-sleep", given=_image())
        for name in (DATABASE, *SERVICES):
            self.docker(
                "run", "-d", "--name", name, "--network", "none", "--restart", "unless-stopped",
                "--stop-signal", "KILL", "lab-sleep", PROGRAM, "100000",
            )  # fmt: skip
        (self.state / "services").mkdir(parents=True)
        (self.state / "services" / "airbyte").write_text(f"containers {' '.join(SERVICES)}\n")


def _image() -> bytes:
    """Return a root folder that holds one program and its libraries."""
    libraries = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout
    files = {PROGRAM, *(word for word in libraries.split() if word.startswith("/"))}
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in sorted(files):
            content = Path(name).read_bytes()
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, BytesIO(content))
    return out.getvalue()


@pytest.fixture
def machine() -> Iterator[Machine]:
    before = BRIDGE.exists()
    # Not pytest's folder: the engine's sockets lie deep below it, and a path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="reboot-") as folder:
        found = Machine(Path(folder))
        try:
            found.boot()
            found.compose_up()
            yield found
            found.docker("rm", "-f", DATABASE, *SERVICES)
        finally:
            found.shut_down()
    assert BRIDGE.exists() or not before


def test_fenced_compose_stays_stopped_over_a_reboot(machine: Machine) -> None:
    assert machine.running() == {DATABASE, *SERVICES}
    machine.hostctl("stop", "airbyte")
    assert json.loads(machine.hostctl("status"))["compose"] == "stopped"
    machine.shut_down()
    machine.boot()
    eventually(lambda: DATABASE in machine.running(), "what was not stopped is back")
    assert machine.running() == {DATABASE}
    machine.hostctl("start", "airbyte")
    assert json.loads(machine.hostctl("status"))["compose"] == "running"
