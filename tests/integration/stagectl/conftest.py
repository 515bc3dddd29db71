"""The toy deployment, made once and put back for each test: to make it takes a dozen commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.stagectl.toybox import Toy, make_toy
from tests.support.fix_engine import Engine


@pytest.fixture(scope="session")
def made(pulumi_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Toy, Path]:
    """Make the toy, and a copy of its folder as it was then."""
    toy = make_toy(pulumi_engine, tmp_path_factory.mktemp("toy"))
    kept = tmp_path_factory.mktemp("kept") / "toy"
    return toy, shutil.copytree(toy.root, kept)


@pytest.fixture
def toy(made: tuple[Toy, Path]) -> Toy:
    toy, kept = made
    shutil.rmtree(toy.root)
    shutil.copytree(kept, toy.root)
    return toy
