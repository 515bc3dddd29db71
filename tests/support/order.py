"""pytest plugin: which tests stay together in one worker of pytest-xdist, and which start first.

The lab is one set of hosts: whatever uses it runs in one worker, in the order of collection. It is
also the longest part, so it starts first. A package of scenarios shares servers; anything else may
go anywhere, file by file.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection

LAB = "lab"


def group(path: PurePath, fixtures: Collection[str]) -> str:
    """Name what a test of the file `path` (from the checkout's root) stays together with."""
    if LAB in fixtures:
        return LAB
    return str(path.parent if "scenarios" in path.parts else path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test with its group, and put the lab's in front."""
    groups: dict[pytest.Item, str] = {}
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        groups[item] = group(item.path.relative_to(config.rootpath), fixtures)
        item.add_marker(pytest.mark.xdist_group(groups[item]))
    items.sort(key=lambda item: groups[item] != LAB)
