"""pytest plugin: which tests stay together in one worker of pytest-xdist, and which start first.

CI tries `long` tests while there is time: a machine may be half as quick as the last one, and what
is cut off in the middle proves nothing.

The lab is one set of hosts: whatever uses it runs in one worker, in the order of collection. It is
also the longest part, so it starts first. A package of scenarios shares servers; anything else may
go anywhere, file by file.

xdist's own groups (`--dist loadgroup`) travel in node ids, which pytest 9.2 does not let it change.
"""

from __future__ import annotations

import os
import time
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from xdist.remote import Producer  # type: ignore[import-untyped]

LAB = "lab"
INTEGRATION = PurePath("tests/integration")
WITHOUT_LAB = tuple(INTEGRATION / folder for folder in ("engine", "docs", "stagectl"))
SCENARIOS = PurePath("tests/scenarios")
LONG_UNTIL = "TEST_LONG_UNTIL"
"""Epoch's second after which no `long` test is begun."""


def group(path: PurePath) -> str:
    """Name what the tests of the file `path` (from the checkout's root) stay together with."""
    if path.is_relative_to(INTEGRATION) and not any(map(path.is_relative_to, WITHOUT_LAB)):
        return LAB
    return str(path.parent if path.is_relative_to(SCENARIOS) else path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the lab's tests in front; refuse one that uses the lab from elsewhere."""
    groups = {item: group(item.path.relative_to(config.rootpath)) for item in items}
    for item in items:
        if LAB in getattr(item, "fixturenames", ()) and groups[item] != LAB:
            msg = f"{item.nodeid} uses the lab beside its other tests: see {__name__}"
            raise pytest.UsageError(msg)
    items.sort(key=lambda item: groups[item] != LAB)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a `long` test that CI has no time for."""
    until = os.environ.get(LONG_UNTIL)
    if until and time.time() > float(until) and item.get_closest_marker("long"):
        pytest.skip("no time left on this machine: make test-long")


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group(PurePath(nodeid.partition("::")[0]))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Have xdist use the groups of this module."""
    return Scheduling(config, log)
