"""A dead host, and the real engine: quick, clear, and nothing is forgotten."""

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stages.stagectl.stacks import ASK_NO_HOST
from stages.stagectl.state import Json
from tests.integration.stagectl.toybox import Toy
from tests.support.fix_engine import ROOT, Engine
from tests.support.timeouts import FACTOR

QUICK = 10 * FACTOR
REFRESHED = 90 * FACTOR
"""`pulumi refresh` without the program: the providers' own limits, some resources at a time."""
CONTAINERS = 12

PROGRAM = """
from types import SimpleNamespace

import pulumi
import pulumi_docker as docker

from stages import reachability
from stages.models import HostSettings, Stage

host = SimpleNamespace(settings=HostSettings(address="127.0.0.1", ssh_port={port}))
reachability.check(SimpleNamespace(stage=Stage.V2, hosts={{"prod": host}}))
provider = docker.Provider("prod", host={url!r}, ssh_opts={options!r})
for number in range({containers}):
    opts = pulumi.ResourceOptions(provider=provider)
    docker.Volume(f"volume-{{number}}", name=f"volume-{{number}}", opts=opts)
"""


@dataclass
class SilentHost:
    """Hung: its kernel takes connections, and nobody ever speaks."""

    server: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])

    def asked(self) -> int:
        """How many connections waited since the last question."""
        self.server.setblocking(False)
        count = 0
        with suppress(BlockingIOError):
            while True:
                self.server.accept()[0].close()
                count += 1
        return count


@pytest.fixture
def host() -> Iterator[SilentHost]:
    silent = SilentHost()
    with silent.server:
        yield silent


@pytest.fixture
def toy(pulumi_engine: Engine, tmp_path: Path, host: SilentHost) -> Toy:
    """A deployment made while the host lived: its state, without the host."""
    folder, backend = tmp_path / "toy", tmp_path / "backend"
    folder.mkdir()
    backend.mkdir()
    options = ["-o", "ConnectTimeout=5", "-o", "BatchMode=yes"]
    url = f"ssh://root@127.0.0.1:{host.port}"
    (folder / "Pulumi.yaml").write_text("name: toy\nruntime: python\n")
    (folder / "__main__.py").write_text(
        PROGRAM.format(port=host.port, url=url, options=options, containers=CONTAINERS)
    )
    environment = {**pulumi_engine.environment(backend, "passphrase"), "PYTHONPATH": str(ROOT)}
    toy = Toy(folder, environment)
    toy.pulumi("stack", "init", "v2")
    state = tmp_path / "state.json"
    state.write_text(
        json.dumps(deployed({"host": url, "sshOpts": json.dumps(options, separators=(",", ":"))}))
    )
    toy.pulumi("stack", "import", "--stack", "v2", "--file", str(state))
    return toy


def deployed(provider: Json) -> Json:
    """What `pulumi up` of the program had written."""
    urn, ident = "urn:pulumi:v2::toy::", "11111111-1111-4111-8111-111111111111"
    stack = {"urn": f"{urn}pulumi:pulumi:Stack::toy-v2", "type": "pulumi:pulumi:Stack"}
    root = {"parent": stack["urn"], "custom": True}
    way = {"urn": f"{urn}pulumi:providers:docker::prod", "type": "pulumi:providers:docker"}
    values = {**provider, "version": "5.2.0"}
    resources: list[Json] = [stack, {**way, **root, "id": ident, "inputs": values}]
    resources[-1]["outputs"] = values
    for number in range(CONTAINERS):
        kind, name = "docker:index/volume:Volume", f"volume-{number}"
        held = {"name": name}
        volume = {"urn": f"{urn}{kind}::{name}", "type": kind, "id": name, "inputs": held, **root}
        resources.append({**volume, "outputs": held, "provider": f"{way['urn']}::{ident}"})
    version = "v3.252.0"
    magic = hashlib.sha256(version.encode()).hexdigest()
    manifest = {"time": "2026-01-01T00:00:00Z", "magic": magic, "version": version}
    return {"version": 3, "deployment": {"manifest": manifest, "resources": resources}}


@pytest.mark.parametrize(
    "command", ["preview", "up --yes --skip-preview", "refresh --yes --run-program"]
)
def test_one_clear_statement_within_seconds(toy: Toy, command: str) -> None:
    before, began = toy.state("v2"), time.monotonic()
    said = toy.pulumi(*command.split(), "--stack", "v2", fails=True)
    assert time.monotonic() - began < QUICK
    assert "1 host does not answer within 3 s; nothing was proposed and nothing was changed" in said
    assert "db-migration failover --dry-run" in said
    assert "_ping" not in said, "no provider has dialled"
    assert toy.state("v2").held == before.held


def test_refresh_without_the_program_forgets_nothing(toy: Toy) -> None:
    before, began = toy.state("v2"), time.monotonic()
    said = toy.pulumi("refresh", "--yes", "--skip-preview", "--stack", "v2", fails=True)
    assert time.monotonic() - began < REFRESHED
    assert "timed out during banner exchange" in said
    assert toy.state("v2").keys == before.keys


def test_a_preview_on_a_copy_needs_no_host(toy: Toy, host: SilentHost) -> None:
    host.asked()
    quiet = Toy(toy.folder, {**toy.environment, ASK_NO_HOST: "true"})
    quiet.pulumi("preview", "--stack", "v2", "--refresh=false", "--expect-no-changes")
    assert host.asked() == 0
    toy.pulumi("preview", "--stack", "v2", fails=True)
    assert host.asked() == 1
