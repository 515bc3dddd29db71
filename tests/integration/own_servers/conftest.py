"""An owner with own servers: Airbyte and PostgreSQL run before the program is ever called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.main_job.deployment import empty
from tests.integration.own_servers import airbyte_by_hand, postgres_by_hand, project
from tests.integration.own_servers.project import Project
from tests.support.fix_lab import Lab


@dataclass(frozen=True, kw_only=True)
class Before:
    """The owner's servers before the program was called."""

    containers: dict[str, Any]
    """`docker inspect` of prod's containers."""
    database: dict[str, str]
    """Prod's database server."""
    host: str
    """What is on prod's host."""
    warehouse: dict[str, str]
    """The existing PostgreSQL on core-worker-01."""


@pytest.fixture(scope="package")
def owner(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the project, an Airbyte on prod and a PostgreSQL on core-worker-01."""
    empty(lab)
    try:
        airbyte_by_hand.start(lab)
        postgres_by_hand.start(lab)
        owned = project.make(lab, tmp_path_factory.mktemp("own") / "data-team")
        owned.run("pulumi", "stack", "init", "v0")
        yield owned
    finally:
        empty(lab)


@pytest.fixture(scope="package")
def before(owner: Project) -> Before:
    """How everything was; for comparison with how it is."""
    return Before(
        containers=airbyte_by_hand.containers(owner.lab),
        database=airbyte_by_hand.database_server(owner.lab),
        host=airbyte_by_hand.host_objects(owner.lab),
        warehouse=postgres_by_hand.of_others(owner.lab),
    )


@pytest.fixture(scope="package")
def v0(owner: Project, before: Before) -> Project:
    """v0 as `pulumi up` left it: adopted."""
    del before
    owner.up("v0")
    return owner


@pytest.fixture(scope="package")
def v1(v0: Project) -> Project:
    """v1 as promote and `pulumi up` left it."""
    v0.run("pulumi", "stack", "init", "v1")
    for key, value in project.SECRETS.items():
        v0.seal("v1", key, value)
    v0.run("stagectl", "promote", "v0", "v1", "--yes")
    v0.up("v1")
    return v0
