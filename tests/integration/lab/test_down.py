"""`down` removes what one lab made, and nothing else. Tried on a second, small lab."""

import shutil
import socket
from collections.abc import Iterator

import pytest

from lab import docker, lifecycle, machines
from lab.errors import LabError
from lab.spec import HOSTS, IMAGE_LABEL, LabSpec
from tests.support.fix_lab import Lab

BYSTANDER = "lab-down-test-bystander"
"""A container, a network and a volume whose names look like the second lab's, without its label."""


@pytest.fixture
def second(lab: Lab) -> Iterator[LabSpec]:
    """Another lab with one host, beside the one the other tests use."""
    spec = LabSpec(name="lab-down-test", prefix="203.0.113", port_offset=1000, hosts=(HOSTS[1],))
    yield spec
    lifecycle.down(spec)
    docker.attempt("rm", "--volumes", BYSTANDER)
    docker.attempt("network", "rm", BYSTANDER)
    docker.attempt("volume", "rm", BYSTANDER)
    shutil.rmtree(spec.folder)


def of_others() -> set[str]:
    """Ids of the default lab's parts, the bystanders, and every image."""
    ids = {*docker.run("image", "ls", "--no-trunc", "--format", "{{.ID}}").split()}
    for kind in ("container", "network", "volume"):
        form = "{{.Name}}" if kind == "volume" else "{{.ID}}"
        every = ["--all"] if kind == "container" else []
        for selector in ("label=airbyte-migration.lab=lab", f"name={BYSTANDER}"):
            found = docker.run(kind, "ls", *every, "--filter", selector, "--format", form)
            ids |= {f"{kind} {identity}" for identity in found.split()}
    return ids


def test_down_leaves_the_machine_as_it_was(second: LabSpec) -> None:
    image = docker.labelled("image", IMAGE_LABEL)[0]
    docker.run("volume", "create", BYSTANDER)
    docker.run("network", "create", BYSTANDER)
    docker.run("create", "--name", BYSTANDER, "--network", BYSTANDER, image, "true")
    before = of_others()
    lifecycle.up(second, serve=False)
    (second.pulumi_state / "state").write_text("of a lab that will be gone")
    host = second.container(second.hosts[0])
    docker.run("exec", host, "docker", "volume", "create", "of-the-host")
    assert docker.labelled("container", second.label) == sorted(
        [host, f"{second.name}-registry", f"{second.name}-world"]
    )

    removed = lifecycle.down(second)

    assert f"container {host}" in removed
    assert of_others() == before
    for kind in ("container", "network", "volume"):
        assert docker.labelled(kind, second.label) == []
    assert not second.pulumi_state.exists()
    assert second.operator_key.exists()
    assert lifecycle.down(second) == []


def test_a_name_that_is_taken_is_not_touched(second: LabSpec) -> None:
    image = docker.labelled("image", IMAGE_LABEL)[0]
    name = second.container(second.hosts[0])
    docker.run("create", "--name", name, image, "true")
    try:
        with pytest.raises(LabError, match="did not make"):
            lifecycle.up(second, serve=False)
        with pytest.raises(LabError, match="there is no"):
            lifecycle.kill(second, second.hosts[0])
        lifecycle.down(second)
        assert docker.container(name) is not None
    finally:
        docker.run("rm", "--volumes", name)


def test_a_port_in_use_is_waited_for_and_then_named(
    second: LabSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "PORT_DEADLINE", 2.0)
    port = second.loopback_port(second.hosts[0], 22)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(LabError, match=f"{port}: bind: address already in use"):
            lifecycle.up(second, serve=False)
    lifecycle.up(second, serve=False)
    assert docker.inside(second.container(second.hosts[0]), ["true"]).returncode == 0
