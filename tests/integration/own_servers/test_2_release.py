"""`db-migration release` and `destroy --exclude-protected`: everything is as before."""

from __future__ import annotations

import pytest

from tests.integration.own_servers import airbyte_by_hand, postgres_by_hand
from tests.integration.own_servers.conftest import Before
from tests.integration.own_servers.project import Project, feeds
from tests.integration.own_servers.snapshots import differences

pytestmark = pytest.mark.long


def test_release_leaves_nothing_on_prods_database_server(v1: Project, before: Before) -> None:
    (planned,) = feeds(v1.agent("release", "--dry-run", "--json"))
    said = " ".join(trace["what"] for trace in planned["traces"])
    for what in ("slot", "publication", "REPLICA IDENTITY", "role `airbyte_migration`"):
        assert what in said

    v1.agent("release", "--json")

    assert differences(before.database, airbyte_by_hand.database_server(v1.lab)) == []
    assert feeds(v1.agent("release", "--dry-run", "--json"))[0]["traces"] == []


def test_destroy_leaves_prod_and_the_existing_server_as_they_were(
    v1: Project, before: Before
) -> None:
    v1.destroy("v1")

    assert differences(before.containers, airbyte_by_hand.containers(v1.lab)) == []
    assert differences(before.database, airbyte_by_hand.database_server(v1.lab)) == []
    assert differences(before.host, airbyte_by_hand.host_objects(v1.lab)) == []
    assert differences(before.warehouse, postgres_by_hand.of_others(v1.lab)) == []
    assert postgres_by_hand.running(v1.lab) == [postgres_by_hand.NAME]


def test_the_copy_is_kept(v1: Project) -> None:
    kept = postgres_by_hand.sql(v1.lab, "SELECT count(*) FROM jobs", "airbyte_mirror")
    assert int(kept) > 200
