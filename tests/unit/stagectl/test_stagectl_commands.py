"""The command line and its adapters, against stand-ins for `pulumi` and `ssh`."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.stagectl import lock
from stages.stagectl.cli import app
from stages.stagectl.errors import (
    BusyError,
    EngineError,
    HostUnreachableError,
    RefusedError,
    UsageError,
)
from stages.stagectl.markers import SshMarkers
from stages.stagectl.pulumi_cli import Pulumi
from stages.stagectl.report import Reporter
from stages.stagectl.stackfile import Project
from stages.stagectl.state import Json, State
from tests.support import host_script


def script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAGECTL_BACKUPS", str(tmp_path / "backups"))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: toy\nruntime: python\n")
    return Project.find(folder)


def call(*argv: str, project: Project | None = None) -> tuple[int, Json]:
    where = ["--project-dir", str(project.folder)] if project else []
    result = CliRunner().invoke(app, [*argv, *where, "--json"])
    document = json.loads(result.stdout) if result.stdout.startswith("{") else {}
    return result.exit_code, document


@pytest.mark.parametrize(
    ("argv", "code", "found"),
    [
        (["promote", "v0", "v1"], 2, "nobody to ask"),
        (["undo"], 2, "nobody to ask"),
        (["promote", "v0", "v2", "--yes"], 3, "promotion v0 -> v2"),
        (["promote", "v1", "v0", "--dry-run"], 3, "promotion v1 -> v0"),
        (["promote", "v0", "v1", "--yes"], 3, "no Pulumi.v0.yaml"),
        (["promote", "v0", "v1", "--dry-run"], 3, "no Pulumi.v0.yaml"),
        (["promote", "v0"], 2, None),
        (["promote", "v0", "v1", "--force"], 2, None),
        (["demote"], 2, None),
    ],
)
def test_argument_errors(
    argv: list[str], code: int, found: str | None, project: Project, tools: Path
) -> None:
    script(tools / "pulumi", "exit 99")
    exit_code, document = call(*argv, project=project)
    assert exit_code == code
    if found:
        assert document["error"]["found"].startswith(found)
        assert document["error"]["needed"]
        assert document["error"]["way_out"]
        assert document["exit_code"] == code


def test_no_project(tmp_path: Path, tools: Path) -> None:
    assert tools.is_dir()
    result = CliRunner().invoke(app, ["status", "--project-dir", str(tmp_path / "bin")])
    assert result.exit_code == 2
    assert "no Pulumi.yaml" in result.stderr
    assert "way out" in result.stderr


def test_help_tells_commands_and_exit_codes() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout
    for word in ("promote", "undo", "status", "3 refused", "4", "undone"):
        assert word in text
    for command in ("promote", "undo", "status"):
        assert "--json" in CliRunner().invoke(app, [command, "--help"]).stdout


def pulumi(project: Project) -> Pulumi:
    return Pulumi(project_dir=project.folder, reporter=Reporter())


def test_no_engine(project: Project) -> None:
    absent = Pulumi(project_dir=project.folder, reporter=Reporter(), environment={"PATH": "/nil"})
    with pytest.raises(UsageError, match="python -m engine env"):
        absent.version()


def test_engine_answers_are_read(project: Project, tools: Path) -> None:
    script(
        tools / "pulumi",
        'case "$1 $2" in\n'
        '"version --non-interactive") echo v3.252.0;;\n'
        '"whoami --json") echo \'{"url": "file:///b"}\';;\n'
        '"stack ls") echo \'[{"name": "v0"}, {"name": "organization/toy/v1"}]\';;\n'
        "esac",
    )
    engine = pulumi(project)
    assert engine.version() == "3.252.0"
    assert engine.backend() == "file:///b"
    assert engine.stacks() == {"v0", "v1"}


CHANGES: dict[str, Callable[[Pulumi], object]] = {
    "create": lambda engine: engine.create("v1"),
    "write": lambda engine: engine.write("v1", State({})),
    "move": lambda engine: engine.move("v0", "v1", ["urn"]),
    "remove": lambda engine: engine.remove("v1"),
    "preview": lambda engine: engine.preview("v1"),
    "look again": lambda engine: engine.look_again(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_read_is_known_until_something_changes(
    project: Project, tools: Path, tmp_path: Path, change: Callable[[Pulumi], object]
) -> None:
    asked = tmp_path / "asked"
    script(tools / "pulumi", f'echo "$1 $2" >> {asked}; [ $1 = preview ] && echo {{}} || echo []')
    engine = pulumi(project)
    for _ in range(2):
        engine.stacks()
    change(engine)
    engine.stacks()
    assert asked.read_text().splitlines().count("stack ls") == 2


@pytest.mark.parametrize(
    ("output", "kind", "text"),
    [
        ("error: incorrect passphrase", RefusedError, "PULUMI_CONFIG_PASSPHRASE"),
        ("warning: x\nerror: disk full", EngineError, "error: disk full"),
    ],
)
def test_engine_failures(
    project: Project, tools: Path, output: str, kind: type[Exception], text: str
) -> None:
    script(tools / "pulumi", f"printf '{output}\\n' >&2; exit 255")
    with pytest.raises(kind, match=text):
        pulumi(project).export("v0")


def test_a_preview_with_errors_gives_its_diagnostics(project: Project, tools: Path) -> None:
    answer = {"diagnostics": [{"severity": "error", "message": "no such setting"}]}
    script(tools / "pulumi", f"echo '{json.dumps(answer)}'; exit 1")
    with pytest.raises(EngineError, match="no such setting"):
        pulumi(project).preview("v1")


def test_a_lock_of_a_living_process_is_respected(project: Project, tools: Path) -> None:
    holder = f"root@{os.uname().nodename} (pid {os.getpid()})"
    line = f"file:///b/.pulumi/locks/organization/toy/v1/0-1.json: created by {holder} at x"
    script(tools / "pulumi", f'echo "locked by 1 lock(s).\n  {line}" >&2; exit 1')
    with pytest.raises(BusyError, match=f"v1 is locked by process {os.getpid()}"):
        pulumi(project).remove("v1")


def test_only_one_stagectl_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "ORPHAN_SECONDS", 0)
    first, second = lock.held(tmp_path, Reporter()), lock.held(tmp_path, Reporter())
    with first, pytest.raises(BusyError), second:
        pass
    with lock.held(tmp_path, Reporter()) as handle:
        orphan = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(handle,)
        )
    with pytest.raises(BusyError), lock.held(tmp_path, Reporter()):
        pass
    orphan.communicate(b"\n")
    with lock.held(tmp_path, Reporter()):
        pass


@pytest.fixture
def markers(project: Project, tools: Path, tmp_path: Path) -> SshMarkers:
    """Two hosts whose ssh is this machine's bash, with the program's real hostctl."""
    hostctl = host_script.laid(tmp_path)
    script(
        tools / "ssh",
        f'printf "%s\\n" "$*" >> {tmp_path}/calls\n'
        'command="${@: -1}"; host="${@: -2:1}"\n'
        '[ "$host" = 192.0.2.9 ] && { echo "ssh: no route to host" >&2; exit 255; }\n'
        f"export AIRBYTE_MIGRATION_STATE={tmp_path}/$host\n"
        f"command=${{command//\\/var\\/lib\\/airbyte-migration/{tmp_path}/$host}}\n"
        f"command=${{command//\\/usr\\/local\\/lib\\/airbyte-migration\\/hostctl/bash {hostctl}}}\n"
        'bash -c "$command"',
    )
    project.stack_file("v1").write_text(
        "config:\n"
        "  toy:deployment: lab\n"
        "  toy:operator: {user: admin, identityFile: /k, knownHostsFile: /kh}\n"
        "  toy:hosts:\n"
        "    prod: {address: 192.0.2.1, sshPort: 2211}\n"
        "    replica: {address: 192.0.2.2}\n"
    )
    for host, content in (("192.0.2.1", '{"deployment":"lab","stage":"v0"}'), ("192.0.2.2", "")):
        (tmp_path / host).mkdir()
        if content:
            (tmp_path / host / "marker").write_text(content + "\n")
    return SshMarkers.of(project, ("v0", "v1"), Reporter())


def test_markers_are_read_and_moved_by_hostctl(markers: SshMarkers, tmp_path: Path) -> None:
    assert [(r.host, r.stage, r.deployment) for r in markers.read()] == [
        ("prod", "v0", "lab"),
        ("replica", None, None),
    ]
    markers.move("prod", "v0", "v1")
    markers.move("prod", "v0", "v1")
    assert markers.read()[0].stage == "v1"
    with pytest.raises(HostUnreachableError, match="no marker"):
        markers.move("replica", "v0", "v1")
    for line in (tmp_path / "calls").read_text().splitlines():
        assert "StrictHostKeyChecking=yes" in line
        assert "UserKnownHostsFile=/kh" in line
        assert "-l admin" in line


def test_what_a_cut_over_or_failover_left_on_a_host_is_read(
    markers: SshMarkers, tmp_path: Path
) -> None:
    for instance, content in (("airbyte-a", "2 active-intermediary"), ("airbyte-b", "2 stopped")):
        (tmp_path / "192.0.2.1" / instance).mkdir()
        (tmp_path / "192.0.2.1" / instance / "epoch").write_text(content + "\n")
    (tmp_path / "192.0.2.1" / "keys").mkdir()
    prod, replica = markers.read()
    assert str(prod) == "v0; airbyte-a active-intermediary, epoch 2; airbyte-b stopped, epoch 2"
    assert [a.active for a in prod.activations] == [True, False]
    assert prod.as_json()["activations"][0] == {
        "instance": "airbyte-a",
        "epoch": 2,
        "rendering": "active-intermediary",
    }
    assert str(replica) == "no marker"


def test_a_silent_host_and_a_broken_marker_are_readings(
    markers: SshMarkers, project: Project, tmp_path: Path
) -> None:
    path = project.stack_file("v1")
    path.write_text(path.read_text().replace("192.0.2.2", "192.0.2.9"))
    (tmp_path / "192.0.2.1" / "marker").write_text("v0")
    prod, replica = SshMarkers.of(project, ("v1",), Reporter()).read()
    assert "is not a marker" in str(prod.error)
    assert replica.error == "ssh: no route to host"
