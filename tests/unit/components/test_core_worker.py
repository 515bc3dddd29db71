"""core-worker-01: a server of ours or an existing one, its roles, databases and grants."""

import json

import pytest

from components import ServerKind
from components.postgres_server import HbaRule, pg_hba, server_command
from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.components import hosts


def declare(kind: ServerKind) -> Recorder:
    return mocks.declare(lambda: hosts.core_worker(hosts.host("core-worker-01", 3), kind))


@pytest.fixture(scope="module")
def ours() -> Recorder:
    return declare(ServerKind.CONTAINER)


@pytest.fixture(scope="module")
def existing() -> Recorder:
    return declare(ServerKind.EXISTING)


@pytest.fixture(params=["ours", "existing"])
def either(request: pytest.FixtureRequest) -> Recorder:
    recorded = request.getfixturevalue(request.param)
    assert isinstance(recorded, Recorder)
    return recorded


def test_an_existing_server_gets_roles_and_databases_and_nothing_else(existing: Recorder) -> None:
    assert existing.of("Container", "Volume", "Network", "RemoteImage") == []
    commands = {command.name for command in existing.of("Command")}
    assert commands == {"core-worker-01-hostctl"}


def test_databases_and_their_owners(either: Recorder) -> None:
    assert {r.inputs["name"]: r.inputs["owner"] for r in either.of("Database")} == {
        "airbyte_mirror": "airbyte_migration",
        "airbyte_migration": "airbyte_migration",
        "airbyte": "airbyte",
        "temporal": "airbyte",
        "temporal_visibility": "airbyte",
    }


def test_no_role_of_ours_is_a_superuser(either: Recorder) -> None:
    airbyte = either.named("core-worker-01-role-airbyte")
    migration = either.named("core-worker-01-role-airbyte_migration")
    assert sorted(migration.inputs["roles"]) == ["airbyte", "pg_create_subscription"]
    assert migration.inputs["createDatabase"] is True
    for role in (airbyte, migration):
        assert "superuser" not in role.inputs
        assert role.inputs["login"] is True
        assert role.sealed["password"] == "[secret]"
    assert "roles" not in airbyte.inputs


def test_the_mirror_is_closed_for_airbyte(either: Recorder) -> None:
    grants = {grant.inputs["database"]: grant.inputs for grant in either.of("Grant")}
    assert set(grants) == {"airbyte_mirror", "airbyte_migration", "airbyte"}
    for grant in grants.values():
        assert (grant["role"], grant["objectType"]) == ("public", "database")
        assert grant.get("privileges", []) == []


def test_a_fence_and_a_promotion_are_not_undone(either: Recorder) -> None:
    for role in either.of("Role"):
        assert {"login", "connectionLimit"} <= set(role.ignore_changes)
    for database in either.of("Database"):
        assert {"allowConnections", "connectionLimit", "owner"} <= set(database.ignore_changes)


def test_data_and_what_owns_it_outlives_a_destroy(either: Recorder) -> None:
    for resource in either.of("Database", "Role", "Volume"):
        assert resource.protect, resource.name
        assert resource.retain_on_delete, resource.name
    for resource in either.of("Container", "Grant"):
        assert not resource.protect, resource.name


def test_the_provider_is_explicit_and_speaks_tls(either: Recorder) -> None:
    provider = either.named("core-worker-01-postgresql")
    assert provider.inputs["sslmode"] == "require"
    assert (provider.inputs["host"], str(provider.inputs["port"])) == ("127.0.0.1", "25432")
    assert provider.sealed["password"] == "[secret]"
    for resource in either.of("Database", "Role", "Grant"):
        assert resource.provider.startswith(provider.urn)


def test_roles_wait_for_a_server_that_accepts(ours: Recorder) -> None:
    container = ours.named("core-worker-01-postgres-container")
    assert container.inputs["wait"] is True
    assert container.urn in ours.named("core-worker-01-postgresql").dependencies
    assert ours.named("core-worker-01-postgres-tls").urn in container.dependencies


def test_the_server_keeps_its_password_out_of_inspect_and_state(ours: Recorder) -> None:
    container = ours.named("core-worker-01-postgres-container")
    assert "planted-admin" not in json.dumps(container.inputs["envs"])
    assert "planted-admin" not in json.dumps(container.sealed)
    uploads = {upload["file"]: upload for upload in container.inputs["uploads"]}
    assert uploads["/run/admin-password"]["content"] == "planted-admin"
    assert "/etc/pg_hba.conf" in uploads


def test_pg_hba_lets_named_roles_in_over_tls_alone() -> None:
    lines = pg_hba("postgres", (HbaRule(role="airbyte", databases=("airbyte", "temporal")),))
    assert lines.splitlines() == [
        "local all all trust",
        "hostssl all postgres all scram-sha-256",
        "hostssl airbyte,temporal airbyte all scram-sha-256",
    ]


def test_the_real_pg_hba_keeps_airbyte_off_the_mirror(ours: Recorder) -> None:
    uploads = ours.named("core-worker-01-postgres-container").inputs["uploads"]
    (hba,) = [upload["content"] for upload in uploads if upload["file"] == "/etc/pg_hba.conf"]
    (line,) = [line for line in hba.splitlines() if " airbyte all" in line]
    assert "airbyte_mirror" not in line.split()[1].split(",")
    assert not [text for text in hba.splitlines() if text.startswith(("host ", "hostnossl"))]


def test_the_server_runs_with_tls_and_keeps_statements_out_of_its_log() -> None:
    command = " ".join(server_command())
    for setting in ("ssl=on", "password_encryption=scram-sha-256", "log_min_error_statement=panic"):
        assert f"-c {setting}" in command
