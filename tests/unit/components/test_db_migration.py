"""The DB Migration Script as a service: path, keys, configuration, secrets, waiting."""

import json
from typing import Any

import pytest

from airbyte import compose
from components import DbMigration, DbMigrationArgs, FeedArgs, ServerKind
from db_migration.config import Config
from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.components import hosts

OWNER, MIGRATION = "planted-owner", "planted-migration"


def declare(kind: ServerKind, *, reader: bool = True) -> Recorder:
    def build() -> None:
        target = hosts.host("core-worker-01", 3)
        DbMigration(
            "db-migration",
            DbMigrationArgs(
                deployment="lab",
                feed=FeedArgs(
                    name="prod-to-core-worker-01",
                    source="prod",
                    target="core-worker-01",
                    mode="auto",
                    allow_source_restart=True,
                    refresh_hours=24,
                    verify_every_seconds=300,
                    ready_seconds=900,
                ),
                image=hosts.IMAGE,
                source=hosts.host("prod", 1),
                source_network="mine_airbyte_internal",
                source_containers=compose.STOP_ORDER,
                target=target,
                core_worker=hosts.core_worker(target, kind),
                reader=hosts.host("replica", 2) if reader else None,
                source_owner_password=hosts.secret(OWNER),
                migration_password=hosts.secret(MIGRATION),
            ),
        )

    return mocks.declare(build)


@pytest.fixture(scope="module")
def ours() -> Recorder:
    return declare(ServerKind.CONTAINER)


@pytest.fixture(scope="module")
def existing() -> Recorder:
    return declare(ServerKind.EXISTING)


def uploads(recorded: Recorder) -> dict[str, dict[str, Any]]:
    agent = recorded.named("db-migration-agent")
    return {upload["file"]: upload for upload in agent.inputs["uploads"]}


def config(recorded: Recorder) -> dict[str, Any]:
    document = json.loads(uploads(recorded)["/etc/db-migration/config.json"]["content"])
    assert isinstance(document, dict)
    return document


def test_the_database_reaches_the_loopback_of_its_host_and_no_further(ours: Recorder) -> None:
    gateway = ours.named("db-migration-gateway")
    (port,) = gateway.inputs["ports"]
    assert (port["ip"], port["external"]) == ("127.0.0.1", 15432)
    assert gateway.inputs["networksAdvanced"] == [{"name": "mine_airbyte_internal"}]
    assert gateway.inputs["entrypoints"] == ["socat"]
    assert gateway.provider.startswith(ours.named("prod-docker").urn)


def test_the_tunnel_checks_the_host_key_and_dies_with_its_other_side(ours: Recorder) -> None:
    tunnel = ours.named("db-migration-tunnel")
    command = " ".join(tunnel.inputs["command"])
    for option in ("StrictHostKeyChecking=yes", "ExitOnForwardFailure=yes", "ServerAliveInterval"):
        assert option in command
    assert "-L 0.0.0.0:5432:127.0.0.1:15432" in command
    assert command.endswith("-p 22 root@10.0.0.1")
    (known,) = tunnel.inputs["uploads"]
    assert known["content"] == f"10.0.0.1 {hosts.KEY}1\n"
    assert tunnel.inputs["networksAdvanced"][0]["aliases"] == ["prod-database"]


def test_beside_an_existing_server_all_is_on_the_hosts_network(existing: Recorder) -> None:
    for name in ("db-migration-tunnel", "db-migration-agent"):
        container = existing.named(name)
        assert container.inputs["networkMode"] == "host"
        assert "networksAdvanced" not in container.inputs
    command = " ".join(existing.named("db-migration-tunnel").inputs["command"])
    assert "-L 127.0.0.1:15432:127.0.0.1:15432" in command
    feed = config(existing)["feeds"][0]
    assert feed["source"]["address_for_subscriber"] == {"host": "127.0.0.1", "port": 15432}
    assert (feed["target"]["host"], feed["target"]["port"]) == ("127.0.0.1", 5432)


@pytest.mark.parametrize(
    ("key", "option"),
    [
        ("tunnel", 'restrict,port-forwarding,permitopen="127.0.0.1:15432"'),
        ("agent", 'restrict,command="/usr/local/lib/airbyte-migration/hostctl forced"'),
    ],
)
def test_keys_may_do_one_thing_and_can_be_withdrawn(ours: Recorder, key: str, option: str) -> None:
    authorized = ours.named(f"db-migration-{key}-authorized-prod")
    assert option in authorized.inputs["create"]
    assert authorized.inputs["delete"].endswith(f"unauthorize {key}")
    assert authorized.inputs["stdin"] == mocks.PUBLIC_KEY
    assert authorized.inputs["connection"]["host"] == "192.0.2.1"


def test_only_the_agents_key_reaches_the_reader(ours: Recorder) -> None:
    names = {r.name for r in ours.of("Command") if r.name.endswith("authorized-replica")}
    assert names == {"db-migration-agent-authorized-replica"}


def test_the_configuration_is_what_the_script_reads(ours: Recorder) -> None:
    parsed = Config.model_validate_json(json.dumps(config(ours)))
    feed = parsed.feeds[0]
    assert feed.slot == "airbyte_migration_core_worker_01"
    assert feed.allow_source_restart is True
    assert feed.source.host_control is not None
    assert feed.source.host_control.address == "10.0.0.1"
    assert feed.working_database is not None
    assert feed.working_database.reader_host_control is not None
    assert feed.working_database.reader_host_control.address == "10.0.0.2"
    known = uploads(ours)["/etc/db-migration/known_hosts"]["content"]
    assert known == f"10.0.0.1 {hosts.KEY}1\n10.0.0.2 {hosts.KEY}2\n"


def test_without_a_reader_nobody_is_stopped_around_a_refresh() -> None:
    feed = config(declare(ServerKind.CONTAINER, reader=False))["feeds"][0]
    assert feed["working_database"]["reader_host_control"] is None


def test_secrets_are_files_that_only_root_reads(ours: Recorder) -> None:
    files = uploads(ours)
    for name, value in (("source_owner", OWNER), ("migration", MIGRATION)):
        upload = files[f"/run/db-migration/secrets/{name}"]
        assert (upload["content"], upload["permissions"]) == (value, "0400")
    agent = ours.named("db-migration-agent")
    assert "envs" not in agent.inputs
    for resource in ours.resources:
        assert OWNER not in json.dumps(resource.sealed), resource.name
        assert MIGRATION not in json.dumps(resource.sealed), resource.name


def test_up_waits_for_a_state_and_waits_again_for_a_new_agent(ours: Recorder) -> None:
    following = ours.named("db-migration-following")
    script = following.inputs["create"]
    assert "status --json --wait following,verified,working --deadline 900" in script
    assert script.endswith("db-migration-agent-id")
    assert following.inputs["logging"] == "stderr"
    agent = ours.named("db-migration-agent")
    for database in ours.of("Database"):
        assert database.urn in agent.dependencies


def test_the_host_knows_which_containers_stopping_airbyte_means(ours: Recorder) -> None:
    airbyte = ours.named("db-migration-service-airbyte")
    assert airbyte.inputs["stdin"].split()[0] == "containers"
    assert "airbyte-db" not in airbyte.inputs["stdin"]
    database = ours.named("db-migration-service-database")
    assert database.inputs["stdin"] == "containers airbyte-db\n"
