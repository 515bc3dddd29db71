"""The real `__main__.py` with the committed stack files: what is registered, and what must hold."""

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import mocks
from tests.support.mocks import Recorder
from tests.unit.program_runs import awaited, lab_files, run
from tests.unit.stages import stack_files
from tests.unit.stages.settings_cases import Draft

SNAPSHOTS = Path(__file__).parent / "stages" / "snapshots"
BUILT = ("v0", "v1", "v2")
STEPS = list(pairwise(BUILT))
COMPONENT = "airbyte-migration:index:"
__all__ = ["lab_files"]  # a fixture


@pytest.fixture(params=BUILT)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["preview", "update"])
def recorded(request: pytest.FixtureRequest, stack: str) -> Recorder:
    return run(stack, preview=bool(request.param))


def test_resources_are_those_of_the_snapshot(stack: str, recorded: Recorder) -> None:
    """A renamed resource is a deleted and a made one: it must show in a review."""
    snapshot = SNAPSHOTS / f"{stack}.txt"
    found = "\n".join(recorded.urns) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.write_text(found)
    assert found == snapshot.read_text(), "set UPDATE_SNAPSHOTS=1 to accept"


@pytest.mark.parametrize(("earlier", "later"), STEPS)
def test_a_stage_only_adds_to_the_one_before(earlier: str, later: str) -> None:
    assert set(run(earlier).urns) < set(run(later).urns)


@pytest.mark.parametrize(("earlier", "later"), STEPS)
def test_no_stage_touches_a_container_or_database_of_the_one_before(
    earlier: str, later: str
) -> None:
    """Whatever else may be updated: these would be replaced, and with them prod stopped."""
    kinds = ("Container", "Volume", "Network", "RemoteImage", "Role", "Database", "Grant")
    before, after = run(earlier), {resource.urn: resource for resource in run(later).resources}
    for resource in before.of(*kinds):
        assert after[resource.urn].inputs == resource.inputs, resource.name


def test_no_planted_secret_is_in_clear(stack: str, recorded: Recorder) -> None:
    planted = stack_files.stack_file(stack).planted
    assert planted
    shown = [
        *((r.urn, text) for r in recorded.resources for text in mocks.texts(r.sealed)),
        *((urn, text) for urn, values in recorded.outputs for text in mocks.texts(values)),
        *(("exports", text) for text in mocks.texts(recorded.exports)),
    ]
    leaks = [(where, secret) for where, text in shown for secret in planted if secret in text]
    assert leaks == []


def test_every_planted_secret_is_used(stack: str) -> None:
    """A secret that reaches no resource would make the search above worthless."""
    used = [text for resource in run(stack).resources for text in mocks.texts(resource.inputs)]
    for secret in stack_files.stack_file(stack).planted:
        assert any(secret in text for text in used), secret


def test_every_command_checks_the_host_key(recorded: Recorder) -> None:
    commands = recorded.of("Command")
    assert commands
    for command in commands:
        connection = command.inputs["connection"]
        assert connection["hostKey"] == stack_files.host_key(int(connection["port"])), command.name
        assert connection["perDialTimeout"] <= 5
        assert connection["dialErrorLimit"] <= 3


def test_every_docker_provider_is_explicit_and_checks_the_host_key(recorded: Recorder) -> None:
    providers = {provider.urn: provider for provider in recorded.of("docker")}
    assert providers
    for provider in providers.values():
        options = provider.inputs["sshOpts"]
        options = options if isinstance(options, str) else "\n".join(options)
        assert provider.inputs["host"].startswith("ssh://")
        for wanted in (
            "StrictHostKeyChecking=yes",
            "UserKnownHostsFile=~/.cache/airbyte-migration/lab/known_hosts",
            "ConnectTimeout=5",
            "BatchMode=yes",
        ):
            assert wanted in options
    used = recorded.of("Container", "RemoteImage", "Network", "Volume")
    assert used
    for resource in used:
        assert resource.provider.rpartition("::")[0] in providers, resource.name


def test_every_resource_waits_for_the_guard(recorded: Recorder) -> None:
    """Through dependency, provider or parent; or a refused stack would change something."""
    last_marker = [r for r in recorded.resources if r.name.startswith("guard-")][-1]
    free = {r.name for r in recorded.resources if last_marker.urn not in awaited(recorded, r)}
    assert free == {r.name for r in recorded.resources if r.name.startswith("guard-")} - {
        last_marker.name
    } | {"command"}


def test_the_standby_waits_for_the_copy_and_the_feed_for_prod() -> None:
    """Or its bootloader would write to a database that is no clone yet."""
    recorded = run("v1")
    for later, earlier in (
        ("airbyte-prod-backup-replica-2-installed", "db-migration-following"),
        ("db-migration-agent", "airbyte-prod-ready"),
    ):
        assert recorded.named(earlier).urn in awaited(recorded, recorded.named(later)), later


def test_markers_are_claimed_one_after_the_other_prod_first(recorded: Recorder) -> None:
    markers = [r for r in recorded.resources if r.name.startswith("guard-")]
    assert markers[0].name == "guard-prod"
    for earlier, later in pairwise(markers):
        assert earlier.urn in later.dependencies


def test_only_data_and_what_owns_it_is_protected(recorded: Recorder) -> None:
    kept = {r.name for r in recorded.of("Volume", "Database", "Role")}
    assert {r.name for r in recorded.resources if r.protect} == kept
    assert {r.name for r in recorded.resources if r.retain_on_delete} == kept


def test_no_container_is_started_by_pulumi_again(recorded: Recorder) -> None:
    containers = recorded.of("Container")
    assert containers
    for container in containers:
        assert container.inputs["mustRun"] is False, container.name
        assert container.inputs["destroyGraceSeconds"] >= 10, container.name
        assert container.delete_before_replace, container.name


def test_images_are_pinned_and_containers_use_their_ids() -> None:
    recorded = run("v1")
    for image in recorded.of("RemoteImage"):
        assert "@sha256:" in image.inputs["name"]
        assert image.inputs["keepLocally"] is True
    for container in recorded.of("Container"):
        assert container.inputs["image"].startswith("sha256:"), container.name


def test_components_register_outputs_exactly_once(recorded: Recorder) -> None:
    components = [r for r in recorded.resources if r.type.startswith(COMPONENT)]
    registered = [urn for urn, _ in recorded.outputs]
    for component in components:
        assert registered.count(component.urn) == 1, component.name
        assert component.type.count(":") == 2


def test_no_resource_is_made_inside_an_apply(stack: str) -> None:
    """In a preview of an empty world no apply runs: what it would make would be missing there."""
    assert run(stack, preview=True).urns == run(stack, preview=False).urns


def test_children_are_named_after_their_component(recorded: Recorder) -> None:
    by_urn = {resource.urn: resource for resource in recorded.resources}
    for resource in recorded.resources:
        parent = by_urn.get(resource.parent)
        if parent is not None:
            assert resource.name.startswith(f"{parent.name}-"), resource.name


def test_outputs_tell_people_where_things_are() -> None:
    v0, v1 = run("v0").exports, run("v1").exports
    assert v0["next"].startswith("stagectl promote v0 v1")
    assert set(v1["airbyte"]) == {"airbyte-prod", "airbyte-prod-backup-replica-2"}
    assert set(v1["databases"]) == {"prod", "mirror", "working"}
    assert v1["feed"]["state"] == "following"
    assert v1["feed"]["workingDatabase"]["madeAt"] == "2026-11-22T12:00:01Z"
    assert v1["next"] == "nothing: the copy follows"


def test_two_servers_are_enough() -> None:
    """Server and standby on the second one: its key is authorized on itself."""
    draft = Draft("v1")
    draft.drop("hosts", "replica")
    draft.change("replica", host="core-worker-01")
    recorded = stack_files.run_program(draft.file)
    hosts = {r.name for r in recorded.resources if r.type.endswith(":Host")}
    assert hosts == {"prod", "core-worker-01"}
    recorded.named("db-migration-agent-authorized-core-worker-01")


@pytest.mark.parametrize("stack", ["v1", "v2"])
def test_only_the_operator_checks_an_existing_servers_certificate(stack: str) -> None:
    """The other hosts know the server by names that are not in it."""
    draft = Draft(stack)
    endpoint = {"host": "db.example.com", "sslmode": "verify-full"}
    draft.change("coreWorker", kind="existing", adminEndpoint=endpoint)
    recorded = stack_files.run_program(draft.file)
    provider = recorded.named("core-worker-01-postgresql")
    assert provider.inputs["sslmode"] == "verify-full"
    config = json.loads(recorded.named("db-migration-config").inputs["stdin"])
    assert config["feeds"][0]["target"]["sslmode"] == "require"


def test_an_adopted_prod_is_not_touched_in_v0() -> None:
    draft = Draft("v0").change("prod", mode="adopt")
    recorded = stack_files.run_program(draft.file, preview=True)
    assert recorded.of("Container", "Volume", "Network", "RemoteImage") == []
    assert {r.name for r in recorded.of("Command")} == {
        "guard-prod",
        "prod-hostctl",
        "airbyte-prod-inspection",
    }
