"""The docker plugin that we build, against a real Docker daemon."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator

import pytest

from lab import system
from tests.integration.engine.conftest import Project

pytestmark = pytest.mark.long

PROGRAM = """
import pulumi
import pulumi_docker as docker

host = docker.Provider("host", host={host!r})
opts = pulumi.ResourceOptions(provider=host)
volume = docker.Volume("volume", name={name!r}, opts=opts)
network = docker.Network("network", name={name!r}, opts=opts)
container = docker.Container(
    "container", name={name!r}, image={name!r}, command=["/nothing", {word!r}],
    must_run=False, start=False, envs=[pulumi.Output.secret("PASSWORD=planted")],
    networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network.name, aliases=["a"])],
    volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path="/data")],
    opts=opts,
)
pulumi.export("container", container.id)
"""


@pytest.fixture
def docker_host() -> str:
    """Address of a Docker daemon that answers; started where none runs."""
    system.ensure()
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    asked = subprocess.run(
        ["docker", "-H", address, "version"], capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, f"no Docker daemon at {address}: {asked.stderr}"
    return address


@pytest.fixture
def name(docker_host: str) -> Iterator[str]:
    """A name of the test's own, under which there is an image with nothing in it."""
    made = f"engine-test-{uuid.uuid4().hex[:8]}"
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    docker = ["docker", "-H", docker_host]
    command = [*docker, "import", "--change", 'CMD ["/nothing"]', "-", made]
    subprocess.run(command, input=empty.getvalue(), check=True, capture_output=True)
    yield made
    subprocess.run([*docker, "rmi", "--force", made], check=True, capture_output=True)


def test_container_network_and_volume_live(project: Project, docker_host: str, name: str) -> None:
    def write(word: str) -> None:
        project.program(PROGRAM.format(host=docker_host, name=name, word=word))

    write("one")
    project.up()
    project.up("--expect-no-changes")
    project.pulumi("refresh", "--yes", "--expect-no-changes")
    state = project.state()
    assert state["volume"]["id"] == name
    assert state["network"]["outputs"]["driver"] == "bridge"
    assert "planted" not in str(state)
    first = project.pulumi("stack", "output", "container")
    write("two")
    project.up()
    assert project.pulumi("stack", "output", "container") != first
    project.pulumi("destroy", "--yes", "--skip-preview")
