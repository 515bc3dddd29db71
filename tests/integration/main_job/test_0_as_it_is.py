"""v0: `pulumi up` declares a Compose-shaped Airbyte; no later stage takes it by mistake."""

from __future__ import annotations

import re

import pytest

from tests.integration.main_job.deployment import Deployment

LONG_RUNNING = {
    "airbyte-db",
    "airbyte-worker",
    "airbyte-server",
    "airbyte-webapp",
    "airbyte-temporal",
    "airbyte-cron",
    "airbyte-connector-builder-server",
    "airbyte-proxy",
}


def test_the_services_run_under_their_known_names(v0: Deployment) -> None:
    running = set(v0.lab.docker("prod", "ps", "--format", "{{.Names}}").split())
    assert running >= LONG_RUNNING


def test_the_volumes_and_networks_have_their_known_names(v0: Deployment) -> None:
    volumes = set(v0.lab.docker("prod", "volume", "ls", "-q").split())
    networks = set(v0.lab.docker("prod", "network", "ls", "--format", "{{.Name}}").split())
    assert volumes >= {"airbyte_db", "airbyte_workspace", "airbyte_data", "oss_local_root"}
    assert networks >= {"airbyte_airbyte_internal", "airbyte_airbyte_public"}


@pytest.mark.parametrize("one_shot", ["init", "airbyte-bootloader"])
def test_the_one_shots_ended_well(v0: Deployment, one_shot: str) -> None:
    found = v0.lab.inspect("prod", one_shot)
    assert found is not None
    assert (found["State"]["Status"], found["State"]["ExitCode"]) == ("exited", 0)


def test_the_bootloader_has_made_the_database(v0: Deployment) -> None:
    query = "SELECT value FROM airbyte_metadata WHERE key = 'airbyte_version'"
    assert v0.prod_sql(query) == "0.63.15"


def test_a_second_up_changes_nothing(v0: Deployment) -> None:
    assert v0.up("v0") == {}


def test_refresh_finds_no_drift(v0: Deployment) -> None:
    assert v0.refresh("v0") == {}


def test_a_service_stopped_by_hand_is_no_drift(v0: Deployment) -> None:
    v0.lab.docker("prod", "stop", "airbyte-webapp")
    assert v0.refresh("v0") == {}
    assert v0.up("v0") == {}
    state = v0.lab.inspect("prod", "airbyte-webapp")
    assert state is not None
    assert state["State"]["Status"] == "exited"
    v0.lab.docker("prod", "start", "airbyte-webapp")


def test_v1_is_refused_with_one_error_that_names_the_command(v0: Deployment) -> None:
    v0.run("pulumi", "stack", "init", "v1")
    refused = v0.run("pulumi", "up", "--yes", "--non-interactive", "--stack", "v1", ok=False)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert said.count("stagectl promote v0 v1") == 1
    assert len(re.findall(r"^error: found", said, re.MULTILINE)) <= 1
    assert "core-worker-01-postgres" not in v0.lab.docker("core-worker-01", "ps", "-a")
    v0.run("pulumi", "destroy", "--yes", "--non-interactive", "--stack", "v1")
    v0.run("pulumi", "stack", "rm", "--yes", "--preserve-config", "v1")
