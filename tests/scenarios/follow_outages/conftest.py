from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.follow_outages.seen import through
from tests.support.scenario import Scenario
from tests.support.tunnel import Tunnel


@pytest.fixture
def tunnel(scenario: Scenario) -> Iterator[Tunnel]:
    """Lead the agent and the subscriber through a tunnel that can be cut."""
    found = Tunnel(scenario.source.port)
    through(scenario, found)
    yield found
    found.close()
