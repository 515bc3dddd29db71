"""What each of the DB Migration Script's containers is told, and where its secrets are."""

import json

import pytest

from components import ServerKind
from db_migration.config import Config
from tests.support.mocks import Recorder
from tests.unit.components import hosts
from tests.unit.components.scripts import (
    BASIC_AUTH,
    CLIENT,
    MIGRATION,
    OWNER,
    SCRIPTS,
    config,
    declare,
    files,
)


@pytest.fixture(scope="module")
def ours() -> Recorder:
    return declare(ServerKind.CONTAINER)


@pytest.fixture(scope="module")
def final() -> Recorder:
    return declare(ServerKind.CONTAINER, final=True)


def test_the_configuration_is_what_the_script_reads(ours: Recorder) -> None:
    parsed = Config.model_validate_json(json.dumps(config(ours)))
    feed = parsed.feeds[0]
    assert feed.slot == "airbyte_migration_core_worker_01"
    assert feed.allow_source_restart is True
    assert feed.snapshot_interval_seconds == 600
    assert feed.source.host_control is not None
    assert feed.source.host_control.address == "10.0.0.1"
    assert feed.working_database is not None
    assert feed.working_database.reader_host_control is not None
    assert feed.working_database.reader_host_control.address == "10.0.0.2"
    known = files(ours)["/etc/db-migration/known_hosts"].inputs["stdin"]
    assert known == f"10.0.0.1 {hosts.KEY}1\n10.0.0.2 {hosts.KEY}2\n"
    assert (parsed.http.host, parsed.http.port) == ("0.0.0.0", 19187)  # noqa: S104
    assert parsed.cutover is None
    assert [server.name for server in parsed.servers] == ["core-worker-01"]
    assert [instance.name for instance in parsed.instances] == ["airbyte-prod", "standby"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_of_the_last_stage_knows_all_of_it(final: Recorder, script: str) -> None:
    parsed = Config.model_validate_json(json.dumps(config(final, script)))
    assert [server.name for server in parsed.servers] == ["core-worker-01", "intermediary"]
    assert [(i.name, i.kind, i.host, i.database, i.role) for i in parsed.instances] == [
        ("airbyte-prod", "compose", "prod", "prod", None),
        ("prod-abctl", "abctl", "prod", None, "airbyte_prod"),
        ("standby", "abctl", "replica", None, "airbyte_replica"),
    ]
    assert [i.url for i in parsed.instances] == [
        "http://10.0.0.1:8000",
        "http://10.0.0.1:8100",
        "http://10.0.0.2:8000",
    ]
    assert parsed.initial is not None
    assert (parsed.initial.database, parsed.initial.airbyte) == ("prod", "airbyte-prod")
    assert parsed.cutover is not None
    assert (parsed.cutover.database, parsed.cutover.airbyte) == ("intermediary", "prod-abctl")
    assert (parsed.cutover.drain, parsed.cutover.drain_seconds) == ("cancel", 60)
    assert parsed.accepted_versions == ("0.62.4",)
    pace = parsed.schedules
    assert (pace.running_at_most, pace.touch_every_seconds, pace.prove_seconds) == (3, 20, 600)


def test_compose_is_asked_with_its_basic_auth(final: Recorder, ours: Recorder) -> None:
    known, unknown = (config(stage)["instances"][0] for stage in (final, ours))
    assert known["client_id"] == "airbyte"
    assert files(final)[known["client_secret_file"]].inputs["stdin"] == BASIC_AUTH
    assert {"url", "client_id", "client_secret_file"}.isdisjoint(unknown)


@pytest.mark.parametrize(
    ("script", "here", "seen", "control"),
    [
        ("db-migration", "core-worker-01", ["postgres", "10.0.0.4"], "postgres"),
        ("db-migration-intermediary", "intermediary", ["10.0.0.3", "postgres"], "postgres"),
        ("db-migration-replica", "replica", ["10.0.0.3", "10.0.0.4"], "10.0.0.3"),
    ],
)
def test_each_script_reaches_the_servers_from_where_it_is(
    final: Recorder, script: str, here: str, seen: list[str], control: str
) -> None:
    document = config(final, script)
    assert document["here"] == here
    assert [server["host"] for server in document["servers"]] == seen
    assert document["control"]["host"] == control


@pytest.mark.parametrize(
    ("script", "feeds"),
    [
        ("db-migration", ["prod-to-core-worker-01", "intermediary-to-core-worker-01"]),
        ("db-migration-intermediary", ["prod-to-intermediary", "core-worker-01-to-intermediary"]),
        ("db-migration-replica", []),
    ],
)
def test_each_script_runs_the_feeds_into_the_server_beside_it(
    final: Recorder, script: str, feeds: list[str]
) -> None:
    assert [feed["name"] for feed in config(final, script)["feeds"]] == feeds
    command = "run" if feeds else "idle"
    assert final.named(f"{script}-agent").inputs["command"] == [command]


def test_a_feed_between_our_servers_needs_no_tunnel_and_no_owner(final: Recorder) -> None:
    source = config(final)["feeds"][1]["source"]
    assert (source["name"], source["database"]) == ("intermediary", "airbyte")
    assert source["address_for_subscriber"] == {"host": "10.0.0.4", "port": 5432}
    assert source["sslmode"] == "require"
    assert source["host_control"] is None
    assert {source[who]["user"] for who in ("owner", "reader")} == {"airbyte_migration"}


def test_nobody_stands_by_on_the_copy_that_becomes_prods(final: Recorder) -> None:
    first, back = config(final, "db-migration-intermediary")["feeds"]
    assert first["working_database"] is None
    assert back["working_database"]["name"] == "airbyte"
    waits = {script: final.named(f"{script}-following").inputs["create"] for script in SCRIPTS[:2]}
    assert "--wait following,verified,working " in waits["db-migration"]
    assert "--wait following,verified " in waits["db-migration-intermediary"]


def test_without_a_reader_nobody_is_stopped_around_a_refresh() -> None:
    feed = config(declare(ServerKind.CONTAINER, reader=False))["feeds"][0]
    assert feed["working_database"]["reader_host_control"] is None


def test_a_changed_configuration_replaces_no_container(ours: Recorder, final: Recorder) -> None:
    """v2 knows more than v1, and yet the container is the same one."""
    assert config(ours) != config(final)
    agents = [recorded.named("db-migration-agent") for recorded in (ours, final)]
    assert agents[0].inputs == agents[1].inputs
    assert "uploads" not in agents[0].inputs
    waits = [recorded.named("db-migration-following") for recorded in (ours, final)]
    assert waits[0].inputs["create"] != waits[1].inputs["create"], "waits for the new feeds"


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_configuration_comes_last_and_before_the_container(
    final: Recorder, script: str
) -> None:
    """The script starts anew as soon as it has changed: what it names must be there."""
    found = files(final, script)
    document = found.pop("/etc/db-migration/config.json")
    assert found
    for path, command in found.items():
        assert command.urn in document.dependencies, path
    assert document.urn in final.named(f"{script}-agent").dependencies


def test_secrets_are_files_that_only_root_reads_and_that_go(final: Recorder) -> None:
    found = files(final)
    for name, value in (
        ("source_owner", OWNER),
        ("migration", MIGRATION),
        ("prod-abctl-client", CLIENT),
        ("standby-client", CLIENT),
    ):
        path = f"db-migration/secrets/{name}"
        command = found[f"/etc/{path}"]
        assert command.inputs["stdin"] == value
        assert command.inputs["create"].endswith(f" put {path} 0600")
        assert command.inputs["delete"] == f"rm -f /var/lib/airbyte-migration/{path}"
    for script in SCRIPTS:
        assert "envs" not in final.named(f"{script}-agent").inputs
    for resource in final.resources:
        for value in (OWNER, MIGRATION, CLIENT):
            assert value not in json.dumps(resource.sealed), resource.name


def test_the_operators_tools_hold_no_secret_of_prods_database(final: Recorder) -> None:
    assert not [path for path in files(final, "db-migration-replica") if "owner" in path]
