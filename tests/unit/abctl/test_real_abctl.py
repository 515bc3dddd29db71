"""The real abctl of the pinned version: what it takes is what the program gives, and the lab plays.

Built from its Go module with pinned checksums. Its Docker is out of reach, so that a command line
that it can read ends at the daemon, and one that it can not read ends before.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airbyte import versions
from lab.abctl import commands
from lab.abctl.kong import Command
from tests.conformance.test_abctl_flags import REFUSED
from tests.unit.airbyte import wishes
from tests.unit.components import hostctl_machine
from tools import real_abctl

pytestmark = pytest.mark.long

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
NO_DOCKER = "unable to determine docker installation status"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def abctl(tmp_path_factory: pytest.TempPathFactory) -> Run:
    program = real_abctl.ensure()
    home = tmp_path_factory.mktemp("home")

    def run(*words: str) -> str:
        """Return what it says in plain words; it must end with 1, as nothing can be done."""
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "DO_NOT_TRACK": "1"}
        done = subprocess.run(
            [program, *words],
            env=environment | {"DOCKER_HOST": "tcp://127.0.0.1:1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == (0 if {"version", "--help"} & set(words) else 1)
        return " ".join(ANSI.sub("", done.stdout + done.stderr).split())

    return run


def described(path: tuple[str, ...], command: Command) -> Iterator[tuple[tuple[str, ...], Command]]:
    yield path, command
    for name, below in command.commands.items():
        yield from described((*path, name), below)


COMMANDS = dict(described((), commands.ROOT))


def test_it_is_the_pinned_version(abctl: Run) -> None:
    assert f"version: v{versions.ABCTL_VERSION}" in abctl("version")
    pinned = (real_abctl.SOURCES / "go.mod").read_text()
    assert f"\nrequire {real_abctl.PACKAGE} v{versions.ABCTL_VERSION}\n" in pinned


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_lab_has_exactly_its_commands_and_flags(abctl: Run, path: tuple[str, ...]) -> None:
    help_text = abctl(*path, "--help")
    command = COMMANDS[path]
    flags = set(re.findall(r"--([a-z][a-z-]*)", help_text)) - {"help"}
    assert flags == {flag.name for flag in (*commands.ROOT.flags, *command.flags)}
    for name in command.commands:
        assert re.search(rf"\b{name}\b", help_text)


@pytest.mark.parametrize(("line", "message"), REFUSED.items())
def test_it_refuses_what_the_lab_refuses_with_the_same_words(
    abctl: Run, line: str, message: str
) -> None:
    assert f"ERROR {message}" in abctl(*line.split())


@pytest.mark.parametrize("flags", sorted(wishes.GOLDEN.rglob("install.args")), ids=str)
def test_it_takes_the_flags_of_every_rendering(abctl: Run, flags: Path) -> None:
    values = str(flags.with_name("values.yaml"))
    assert NO_DOCKER in abctl("local", "install", *flags.read_text().split(), "--values", values)


def test_it_takes_every_command_line_of_the_hosts_script(abctl: Run, tmp_path: Path) -> None:
    """As they were given to a stand-in: install with all its files, status, uninstall, version."""
    machine = hostctl_machine.make(tmp_path)
    machine.lay_renderings()
    machine.ok("program", "ensure", versions.ABCTL_VERSION)
    machine.ok("apply", hostctl_machine.INSTANCE)
    machine.ok("uninstall", hostctl_machine.INSTANCE)
    lines = {line for line in machine.log if line.startswith("abctl ")}
    verbs = {" ".join(line.split()[1:3]) for line in lines}
    assert verbs == {"local install", "local status", "local uninstall", "version"}
    for line in lines - {"abctl version"}:
        words = line.split()[1:]
        for word in words:
            if word.endswith(".given.yaml"):
                # It is only there while abctl runs.
                Path(word).touch()
        assert NO_DOCKER in abctl(*words), line


def test_what_the_hosts_script_reads_is_what_it_says() -> None:
    """Its texts are constants of its program; a renamed one would be no release at all."""
    program = real_abctl.ensure().read_bytes()
    for text in hostctl_machine.READ_FROM_ABCTL:
        assert text.encode() in program, text
