"""The main job in the lab, once: each stage is a fixture that the next one asks for.

v0 becomes v1, v1 becomes v2 under load, and in v2 each host dies: one deployment for all of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.demo import load, measure
from lab.demo.__main__ import credentials
from lab.demo.follow import following
from tests.integration.main_job.deployment import ROOT, Deployment, empty
from tests.integration.main_job.scene import Scene
from tests.support.fix_lab import Lab

PROGRAM = ("airbyte", "components", "stages")
RATE = 20
FEW = {"connections": 20, "jobs": 500}
WHERE_TO_ASK = ("core-worker-01", "replica")


def lay_out(folder: Path) -> Path:
    """Copy the stack files, which runbooks have changed, and the program; link the rest.

    Whoever edits the program while this runs would else be proposed by the previews.
    """
    for path in ROOT.iterdir():
        if path.name in PROGRAM:
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.name == "__main__.py" or path.name.startswith("Pulumi."):
            shutil.copy(path, folder)
        elif path.name != ".git":
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="package")
def world(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A lab in which nothing is deployed yet."""
    empty(lab)
    return Deployment(lab, folder=lay_out(tmp_path_factory.mktemp("checkout")))


@pytest.fixture(scope="package")
def v0(world: Deployment) -> Deployment:
    """v0 as `pulumi up` left it, with data in prod."""
    world.run("pulumi", "stack", "init", "v0")
    world.up("v0")
    return world


@pytest.fixture(scope="package")
def v1(v0: Deployment) -> Deployment:
    """v1 as promote and `pulumi up` left it."""
    v0.run("stagectl", "promote", "v0", "v1", "--yes")
    v0.up("v1")
    return v0


@pytest.fixture(scope="package")
def held(v1: Deployment) -> Iterator[Scene]:
    """v2 as the runbook's first section leaves it: all is there, prod has not moved."""
    secrets = credentials(v1.lab.env)
    measure.post("/lab/seed", FEW, secrets.prod_basic_auth)
    folder = v1.lab.spec.folder / "load"
    with (
        load.running(rate=RATE, secrets=secrets, folder=folder, env=v1.lab.env) as generator,
        following(generator.target, WHERE_TO_ASK) as follower,
    ):
        scene = Scene(deployment=v1, generator=generator, follower=follower, secrets=secrets)
        scene.follow("cut-over", "Hold")
        yield scene


@pytest.fixture(scope="package")
def scene(held: Scene) -> Scene:
    """v2 as the runbook leaves it after its cut-over; the load has run since v1 and goes on."""
    held.start_connector()
    held.follow("cut-over", "Go")
    return held
