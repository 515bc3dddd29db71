"""Each check says the state found, the state needed and a way out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stages.stagectl import checks
from stages.stagectl.errors import (
    ExitCode,
    HostUnreachableError,
    RefusedError,
    StagectlError,
    UsageError,
)
from stages.stagectl.markers import Reading, held_by
from stages.stagectl.stackfile import Project
from stages.stagectl.state import State
from tests.unit.stagectl.worlds import deployment, document

SALTED = "encryptionsalt: v1:x\n"


def interrupted() -> State:
    state = deployment()
    state.deployment["pending_operations"] = [{"type": "creating", "resource": state.held[0]}]
    return state


def kms() -> State:
    state = document([])
    state.deployment["secrets_providers"] = {"type": "cloud"}
    return state


REFUSALS: dict[str, tuple[Callable[[], None], type[StagectlError], str]] = {
    "old engine": (lambda: checks.check_engine("3.9.0", []), RefusedError, "pulumi 3.9.0"),
    "state of a newer engine": (
        lambda: checks.check_engine("3.252.0", ["", "4.0.1"]),
        RefusedError,
        "Needed: 4.0.1 or newer",
    ),
    "no source": (
        lambda: checks.check_source("v0", "v1", State({})),
        RefusedError,
        "v0 holds no resource",
    ),
    "empty source": (
        lambda: checks.check_source("v0", "v1", document([])),
        RefusedError,
        r"v0 holds no resource\..*empty world",
    ),
    "a stage left out": (
        lambda: checks.check_source("v1", "v2", document([]), "v0"),
        RefusedError,
        "v0 holds the deployment.*First: stagectl promote v0 v1",
    ),
    "back": (
        lambda: checks.check_source("v0", "v1", document([]), "v2"),
        RefusedError,
        "v2 holds the deployment.*`stagectl status`",
    ),
    "full destination": (
        lambda: checks.check_dest("v1", deployment("v1")),
        RefusedError,
        "v1 holds 3 resources",
    ),
    "pending": (
        lambda: checks.check_pending("v0", interrupted()),
        RefusedError,
        "left open: creating prod",
    ),
    "secrets providers": (
        lambda: checks.check_secrets_provider(deployment(), kms()),
        RefusedError,
        "cloud, passphrase",
    ),
    "silent host": (
        lambda: checks.check_markers([Reading("prod", error="no route")], "v0", "v1", "lab"),
        HostUnreachableError,
        "no route",
    ),
    "marker of a third stage": (
        lambda: checks.check_markers([Reading("prod", "v2", "lab")], "v0", "v1", "lab"),
        RefusedError,
        "says v2",
    ),
    "a new host that another deployment holds": (
        lambda: checks.check_markers(
            [Reading("prod", "v1", "lab"), Reading("intermediary", "v1", "other")],
            "v1",
            "v2",
            "lab",
        ),
        RefusedError,
        r"intermediary is held by deployment other .*marker release other v1",
    ),
    "a silent new host": (
        lambda: checks.check_markers(
            [Reading("prod", "v1", "lab"), Reading("intermediary", error="no route")],
            "v1",
            "v2",
            "lab",
        ),
        HostUnreachableError,
        "intermediary does not tell its marker",
    ),
}


@pytest.mark.parametrize("name", list(REFUSALS))
def test_refusals(name: str) -> None:
    act, kind, text = REFUSALS[name]
    with pytest.raises(kind, match=text) as caught:
        act()
    assert caught.value.found
    assert caught.value.needed
    assert caught.value.way_out


def test_what_is_fine_passes() -> None:
    checks.check_engine("3.252.0-dev", ["3.252.0"])
    checks.check_source("v0", "v1", deployment())
    checks.check_dest("v1", document([deployment("v1").resources[1]]))
    checks.check_pending("v0", deployment())
    checks.check_secrets_provider(deployment(), State({}))
    readings = [Reading("prod", "v0", "lab"), Reading("replica", "v1", "lab"), Reading("core")]
    checks.check_markers(readings, "v0", "v1", "lab")


def test_only_markers_of_the_stage_and_the_deployment_are_moved() -> None:
    readings = [
        Reading("a", "v0", "lab"),
        Reading("b", "v0", "other"),
        Reading("c", "v1", "lab"),
        Reading("d"),
    ]
    assert held_by(readings, "v0", "lab") == ("a",)
    assert held_by(readings, "v0") == ("a", "b")


def test_exit_codes_are_distinct() -> None:
    kinds = StagectlError.__subclasses__()
    assert len({k.exit_code for k in kinds}) == len(kinds) == 6
    assert ExitCode.OK not in {k.exit_code for k in kinds}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "Pulumi.yaml").write_text("name: toy\nruntime: python\n")
    (tmp_path / "below").mkdir()
    return Project.find(tmp_path / "below")


def test_project_is_found_from_below(project: Project, tmp_path: Path) -> None:
    assert (project.folder, project.name) == (tmp_path, "toy")
    with pytest.raises(UsageError, match=r"no Pulumi\.yaml"):
        Project.find(Path("/"))


def test_a_stack_file_must_exist_and_say_how_it_encrypts(project: Project) -> None:
    with pytest.raises(RefusedError, match=r"git checkout Pulumi\.v1\.yaml"):
        project.check_stack_file("v1")
    project.stack_file("v1").write_text("config: {}\n")
    with pytest.raises(RefusedError, match="neither encryptionsalt nor secretsprovider"):
        project.check_stack_file("v1")
    project.stack_file("v1").write_text(SALTED)
    project.check_stack_file("v1")


def test_settings_for_markers(project: Project) -> None:
    assert project.settings("v1").hosts == {}
    project.stack_file("v1").write_text(
        "config:\n"
        "  toy:deployment: lab\n"
        "  toy:operator: {user: root, identityFile: ~/.k, knownHostsFile: /kh, more: 1}\n"
        "  toy:hosts: {prod: {address: 127.0.0.1, sshPort: 2211, privateAddress: x}}\n"
        "  other:hosts: {x: {}}\n" + SALTED
    )
    found = project.settings("v1")
    assert (found.deployment, found.operator.identity_file) == ("lab", "~/.k")
    assert {n: (h.address, h.ssh_port) for n, h in found.hosts.items()} == {
        "prod": ("127.0.0.1", 2211)
    }
    project.stack_file("v1").write_text("config:\n  toy:hosts: {prod: {sshPort: many}}\n")
    with pytest.raises(RefusedError, match=r"hosts\.prod\.address") as caught:
        project.settings("v1")
    assert "sshPort" in caught.value.found


def test_committed_files_are_put_back(project: Project) -> None:
    path = project.stack_file("v1")
    path.write_text(SALTED)
    with project.files_untouched("v0", "v1"):
        path.write_text("rewritten")
    assert path.read_text() == SALTED
