"""Lists the plugins that give every test its fixtures, and keeps tests from hearing each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = [
    "tests.support.fix_engine",
    "tests.support.fix_lab",
    "tests.support.fix_postgres",
    "tests.support.order",
]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command line run in a test leaves a logger whose stderr is closed: agents die of it."""
    yield
    structlog.reset_defaults()
    threading.excepthook = threading.__excepthook__
