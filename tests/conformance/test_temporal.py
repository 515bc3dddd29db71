"""Temporal's store."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.conformance.harness import Airbyte, call

pytestmark = pytest.mark.usefixtures("without_temporal")
ROLE = "conformance_temporal"


@pytest.fixture
def role(compose: Airbyte) -> Iterator[str]:
    compose.sql(f"DROP ROLE IF EXISTS {ROLE}")
    compose.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'geheim'")
    yield ROLE
    compose.stop()
    for name in ("temporal", "temporal_visibility"):
        compose.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    compose.sql(f"DROP ROLE {ROLE}")


def test_makes_its_two_databases(compose: Airbyte) -> None:
    """3.2: auto-setup creates temporal and temporal_visibility and registers `default`."""
    temporal = compose.temporal(DB="postgres12")
    names = compose.sql("SELECT datname FROM pg_database WHERE datname LIKE 'temporal%'")
    assert {row["datname"] for row in names} == {"temporal", "temporal_visibility"}
    assert call(f"{temporal.url}/namespaces/default")["name"] == "default"
    with psycopg.connect(compose.postgres.dsn("temporal_visibility")) as connection:
        found = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'btree_gin'")
        assert found.fetchone()


def test_needs_createdb_or_both_databases(compose: Airbyte, role: str) -> None:
    """3.2: without CREATEDB the two databases must be there already."""
    credentials = {"POSTGRES_USER": role, "POSTGRES_PWD": "geheim", "DB": "postgres12"}
    refused = compose.start("temporal", **credentials)
    assert refused.ended() == 1
    assert "cannot be created" in refused.text()
    for name in ("temporal", "temporal_visibility"):
        compose.sql(f"CREATE DATABASE {name} OWNER {role}")
    compose.temporal(**credentials)


def test_tls_wanted_and_not_offered(compose: Airbyte) -> None:
    """3.2: SQL_TLS_ENABLED=true against a server without TLS fails."""
    process = compose.start("temporal", SQL_TLS_ENABLED="true")
    assert process.ended() == 1
    assert "SSL" in process.text()


def test_unknown_plugin(compose: Airbyte) -> None:
    """3.2: plugins are postgresql (v96) and postgres12 (v12)."""
    assert compose.start("temporal", DB="mysql8").ended() == 1
