"""v1 on a PostgreSQL that was there: ours beside what is others', and prod as it was."""

from __future__ import annotations

import json

import pytest

from tests.integration.own_servers import airbyte_by_hand, postgres_by_hand
from tests.integration.own_servers.conftest import Before
from tests.integration.own_servers.project import SECRETS, Project, feeds
from tests.integration.own_servers.snapshots import differences
from tests.support.fix_postgres import wait_for
from tests.support.timeouts import ARRIVES

pytestmark = pytest.mark.long

WORKER, REPLICA = "core-worker-01", "replica"
SYNCING = {"worker", "cron", "workload-launcher"}


def test_the_feed_follows_and_verifies_equal(v1: Project) -> None:
    (state,) = feeds(v1.agent("status", "--json"))
    assert (state["state"], state["mode"], state["error"]) == ("following", "logical", None)
    (found,) = feeds(v1.agent("verify", "--json"))
    assert found["equal"]
    assert found["rows"] > 200


def test_a_write_acknowledged_by_prod_is_found_on_the_copy(v1: Project) -> None:
    job = airbyte_by_hand.post(v1.lab, "/lab/write", {"n": 1, "payload": "in step"})["id"]
    query = f"SELECT 1 FROM jobs WHERE id = {int(job)}"
    wait_for(lambda: postgres_by_hand.sql(v1.lab, query, "airbyte_mirror") == "1", ARRIVES)


def test_nothing_of_others_on_the_server_is_touched(v1: Project, before: Before) -> None:
    assert differences(before.warehouse, postgres_by_hand.of_others(v1.lab)) == []


def test_ours_are_four_roles_without_power_and_five_databases(v1: Project) -> None:
    roles = postgres_by_hand.sql(
        v1.lab,
        "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls "
        f"FROM pg_roles WHERE rolname IN ({postgres_by_hand.OURS}) ORDER BY 1",
    )
    assert roles.splitlines() == [
        "airbyte|f|f|f|f|f",
        "airbyte_migration|f|f|t|t|f",
        "airbyte_prod|f|f|f|f|f",
        "airbyte_replica|f|f|f|f|f",
    ]
    databases = postgres_by_hand.sql(
        v1.lab,
        "SELECT datname, datdba::regrole FROM pg_database WHERE datname NOT LIKE 'template_' "
        "ORDER BY 1",
    )
    assert databases.splitlines() == [
        "airbyte|airbyte",
        "airbyte_migration|airbyte_migration",
        "airbyte_mirror|airbyte_migration",
        "postgres|postgres",
        "temporal|airbyte",
        "temporal_visibility|airbyte",
        "warehouse|analyst",
    ]


def test_only_the_standby_may_come_in(v1: Project) -> None:
    """An Airbyte that nobody admitted can not connect, whatever it believes."""
    may = postgres_by_hand.sql(
        v1.lab,
        "SELECT rolname, datname FROM pg_roles, pg_database "
        f"WHERE rolname IN ('airbyte_prod', 'airbyte_replica') "
        f"AND datname IN ({postgres_by_hand.OURS}) "
        "AND has_database_privilege(rolname, datname, 'CONNECT') ORDER BY 1, 2",
    )
    assert may.splitlines() == [
        "airbyte_replica|airbyte",
        "airbyte_replica|temporal",
        "airbyte_replica|temporal_visibility",
    ]
    acting = "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'airbyte'"
    assert set(postgres_by_hand.sql(v1.lab, acting).splitlines()) <= {
        "airbyte_migration",
        "airbyte_replica",
    }


def test_its_log_holds_no_password_of_ours(v1: Project) -> None:
    log = v1.lab.ssh(WORKER, f"docker logs {postgres_by_hand.NAME} 2>&1").stdout
    values = SECRETS.values()
    assert [value for value in values if value in log] == []


def test_the_way_to_prod_ends_on_the_loopback(v1: Project) -> None:
    for host in (airbyte_by_hand.HOST, WORKER):
        listening = v1.lab.ssh(host, "ss -Hltn 'sport = :15432' | awk '{print $4}'").stdout
        assert listening.split() == ["127.0.0.1:15432"], host


def test_the_replica_stands_by_on_it_over_tls(v1: Project) -> None:
    node = ("exec", "airbyte-abctl-control-plane", "kubectl", "-n", "airbyte-abctl")
    listed = v1.lab.docker(REPLICA, *node, "get", "deployments", "-o", "json")
    replicas = {
        item["metadata"]["name"].removeprefix("airbyte-abctl-"): item["spec"]["replicas"]
        for item in json.loads(listed)["items"]
    }
    assert {name: replicas[name] for name in SYNCING} == dict.fromkeys(SYNCING, 0)
    assert replicas["server"] == 1
    version = "SELECT value FROM airbyte_metadata WHERE key = 'airbyte_version'"
    assert postgres_by_hand.sql(v1.lab, version, "airbyte") == "1.8.5"
    active = "SELECT count(*) FROM connection WHERE status <> 'inactive'"
    assert postgres_by_hand.sql(v1.lab, active, "airbyte") == "0"
    address = v1.lab.spec.address(v1.lab.hosts[REPLICA])
    plain = (
        "SELECT count(*), count(*) FILTER (WHERE NOT ssl) FROM pg_stat_activity "
        f"JOIN pg_stat_ssl USING (pid) WHERE client_addr = '{address}'"
    )
    sessions, in_clear = postgres_by_hand.sql(v1.lab, plain).split("|")
    assert int(sessions) > 0
    assert in_clear == "0"


def test_up_touches_nothing_of_prod(v1: Project, before: Before) -> None:
    assert differences(before.containers, airbyte_by_hand.containers(v1.lab)) == []


def test_a_second_up_changes_nothing(v1: Project) -> None:
    assert v1.up("v1") == {}


def test_refresh_finds_no_drift(v1: Project) -> None:
    assert v1.refresh("v1") == {}
