"""No secret of the stack file is anywhere in clear, but where a process needs it to work."""

from __future__ import annotations

import re

from tests.integration.main_job.deployment import Deployment
from tests.integration.main_job.planted import (
    FIRST_START,
    KEPT,
    journals,
    places,
    planted,
)
from tests.support.secrets_search import Place, search

HOSTS = ("prod", "replica", "core-worker-01")


def test_no_secret_is_found_in_clear(v1: Deployment) -> None:
    where = [*places(v1, "v1", HOSTS), *journals(v1, "core-worker-01")]
    found = search(where, planted(v1, "v1"), [*KEPT, FIRST_START])
    assert not found.hits, str(found)
    assert not found.unused, str(found)


def test_the_search_finds_what_is_there(v1: Deployment) -> None:
    secrets = planted(v1, "v1")
    leak = [Place("printed:leak", f"password={secrets['migrationPassword']}".encode())]
    assert [hit.secret for hit in search(leak, secrets).hits] == ["migrationPassword"]


def test_outputs_hold_no_secret_even_marked(v1: Deployment) -> None:
    outputs = v1.outputs("v1")
    assert not re.search(r"\[secret\]", str(outputs))
