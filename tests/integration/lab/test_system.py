"""What is missing and can not be had is named in one error, before anything is started."""

import os
import shutil
from collections.abc import Callable, Collection

import pytest

from lab import docker, system
from lab.errors import LabError

Machine = Callable[..., list[list[str]]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine as told; returns the list of what the lab did to it."""

    def make(
        *, has: Collection[str], engine: bool, root: bool, base_image: bool = True
    ) -> list[list[str]]:
        done: list[list[str]] = []
        monkeypatch.setattr(
            shutil, "which", lambda name, **_: f"/bin/{name}" if name in has else None
        )
        monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
        monkeypatch.setattr(docker, "answers", lambda: engine)
        monkeypatch.setattr(docker, "labelled", lambda *_: ["image"] if base_image else [])
        monkeypatch.setattr(system, "_install", done.append)
        monkeypatch.setattr(system, "_start_engine", lambda: done.append(["dockerd"]))
        return done

    return make


EVERYTHING = {*system.PACKAGES, "apt-get"}


def test_a_machine_that_has_all_is_left_alone(machine: Machine) -> None:
    done = machine(has=EVERYTHING - {"dockerd", "iptables"}, engine=True, root=False)
    system.ensure()
    assert done == []


def test_a_fresh_machine_gets_packages_and_an_engine(machine: Machine) -> None:
    done = machine(has={"apt-get", "npm", "ssh", "ssh-keygen"}, engine=False, root=True)
    system.ensure()
    assert done == [["debootstrap", "docker.io", "iptables"], ["dockerd"]]


def test_an_engine_that_is_down_is_started(machine: Machine) -> None:
    done = machine(has=EVERYTHING, engine=False, root=True)
    system.ensure()
    assert done == [["dockerd"]]


@pytest.mark.parametrize(
    ("has", "root", "engine", "named"),
    [
        ({"npm"}, False, False, ["docker", "debootstrap", "ssh-keygen", "not root", "docker.io"]),
        ({"docker", "npm"}, True, False, ["debootstrap", "no apt-get", "dockerd"]),
        (EVERYTHING, False, False, ["no Docker engine answers", "docker.io"]),
    ],
)
def test_one_error_names_everything(
    machine: Machine, has: set[str], root: bool, engine: bool, named: list[str]
) -> None:
    done = machine(has=has, engine=engine, root=root)
    with pytest.raises(LabError) as caught:
        system.ensure()
    for word in named:
        assert word in str(caught.value)
    assert done == []


def test_only_root_can_bootstrap_the_base_image(machine: Machine) -> None:
    machine(has=EVERYTHING, engine=True, root=False, base_image=False)
    with pytest.raises(LabError, match="only root can bootstrap"):
        system.ensure()


def test_an_engine_of_somebody_else_is_not_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: "os.PathLike[str]"
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert system.stop_engine() is False
    file = system.dockerd_pid_file()
    file.parent.mkdir(parents=True)
    file.write_text(f"{os.getpid()}\n")
    assert system.stop_engine() is False
    assert not file.exists()
