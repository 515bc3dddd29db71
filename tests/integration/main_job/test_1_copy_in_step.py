"""v1: prod's copy stays in step, and the standby on it can do no harm."""

from __future__ import annotations

import base64
import json
import urllib.request
from typing import Any

from tests.integration.main_job.deployment import ROOT, Deployment
from tests.support.fix_postgres import wait_for
from tests.support.timeouts import ARRIVES

SYNCING = {"worker", "cron", "workload-launcher"}


def post(deployment: Deployment, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST to prod's public port as a user of prod."""
    password = deployment.run(
        *("pulumi", "config", "get", "prodBasicAuthPassword", "--stack", "v1")
    ).stdout.strip()
    deployment.logs.pop()
    token = base64.b64encode(f"airbyte:{password}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{deployment.lab.port('prod', 8000)}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        parsed: dict[str, Any] = json.loads(answer.read())
        return parsed


def test_up_after_promote_only_adds(v1: Deployment) -> None:
    assert set(v1.last_changes("v1")) <= {"create", "update"}


def test_a_write_acknowledged_by_prod_is_found_on_the_copy(v1: Deployment) -> None:
    job = post(v1, "/lab/write", {"n": 1, "payload": "in step"})["id"]
    wait_for(lambda: v1.copy_sql(f"SELECT 1 FROM jobs WHERE id = {int(job)}") == "1", ARRIVES)


def test_a_table_that_appears_later_is_followed(v1: Deployment) -> None:
    assert v1.prod_sql("SELECT to_regclass('public.secrets') IS NULL") == "t"
    post(v1, "/lab/secret", {"coordinate": "airbyte_late_1", "payload": "late-payload"})
    query = "SELECT payload FROM secrets WHERE coordinate = 'airbyte_late_1'"
    exists = "SELECT to_regclass('public.secrets') IS NOT NULL"
    wait_for(lambda: v1.copy_sql(exists) == "t" and v1.copy_sql(query) == "late-payload", ARRIVES)


def test_prod_deletes_from_a_table_without_a_key(v1: Deployment) -> None:
    assert v1.prod_sql("DELETE FROM stream_reset WHERE false") == "DELETE 0"


def test_the_copy_verifies_equal(v1: Deployment) -> None:
    found = json.loads(v1.agent("verify", "--json").stdout)
    assert [feed["equal"] for feed in found["feeds"]] == [True]


def test_a_difference_is_found(v1: Deployment) -> None:
    v1.copy_sql("UPDATE workspace SET name = name || ' changed'")
    assert v1.agent("verify", "--json", ok=False).returncode == 3
    v1.copy_sql("UPDATE workspace SET name = replace(name, ' changed', '')")
    assert v1.agent("verify", "--json").returncode == 0


def test_sequences_of_the_copy_are_ahead(v1: Deployment) -> None:
    behind = v1.copy_sql("SELECT max(id) >= (SELECT last_value FROM jobs_id_seq) FROM jobs")
    assert behind == "f"


def test_the_standby_runs_without_workers(v1: Deployment) -> None:
    listed = v1.lab.docker(
        "replica",
        *("exec", "airbyte-abctl-control-plane", "kubectl", "-n", "airbyte-abctl"),
        *("get", "deployments", "-o", "json"),
    )
    replicas = {
        item["metadata"]["name"].removeprefix("airbyte-abctl-"): item["spec"]["replicas"]
        for item in json.loads(listed)["items"]
    }
    assert {name: count for name, count in replicas.items() if name in SYNCING} == dict.fromkeys(
        SYNCING, 0
    )
    assert replicas["server"] == 1


def test_every_connection_of_the_working_database_is_inactive(v1: Deployment) -> None:
    query = "SELECT count(*) FILTER (WHERE status <> 'inactive') FROM connection"
    assert v1.copy_sql(query, database="airbyte") == "0"


def test_the_standby_wrote_to_its_clone_and_not_to_the_mirror(v1: Deployment) -> None:
    query = "SELECT value FROM airbyte_metadata WHERE key = 'airbyte_version'"
    assert v1.copy_sql(query, database="airbyte") == "1.8.5"
    assert v1.copy_sql(query) == "0.63.15"
    allowed = "SELECT has_database_privilege('airbyte', 'airbyte_mirror', 'CONNECT')"
    assert v1.copy_sql(allowed) == "f"


def test_a_second_up_changes_nothing(v1: Deployment) -> None:
    assert v1.up("v1") == {}


def test_refresh_finds_no_drift(v1: Deployment) -> None:
    assert v1.refresh("v1") == {}


def test_outputs_say_where_everything_is_and_what_to_do_next(v1: Deployment) -> None:
    said = json.dumps(v1.outputs("v1"))
    for expected in ("28000", "18000", "following", "next"):
        assert expected in said


def test_v0_is_refused_after_the_promotion(v1: Deployment) -> None:
    refused = v1.run("pulumi", "up", "--yes", "--non-interactive", "--stack", "v0", ok=False)
    assert refused.returncode != 0
    assert "held by stack v1" in refused.stdout + refused.stderr


def test_the_checkout_is_as_it_was(v1: Deployment) -> None:
    for name in ("Pulumi.yaml", "Pulumi.v0.yaml", "Pulumi.v1.yaml"):
        assert (v1.folder / name).read_text() == (ROOT / name).read_text()
