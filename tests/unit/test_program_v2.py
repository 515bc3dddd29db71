"""v2 by the real `__main__.py`: what waits for what, the cut-over, and what people are told."""

import json

from tests.support.mocks import Recorder
from tests.unit.program_runs import awaited, lab_files, run
from tests.unit.stages import stack_files
from tests.unit.stages.settings_cases import Draft

__all__ = ["lab_files"]  # a fixture


def v2(*, cutover: str = "go", **stdout: str) -> Recorder:
    draft = Draft("v2").put("cutover", cutover)
    return stack_files.run_program(draft.file, recorder=Recorder(stdout=stdout))


def test_prod_is_prepared_when_the_server_it_will_move_to_exists() -> None:
    recorded = run("v2")
    before = awaited(recorded, recorded.named("airbyte-prod-abctl-installed"))
    for resource in recorded.of("Database", "Grant", "Role"):
        if resource.name.startswith("intermediary-"):
            assert resource.urn in before, resource.name
    (default,) = (recorded.named("airbyte-prod-abctl-default").inputs["stdin"].split(),)
    assert default == ["prepared"]


def test_the_cut_over_comes_after_everything_else() -> None:
    recorded = run("v2")
    cut_over = recorded.named("cut-over")
    before = awaited(recorded, cut_over)
    done = {r.name for r in recorded.resources if r.urn in before}
    for name in (
        "db-migration-following",
        "db-migration-intermediary-following",
        "airbyte-prod-abctl-installed",
        "airbyte-prod-backup-replica-2-installed",
        "db-migration-replica-agent",
        "guard-intermediary",
    ):
        assert name in done, name
    assert [r.name for r in recorded.resources if cut_over.urn in r.dependencies] == []
    assert cut_over.inputs["logging"] == "stderr", "its progress shows"
    assert cut_over.inputs["connection"]["port"] == 2213, "beside the copy, which outlives prod"


def test_prods_database_is_prepared_by_one_script_after_the_other() -> None:
    """Both may restart it, and both change its one publication."""
    recorded = run("v2")
    second = recorded.named("db-migration-intermediary-agent")
    assert recorded.named("db-migration-following").urn in awaited(recorded, second)


def test_hold_only_looks_and_shows_it() -> None:
    held, moved = (v2(cutover=wish).named("cut-over").inputs["create"] for wish in ("hold", "go"))
    assert "db-migration cutover --hold >&2" in held
    assert "--hold" not in moved
    assert "db-migration cutover >&2" in moved
    for command in (held, moved):
        assert "&& docker exec db-migration db-migration status --json --wait following" in command


def test_hold_differs_from_go_in_the_cut_over_alone() -> None:
    held, gone = (v2(cutover=wish) for wish in ("hold", "go"))
    assert held.urns == gone.urns
    changed = [
        resource.name
        for resource in held.resources
        if gone.by_urn(resource.urn).inputs != resource.inputs
    ]
    assert changed == ["cut-over"]


def test_each_airbyte_logs_in_as_itself_on_both_servers() -> None:
    recorded = run("v2")
    for name, role in (
        ("airbyte-prod-abctl", "airbyte_prod"),
        ("airbyte-prod-backup-replica-2", "airbyte_replica"),
    ):
        for server in ("core-worker-01", "intermediary"):
            for rendering in ("active", "standby"):
                secret = recorded.named(f"{name}-{rendering}-{server}-secrets").inputs["stdin"]
                assert f"database-user: {role}" in secret


def test_where_prod_is_comes_from_the_databases_and_not_from_the_settings() -> None:
    epoch = {
        "epoch": 2,
        "database": "core-worker-01",
        "airbyte": "airbyte-prod-backup-replica-2",
        "reason": "failover",
    }
    told = json.dumps({"epoch": epoch, "feeds": []})
    exports = v2(**{"cut-over": told}).exports
    live = "on core-worker-01: docker exec db-migration db-migration status"
    assert exports["active"] == {**epoch, "now": live}
    active = {name for name, said in exports["airbyte"].items() if "(active: syncs)" in said}
    assert active == {"airbyte-prod-backup-replica-2"}
    assert set(exports["databases"]) == {"prod", "core-worker-01", "intermediary"}


def test_outputs_claim_nothing_that_nobody_told() -> None:
    for said in ("", "[]", '{"epoch": null}'):
        exports = v2(**{"cut-over": said}).exports
        assert exports["active"]["database"] == "unknown"
        assert not [text for text in exports["airbyte"].values() if "active" in text]


def test_a_feed_whose_source_is_not_active_waits_whatever_was_told_before() -> None:
    def told(database: str, **states: str) -> str:
        feeds = [{"name": name.replace("_", "-"), "state": is_} for name, is_ in states.items()]
        return json.dumps({"epoch": {"database": database}, "feeds": feeds})

    statuses = {
        "db-migration-intermediary-following": told("prod", prod_to_intermediary="following"),
        "cut-over": told("intermediary", intermediary_to_core_worker_01="following"),
    }
    assert v2(**statuses).exports["feeds"] == {
        "prod-to-core-worker-01": "waiting",
        "prod-to-intermediary": "waiting",
        "intermediary-to-core-worker-01": "following",
        "core-worker-01-to-intermediary": "waiting",
    }


def test_who_holds_is_told_how_to_go_on() -> None:
    told = json.dumps({"epoch": {"airbyte": "airbyte-prod", "database": "prod"}, "feeds": []})
    held = v2(cutover="hold", **{"cut-over": told}).exports
    assert held["next"].startswith("pulumi config set airbyte-migration:cutover go --stack v2")
    assert "cutover go" not in v2(**{"cut-over": told}).exports["next"]


def test_where_the_standby_is_beside_the_copy_its_tools_are_the_scripts() -> None:
    """Two containers of one name can not be on a host."""
    draft = Draft("v2")
    draft.drop("hosts", "replica")
    draft.change("replica", host="core-worker-01")
    recorded = stack_files.run_program(draft.file)
    agents = [r.name for r in recorded.of("Container") if r.inputs["name"] == "db-migration"]
    assert sorted(agents) == ["db-migration-agent", "db-migration-intermediary-agent"]
