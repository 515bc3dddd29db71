"""v2 by one `pulumi up` where nothing was: the final architecture, as the committed file says."""

from __future__ import annotations

import json

import pytest

from lab.demo.places import ABCTL
from tests.integration.main_job.deployment import Deployment, empty
from tests.support.fix_lab import Lab

pytestmark = pytest.mark.long

HOSTCTL = "/usr/local/lib/airbyte-migration/hostctl"
FEED = "intermediary-to-core-worker-01"


@pytest.fixture(scope="module")
def v2(lab: Lab) -> Deployment:
    """v2 as the first `pulumi up` left it."""
    empty(lab)
    alone = Deployment(lab)
    alone.run("pulumi", "stack", "init", "v2")
    alone.up("v2")
    return alone


def test_prod_is_on_abctl_and_its_database_on_the_intermediary(v2: Deployment) -> None:
    status = json.loads(v2.agent("status", "--json").stdout)
    assert (status["epoch"]["airbyte"], status["epoch"]["database"]) == (ABCTL, "intermediary")
    held = json.loads(v2.lab.ssh("prod", f"{HOSTCTL} status").stdout)
    assert (held["compose"], held["instances"][0]["rendering"]) == (
        "stopped",
        "active-intermediary",
    )
    v2.lab.get("prod", 8100, "/api/v1/health")


def test_its_copy_follows_and_is_equal(v2: Deployment) -> None:
    v2.agent("status", "--wait", "following,verified", "--deadline", "300")
    verified = json.loads(v2.agent("verify", "--json").stdout)["feeds"]
    equal = {feed["name"]: feed["equal"] for feed in verified if "skipped" not in feed}
    assert equal == {FEED: True}


def test_a_second_up_changes_nothing(v2: Deployment) -> None:
    assert v2.up("v2") == {}


def test_refresh_finds_no_drift(v2: Deployment) -> None:
    assert v2.refresh("v2") == {}


DESTROY = ("pulumi", "destroy", "--yes", "--non-interactive", "--exclude-protected", "-s", "v2")


def test_destroy_is_refused_while_abctl_is_prod_before_anything_is_gone(v2: Deployment) -> None:
    refused = v2.run(*DESTROY, ok=False)
    assert refused.returncode != 0
    assert "airbyte-prod-abctl is prod (active-intermediary)" in refused.stdout
    assert v2.up("v2") == {}


def test_given_up_it_is_destroyed_and_an_up_finds_the_data_again(v2: Deployment) -> None:
    count = ("SELECT count(*) FROM actor", "airbyte_mirror")
    before = v2.copy_sql(*count)
    v2.lab.ssh("prod", f"{HOSTCTL} activate airbyte-prod-abctl 1 stopped")
    v2.run(*DESTROY)
    assert "db-migration" not in v2.lab.docker("core-worker-01", "ps", "-a", "--format={{.Names}}")
    v2.up("v2")
    assert v2.copy_sql(*count) == before
    held = json.loads(v2.lab.ssh("prod", f"{HOSTCTL} status").stdout)
    assert (held["compose"], held["instances"][0]["rendering"]) == (
        "stopped",
        "active-intermediary",
    )
    v2.lab.get("prod", 8100, "/api/v1/health")
