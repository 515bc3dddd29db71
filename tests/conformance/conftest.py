"""Fixtures: one Airbyte stand-in per test, on a database of its own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from tests.conformance.abctl_host import Host
from tests.conformance.harness import Airbyte, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BOOTED = "conformance_booted"
TEMPORAL = ("temporal", "temporal_visibility")


def admin(postgres: PostgresServer, statement: sql.Composed) -> None:
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute(statement)


def drop(postgres: PostgresServer, *databases: str) -> None:
    for name in databases:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        admin(postgres, statement.format(sql.Identifier(name)))


def forget_workflows(postgres: PostgresServer) -> None:
    """Empty Temporal's store: cheaper than making its two databases for each test."""
    try:
        with psycopg.connect(postgres.dsn("temporal"), autocommit=True) as connection:
            connection.execute("DELETE FROM current_executions")
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return


@pytest.fixture
def without_temporal(pg13: PostgresServer) -> Iterator[None]:
    """A server on which Temporal has never been."""
    drop(pg13, *TEMPORAL)
    yield
    drop(pg13, *TEMPORAL)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[int, PostgresServer]]:
    """Servers that a module's tests used, left without Temporal's databases."""
    used: dict[int, PostgresServer] = {}
    yield used
    for postgres in used.values():
        drop(postgres, *TEMPORAL)


@pytest.fixture
def make_airbyte(
    tmp_path: Path, servers: dict[int, PostgresServer]
) -> Iterator[Callable[..., Airbyte]]:
    made: list[Airbyte] = []

    def make(postgres: PostgresServer, template: str = "template1") -> Airbyte:
        servers[postgres.port] = postgres
        name = f"conformance_{uuid.uuid4().hex[:12]}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        admin(postgres, statement.format(sql.Identifier(name), sql.Identifier(template)))
        airbyte = Airbyte(postgres, name, tmp_path)
        made.append(airbyte)
        return airbyte

    yield make
    for airbyte in made:
        airbyte.stop()
        drop(airbyte.postgres, airbyte.database)
        forget_workflows(airbyte.postgres)


@pytest.fixture(scope="module")
def booted_template(
    pg13: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A database after one run of 0.63.15's bootloader, to be copied."""
    admin(pg13, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(BOOTED)))
    process = Airbyte(pg13, BOOTED, tmp_path_factory.mktemp("booted")).boot()
    assert process.popen.returncode == 0, process.text()
    yield BOOTED
    drop(pg13, BOOTED)


@pytest.fixture
def booted(
    make_airbyte: Callable[..., Airbyte], pg13: PostgresServer, booted_template: str
) -> Airbyte:
    """Compose-shaped, and the bootloader has run."""
    return make_airbyte(pg13, booted_template)


@pytest.fixture
def compose(make_airbyte: Callable[[PostgresServer], Airbyte], pg13: PostgresServer) -> Airbyte:
    """Compose-shaped: PostgreSQL 13, version 0.63.15."""
    return make_airbyte(pg13)


@pytest.fixture
def host(
    make_airbyte: Callable[..., Airbyte], pg17: PostgresServer, tmp_path: Path
) -> Iterator[Host]:
    """A host whose abctl node is a local process, uninstalled in the end."""
    home = tmp_path / "home"
    home.mkdir()
    host = Host(make_airbyte(pg17), home)
    yield host
    host.abctl("uninstall")
