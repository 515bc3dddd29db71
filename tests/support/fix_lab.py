"""The lab for integration tests: brought up once a session, left running."""

import json
import os
import shlex
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from lab import environment, keys, lifecycle, registry
from lab.spec import LabSpec, Machine
from tests.support import fix_engine

COMMAND_DEADLINE = 120.0


@dataclass(frozen=True, kw_only=True)
class Lab:
    """What a test may do with the lab."""

    spec: LabSpec
    images: Mapping[str, str]
    """Image key -> reference by digest."""

    @property
    def hosts(self) -> dict[str, Machine]:
        """Every host by its name."""
        return {host.name: host for host in self.spec.hosts}

    @property
    def env(self) -> dict[str, str]:
        """Environment for pulumi and stagectl: the process's own with what `lab env` prints."""
        return {**os.environ, **_variables(self.spec)}

    def ssh(
        self, host: str, command: str, *, check: bool = True, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell line on `host` as root."""
        done = subprocess.run(
            [*keys.ssh_command(self.spec, self.hosts[host]), command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"{host}: `{command}` ended with {done.returncode}:\n{done.stderr}")
        return done

    def docker(self, host: str, *arguments: str) -> str:
        """`docker …` on `host`; its stdout."""
        return self.ssh(host, shlex.join(["docker", *arguments])).stdout.strip()

    def inspect(self, host: str, container: str) -> dict[str, Any] | None:
        """`docker inspect` of a container on `host`, or nothing when it does not exist."""
        done = self.ssh(host, f"docker container inspect {shlex.quote(container)}", check=False)
        return json.loads(done.stdout)[0] if done.returncode == 0 else None

    def port(self, host: str, inside: int) -> int:
        """Port on this machine's loopback that leads to port `inside` of `host`."""
        return self.spec.loopback_port(self.hosts[host], inside)

    def get(self, host: str, inside: int, path: str) -> bytes:
        """HTTP GET on a published port of `host`."""
        url = f"http://127.0.0.1:{self.port(host, inside)}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bytes(answer.read())

    def kill(self, host: str) -> None:
        """Pull the plug."""
        lifecycle.kill(self.spec, self.hosts[host])

    def cut(self, host: str) -> None:
        """Partition `host` from everything."""
        lifecycle.cut(self.spec, self.hosts[host])

    def heal(self, host: str) -> None:
        """Undo `kill` or `cut`, and wait for sshd and dockerd."""
        lifecycle.heal(self.spec, self.hosts[host])


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The lab, up; it is not taken down, so that the next run (and a person) finds it."""
    spec = LabSpec()
    lifecycle.up(spec)
    return Lab(spec=spec, images=registry.known_images(spec))


@cache
def _variables(spec: LabSpec) -> dict[str, str]:
    fix_engine.ready()
    return environment.variables(spec)
