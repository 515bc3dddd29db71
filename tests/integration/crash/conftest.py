"""v2 under load, ready to lose a host: one deployment for all deaths, which follow one another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.demo import load, measure
from lab.demo.__main__ import credentials
from lab.demo.follow import following
from tests.integration.crash.scene import Scene
from tests.integration.main_job.conftest import Deployment, v0, v1, world

__all__ = ["v0", "v1", "world"]

RATE = 20
FEW = {"connections": 20, "jobs": 500}
WHERE_TO_ASK = ("core-worker-01", "replica")


@pytest.fixture(scope="package")
def scene(v1: Deployment) -> Iterator[Scene]:
    """v2 as `pulumi up` left it after its cut-over; the load has run since v1 and goes on."""
    secrets = credentials(v1.lab.env)
    measure.post("/lab/seed", FEW, secrets.prod_basic_auth)
    folder = v1.lab.spec.folder / "load"
    with (
        load.running(rate=RATE, secrets=secrets, folder=folder, env=v1.lab.env) as generator,
        following(generator.target, WHERE_TO_ASK) as follower,
    ):
        v1.run("stagectl", "promote", "v1", "v2", "--yes")
        v1.up("v2")
        yield Scene(deployment=v1, generator=generator, follower=follower, secrets=secrets)
