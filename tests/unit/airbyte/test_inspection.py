"""Judging an Airbyte that runs already."""

from collections.abc import Mapping
from typing import Any

from airbyte import inspection
from airbyte.inspection import CONTAINERS, Adopted, Finding


def running(name: str, **changes: object) -> dict[str, Any]:
    return {
        "name": f"/{name}",
        "image": f"airbyte/{name.removeprefix('airbyte-')}:0.63.15",
        "running": True,
        "networks": {"mine_airbyte_internal": {}, "bridge": {}},
        "mounts": [
            {
                "Type": "volume",
                "Name": "airbyte_db",
                "Source": "/x",
                "Destination": "/var/lib/postgresql/data",
            }
        ],
        "version": None,
        **changes,
    }


def whole(**changed: Mapping[str, object]) -> list[dict[str, Any]]:
    return [running(name, **changed.get(name.replace("-", "_"), {})) for name in CONTAINERS]


def findings(items: list[dict[str, Any]]) -> list[Finding]:
    verdict = inspection.judge(items, version="0.63.15")
    assert isinstance(verdict, list)
    return verdict


def test_a_good_one_is_adopted_with_its_own_network() -> None:
    verdict = inspection.judge(whole(), version="0.63.15")
    assert verdict == Adopted(
        version="0.63.15",
        network="mine_airbyte_internal",
        database_volume="airbyte_db",
        containers=tuple(sorted(CONTAINERS)),
    )


def test_the_version_may_come_from_the_environment() -> None:
    by_digest = {"image": "airbyte/server@sha256:0", "version": "0.63.15"}
    assert isinstance(inspection.judge(whole(airbyte_server=by_digest), version="0.63.15"), Adopted)


def test_another_version_is_named_with_the_command() -> None:
    (found,) = findings(whole(airbyte_server={"image": "airbyte/server:0.63.9"}))
    assert "0.63.9" in found.found
    assert found.way_out.startswith(
        "pulumi config set --path airbyte-migration:prod.version 0.63.9"
    )


def test_stopped_and_missing_containers_are_all_named() -> None:
    items = [
        item for item in whole(airbyte_cron={"running": False}) if "worker" not in item["name"]
    ]
    assert sorted(found.found for found in findings(items)) == [
        "container `airbyte-cron` is stopped",
        "container `airbyte-worker` does not exist",
    ]


def test_nothing_there_is_told_container_by_container() -> None:
    assert len(findings([])) == len(CONTAINERS)


def test_data_inside_the_container_is_refused() -> None:
    (found,) = findings(whole(airbyte_db={"mounts": []}))
    assert "keeps its data in the container" in found.found


def test_of_the_environment_only_the_version_is_asked_for() -> None:
    """Passwords are in the environment of compose's containers: they must not leave the host."""
    assert inspection.FORMAT.count(".Config.Env") == 1
    assert 'eq (index $pair 0) "AIRBYTE_VERSION"' in inspection.FORMAT


def test_one_line_for_each_container() -> None:
    assert inspection.read('{"name":"/a"}\n\n{"name":"/b"}\n') == [{"name": "/a"}, {"name": "/b"}]
