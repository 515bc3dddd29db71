"""Both copies of prod follow, under load."""

from __future__ import annotations

import pytest

from tests.support.deployment import Deployment


@pytest.fixture
def following(deployment: Deployment) -> Deployment:
    """Agents run, compose writes, both copies follow and are verified."""

    def come() -> None:
        deployment.start_agents()
        deployment.until_following()

    deployment.reach("following", come)
    deployment.start_writers()
    deployment.until_following()
    return deployment
