"""A database server: ours or an existing one, its roles, databases, grants; each like the other."""

import json

import pytest

from components import ServerKind
from components.postgres_server import HbaRule, pg_hba, server_command
from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.components import hosts

INSTANCES = ("airbyte_prod", "airbyte_replica")
PORTS = {"core-worker-01": "25432", "intermediary": "35432"}


def declare(kind: ServerKind) -> Recorder:
    return mocks.declare(lambda: hosts.core_worker(hosts.host("core-worker-01", 3), kind))


@pytest.fixture(scope="module")
def ours() -> Recorder:
    return declare(ServerKind.CONTAINER)


@pytest.fixture(scope="module")
def existing() -> Recorder:
    return declare(ServerKind.EXISTING)


@pytest.fixture(scope="module")
def intermediary() -> Recorder:
    return mocks.declare(lambda: hosts.intermediary(hosts.host("intermediary", 4)))


@pytest.fixture(params=["ours", "existing", "intermediary"])
def each(request: pytest.FixtureRequest) -> Recorder:
    recorded = request.getfixturevalue(request.param)
    assert isinstance(recorded, Recorder)
    return recorded


def test_an_existing_server_gets_roles_and_databases_and_nothing_else(existing: Recorder) -> None:
    assert existing.of("Container", "Volume", "Network", "RemoteImage") == []
    commands = {command.name for command in existing.of("Command")}
    assert commands == {"core-worker-01-hostctl"}


def test_either_can_take_the_others_place(ours: Recorder, intermediary: Recorder) -> None:
    """Same resources with the same inputs, but for their names and where they are."""
    kinds = ("Role", "Database", "Grant", "Volume", "Network", "RemoteImage")

    def of(recorded: Recorder, name: str) -> dict[str, str]:
        return {
            resource.name.removeprefix(f"{name}-"): json.dumps(resource.inputs).replace(name, "")
            for resource in recorded.of(*kinds)
        }

    assert of(ours, "core-worker-01") == of(intermediary, "intermediary")
    (mine,), (theirs,) = ours.of("Container"), intermediary.of("Container")
    for key in ("command", "envs", "uploads", "ports"):
        assert mine.inputs[key] == theirs.inputs[key], key


def test_databases_and_their_owners(each: Recorder) -> None:
    assert {r.inputs["name"]: r.inputs["owner"] for r in each.of("Database")} == {
        "airbyte_mirror": "airbyte_migration",
        "airbyte_migration": "airbyte_migration",
        "airbyte": "airbyte",
        "temporal": "airbyte",
        "temporal_visibility": "airbyte",
    }


def test_no_role_of_ours_is_a_superuser(each: Recorder) -> None:
    roles = {role.inputs["name"]: role for role in each.of("Role")}
    assert set(roles) == {"airbyte", *INSTANCES, "airbyte_migration"}
    for role in roles.values():
        assert "superuser" not in role.inputs
        assert role.inputs["login"] is True
        assert role.sealed["password"] == "[secret]"
    assert "roles" not in roles["airbyte"].inputs


def test_the_migration_role_feeds_promotes_and_ends_sessions(each: Recorder) -> None:
    (role,) = [r for r in each.of("Role") if r.inputs["name"] == "airbyte_migration"]
    memberships = ["airbyte", "airbyte_prod", "airbyte_replica", "pg_create_subscription"]
    assert sorted(role.inputs["roles"]) == memberships
    assert role.inputs["createDatabase"] is True
    assert role.inputs["replication"] is True


@pytest.mark.parametrize("name", INSTANCES)
def test_an_instance_acts_as_the_owner_and_inherits_nothing(each: Recorder, name: str) -> None:
    """With the owner's rights its login could connect whatever the database is told."""
    (role,) = [r for r in each.of("Role") if r.inputs["name"] == name]
    assert role.inputs["roles"] == ["airbyte"]
    assert role.inputs["assumeRole"] == "airbyte"
    assert role.inputs["inherit"] is False
    owner, migration = (
        next(r for r in each.of("Role") if r.inputs["name"] == other)
        for other in ("airbyte", "airbyte_migration")
    )
    assert owner.urn in role.dependencies
    assert role.urn in migration.dependencies


def test_every_database_is_closed_and_nobody_is_let_in(each: Recorder) -> None:
    """Who may connect changes with the epoch: it is not Pulumi's to say."""
    grants = {grant.inputs["database"]: grant.inputs for grant in each.of("Grant")}
    assert set(grants) == {database.inputs["name"] for database in each.of("Database")}
    for grant in grants.values():
        assert (grant["role"], grant["objectType"]) == ("public", "database")
        assert grant.get("privileges", []) == []


def test_a_fence_and_a_promotion_are_not_undone(each: Recorder) -> None:
    for role in each.of("Role"):
        assert {"login", "connectionLimit"} <= set(role.ignore_changes)
    for database in each.of("Database"):
        assert {"allowConnections", "connectionLimit", "owner"} <= set(database.ignore_changes)


def test_data_and_what_owns_it_outlives_a_destroy(each: Recorder) -> None:
    for resource in each.of("Database", "Role", "Volume"):
        assert resource.protect, resource.name
        assert resource.retain_on_delete, resource.name
    for resource in each.of("Container", "Grant"):
        assert not resource.protect, resource.name


def test_the_provider_is_explicit_and_speaks_tls(each: Recorder) -> None:
    (provider,) = each.of("postgresql")
    assert provider.inputs["sslmode"] == "require"
    port = PORTS[provider.name.removesuffix("-postgresql")]
    assert (provider.inputs["host"], str(provider.inputs["port"])) == ("127.0.0.1", port)
    assert provider.sealed["password"] == "[secret]"
    for resource in each.of("Database", "Role", "Grant"):
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
    lines = pg_hba("postgres", (HbaRule(role="somebody", databases=("airbyte", "temporal")),))
    assert lines.splitlines() == [
        "local all all trust",
        "hostssl all postgres all scram-sha-256",
        "hostssl airbyte,temporal somebody all scram-sha-256",
    ]


def test_the_real_pg_hba_keeps_every_airbyte_off_the_mirror(ours: Recorder) -> None:
    uploads = ours.named("core-worker-01-postgres-container").inputs["uploads"]
    (hba,) = [upload["content"] for upload in uploads if upload["file"] == "/etc/pg_hba.conf"]
    lines = [line.split() for line in hba.splitlines()]
    may = {words[2]: words[1].split(",") for words in lines if words[0] == "hostssl"}
    assert set(may) == {"postgres", *INSTANCES, "airbyte_migration"}, "the owner never logs in"
    for name in INSTANCES:
        assert may[name] == ["airbyte", "temporal", "temporal_visibility", "postgres"]
    assert may["airbyte_migration"] == ["all"]
    assert {words[0] for words in lines} == {"local", "hostssl"}


def test_the_server_runs_with_tls_and_keeps_statements_out_of_its_log() -> None:
    command = " ".join(server_command())
    for setting in ("ssl=on", "password_encryption=scram-sha-256", "log_min_error_statement=panic"):
        assert f"-c {setting}" in command


def test_the_server_can_be_a_source_that_no_lost_reader_fills() -> None:
    command = " ".join(server_command())
    for setting in ("wal_level=logical", "max_slot_wal_keep_size=8GB"):
        assert f"-c {setting}" in command
