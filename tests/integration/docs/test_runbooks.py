"""The runbooks fit half a page, and each command in them is one that exists, on a machine there is.

That they work is seen where they are carried out: in the tests of the cut-over and of the crashes.
"""

import re
import subprocess
import sys
from functools import cache

import pytest
import typer.main
import yaml
from typer.core import TyperCommand, TyperGroup

from db_migration.cli.app import app as db_migration
from stages.stagectl.cli import app as stagectl
from tests.integration.docs import runbooks
from tests.integration.docs.runbooks import FOLDER, OPERATOR, Command, carry_out, follow, sections
from tests.support.fix_engine import ROOT, Engine

NAMES = ("cut-over", "failover", "failback")
MOST_LINES = 50
AGENT = ["docker", "exec", "db-migration", "db-migration"]
EVERY = [
    pytest.param(command, id=f"{name}: {command.machine}$ {command.line}")
    for name in NAMES
    for commands in sections(name).values()
    for command in commands
]


def options(app: typer.Typer, verb: str) -> set[str]:
    """Flags of a verb; a verb that there is not is an error."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.get_command(typer.Context(group), verb)
    assert isinstance(command, TyperCommand)
    return {flag for parameter in command.params for flag in parameter.opts}


def flags(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("-")}


@cache
def pulumi_help(bin_dir: str, *verb: str) -> str:
    argv = [f"{bin_dir}/pulumi", *verb, "--help"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", NAMES)
def test_half_a_page_with_something_to_type(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert sum(map(len, sections(name).values())) >= 5


@pytest.mark.parametrize("command", EVERY)
def test_every_command_exists(command: Command, pulumi_engine: Engine) -> None:
    hosts = yaml.safe_load((ROOT / "Pulumi.v2.yaml").read_text())["config"][
        "airbyte-migration:hosts"
    ]
    assert command.machine in {OPERATOR, *hosts}
    words = command.line.split()
    if words[:4] == AGENT:
        assert flags(words[5:]) <= options(db_migration, words[4])
    elif words[0] == "stagectl":
        assert flags(words[2:]) <= options(stagectl, words[1])
    else:
        assert words[0] == "pulumi", "a runbook has no other command"
        assert command.machine == OPERATOR
        verb_words = [w for w in words[1:3] if not w.startswith("-")]
        known = pulumi_help(str(pulumi_engine.bin_dir), *verb_words)
        for flag in flags(words):
            assert re.search(rf"{flag}\b", known), flag


class Typist:
    """A deployment that only writes down."""

    def __init__(self) -> None:
        self.typed: list[str] = []

    def run(self, *command: str, ok: bool = True) -> "subprocess.CompletedProcess[str]":
        self.typed.append(" ".join(command).replace(sys.executable, "python"))
        return subprocess.CompletedProcess(command, 0, "", "")


def test_commands_are_typed_where_the_runbook_says() -> None:
    typist = Typist()
    follow(typist, "cut-over", "Go")
    carry_out(typist, Command("replica", "true"))
    assert typist.typed == [
        "pulumi config set --stack v2 cutover go",
        "pulumi up --stack v2 --yes",
        "python -m lab ssh core-worker-01 -- docker exec db-migration db-migration status",
        "python -m lab ssh replica -- true",
    ]


def test_a_line_that_is_no_command_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"MACHINE\$ command"):
        runbooks._command("docker ps")
