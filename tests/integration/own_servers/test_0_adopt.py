"""v0 with `prod.mode: adopt`: an Airbyte that runs is read, checked, and never touched."""

from __future__ import annotations

import pytest

from tests.integration.own_servers import airbyte_by_hand
from tests.integration.own_servers.airbyte_by_hand import HOST, VERSION
from tests.integration.own_servers.conftest import Before
from tests.integration.own_servers.project import Project
from tests.integration.own_servers.snapshots import differences

pytestmark = pytest.mark.long

STOPPED, MISSING = "airbyte-webapp", "airbyte-cron"
REASONS = (
    f"container `{STOPPED}` is stopped",
    f"container `{MISSING}` does not exist",
    f"`airbyte-server` runs Airbyte {VERSION}",
)


def untouched(owner: Project, before: Before) -> list[str]:
    return differences(before.containers, airbyte_by_hand.containers(owner.lab))


def test_what_can_not_be_adopted_is_one_error_with_every_reason(owner: Project) -> None:
    """And once that is mended, the fixture `v0` adopts it: the refusal is not kept."""
    owner.set("v0", "prod.version", "0.63.14")
    owner.lab.docker(HOST, "stop", STOPPED)
    owner.lab.docker(HOST, "rename", MISSING, "renamed")

    said = owner.refused("v0")

    assert said.count("can not be adopted") == 1
    assert [said.count(reason) for reason in REASONS] == [1, 1, 1]
    assert f"pulumi config set --path airbyte-migration:prod.version {VERSION}" in said
    assert "start Airbyte" in said
    assert "Traceback" not in said
    owner.set("v0", "prod.version", VERSION)
    owner.lab.docker(HOST, "rename", "renamed", MISSING)
    owner.lab.docker(HOST, "start", STOPPED)


def test_adopting_touches_nothing(v0: Project, before: Before) -> None:
    assert set(v0.last_changes("v0")) == {"create"}
    assert untouched(v0, before) == []


def test_a_second_up_changes_nothing(v0: Project, before: Before) -> None:
    assert v0.up("v0") == {}
    assert untouched(v0, before) == []


def test_refresh_finds_no_drift(v0: Project, before: Before) -> None:
    assert v0.refresh("v0") == {}
    assert untouched(v0, before) == []


def test_destroy_touches_nothing_and_up_adopts_again(v0: Project, before: Before) -> None:
    v0.destroy("v0")
    assert untouched(v0, before) == []
    assert v0.lab.ssh(HOST, "cat /var/lib/airbyte-migration/marker", check=False).stdout == ""
    assert set(v0.up("v0")) == {"create"}
    assert untouched(v0, before) == []
