"""The command plugin under the real engine."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.engine.conftest import Project
from tests.unit.engine.sshd import SshServer, running

pytestmark = pytest.mark.long

LOCAL = """
import pulumi
import pulumi_command as command

made = command.local.Command(
    "made",
    create="echo {create} >> log; echo {create}",
    update={update!r},
    delete="echo deleted {create} >> log",
    triggers=[{trigger!r}],
)
pulumi.export("stdout", made.stdout)
"""

REMOTE = """
import pulumi
import pulumi_command as command

connection = command.remote.ConnectionArgs(
    host="127.0.0.1", port={port}, user="operator", private_key={key!r}, host_key={host_key!r},
    dial_error_limit=0,
)
source = pulumi.{source}
upload = command.remote.CopyToRemote(
    "upload", connection=connection, source=source, remote_path="/payload"
)
command.remote.Command(
    "apply", connection=connection, create="cat payload; cat", logging="none",
    stdin=pulumi.Output.secret("planted"),
    triggers=[source], opts=pulumi.ResourceOptions(depends_on=[upload]),
)
"""


def test_a_local_command_lives(project: Project) -> None:
    log = project.folder / "log"
    project.program(LOCAL.format(create="one", update=None, trigger="a"))
    preview = project.pulumi("preview")
    assert "made" in preview
    assert not log.exists()
    project.up()
    assert project.pulumi("stack", "output", "stdout") == "one\n"
    project.up("--expect-no-changes")
    project.pulumi("refresh", "--yes", "--expect-no-changes")
    project.program(LOCAL.format(create="two", update="echo up >> log", trigger="a"))
    project.up()
    project.program(LOCAL.format(create="three", update="echo up >> log", trigger="b"))
    project.up()
    assert log.read_text().split("\n")[:-1] == ["one", "up", "three", "deleted two"]


def test_a_failing_command_fails_the_update_with_its_output(project: Project) -> None:
    project.program(
        "import pulumi_command as c\nc.local.Command('bad', create='echo the reason; exit 9')"
    )
    output = project.up(code=1)
    assert "exit status 9" in output
    assert "the reason" in output
    assert "Traceback" not in output


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SshServer]:
    root = tmp_path / "host"
    root.mkdir()
    with running(root) as server:
        yield server


def remote_program(host: SshServer, source: str) -> str:
    key = io.StringIO()
    host.user_key.write_private_key(key)
    return REMOTE.format(
        port=host.port, key=key.getvalue(), host_key=host.host_key_line, source=source
    )


def test_a_changed_file_is_copied_and_triggers_and_secrets_stay_sealed(
    project: Project, host: SshServer
) -> None:
    file = project.folder / "file"
    file.write_text("first\n")
    project.program(remote_program(host, 'FileAsset("file")'))
    project.up()
    assert (host.root / "payload").read_text() == "first\n"
    project.up("--expect-no-changes")
    file.write_text("second\n")
    output = project.up()
    assert (host.root / "payload").read_text() == "second\n"
    assert host.commands == ["cat payload; cat", "cat payload; cat"]
    assert "replaced" in output
    state = str(project.state())
    assert "planted" not in state
    assert "PRIVATE KEY" not in state
    assert "planted" not in output.replace("[secret]", "")


def test_a_wrong_host_key_stops_the_update(project: Project, host: SshServer) -> None:
    program = remote_program(host, 'StringAsset("x")')
    other = SshServer(host.root)
    try:
        project.program(program.replace(host.host_key_line, other.host_key_line))
        output = project.up(code=1)
    finally:
        other.close()
    assert "host key mismatch" in output
    assert list(host.root.iterdir()) == []
