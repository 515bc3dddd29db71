"""Runs of the real program with the committed stack files, each made once a module."""

from collections.abc import Iterator
from functools import cache

import pytest

from tests.support.mocks import Recorder, Registered
from tests.unit.stages import stack_files


@pytest.fixture(autouse=True, scope="module")
def lab_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    stack_files.lay_lab_files(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.delenv("DOCKER_HOST", raising=False)
        yield
    run.cache_clear()


@cache
def run(stack: str, *, preview: bool = False) -> Recorder:
    return stack_files.run_program(stack_files.stack_file(stack), preview=preview)


def awaited(recorded: Recorder, resource: Registered) -> set[str]:
    """Return the URNs that must be done before `resource`, and its own."""
    by_urn = {r.urn: r for r in recorded.resources}
    found: set[str] = set()
    rest = [resource.urn]
    while rest:
        urn = rest.pop()
        if urn in by_urn and urn not in found:
            found.add(urn)
            r = by_urn[urn]
            rest += [r.parent, r.provider.rpartition("::")[0], *r.dependencies]
    return found
