"""The script that judges an Airbyte that runs already, run for real; docker is a stand-in."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from airbyte.inspection import CONTAINERS
from components.compose_adopt import ADOPT_SOURCE

VERSION = "0.63.15"
DOCKER = """#!/bin/bash
echo "docker $*" >>"$FOLDER/log"
container="$FOLDER/${!#}"
[[ -d $container ]] || { echo "no such container" >&2; exit 1; }
case "$*" in
  *State.Running*) cat "$container/running" ;;
  *Config.Env*) cat "$container/env" ;;
  *Config.Image*) cat "$container/image" ;;
  *Mounts*) cat "$container/volume" ;;
  *Networks*) cat "$container/networks" ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A host whose containers are folders."""

    folder: Path

    def change(self, container: str, what: str, text: str) -> None:
        (self.folder / container / what).write_text(text)

    def lose(self, container: str) -> None:
        (self.folder / container).rename(self.folder / f"no-{container}")

    def adopt(self, *, ok: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-s", "--", VERSION, *CONTAINERS],
            input=ADOPT_SOURCE.read_text(),
            env={
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "FOLDER": str(self.folder),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert (done.returncode == 0) is ok, done.stderr
        return done

    def reasons(self) -> list[str]:
        done = self.adopt(ok=False)
        assert done.stdout == ""
        assert done.stderr.count("can not be adopted") == 1
        return re.findall("^- found (.*)$", done.stderr, re.MULTILINE)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A whole Airbyte."""
    made = Machine(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(DOCKER)
    (tmp_path / "bin" / "docker").chmod(0o755)
    for name in CONTAINERS:
        (tmp_path / name).mkdir()
        for what, text in (
            ("running", "true\n"),
            ("env", "DATABASE_PASSWORD=planted\n\n"),
            ("image", f"airbyte/{name.removeprefix('airbyte-')}:{VERSION}\n"),
            ("volume", "airbyte_db\n"),
            ("networks", "bridge\nmine_airbyte_internal\n\n"),
        ):
            made.change(name, what, text)
    return made


def test_a_good_one_is_adopted_with_its_own_network(machine: Machine) -> None:
    done = machine.adopt()
    assert json.loads(done.stdout) == {
        "version": VERSION,
        "network": "mine_airbyte_internal",
        "databaseVolume": "airbyte_db",
    }
    assert "planted" not in done.stdout + done.stderr


def test_it_only_looks(machine: Machine) -> None:
    machine.adopt()
    asked = (machine.folder / "log").read_text().splitlines()
    assert {line.split(" --")[0] for line in asked} == {"docker inspect"}


def test_a_network_of_another_name_is_taken_too(machine: Machine) -> None:
    machine.change("airbyte-db", "networks", "house\n\n")
    assert json.loads(machine.adopt().stdout)["network"] == "house"


def test_the_version_may_come_from_the_environment(machine: Machine) -> None:
    machine.change("airbyte-server", "image", "airbyte/server@sha256:0123\n")
    machine.change("airbyte-server", "env", f"X=1\nAIRBYTE_VERSION={VERSION}\n\n")
    machine.adopt()


def test_another_version_is_named_with_the_command(machine: Machine) -> None:
    machine.change("airbyte-server", "image", "house:5000/airbyte/server:0.63.9\n")
    said = machine.adopt(ok=False).stderr
    assert "found `airbyte-server` runs Airbyte 0.63.9\n" in said
    assert f"needed: prod.version, which is {VERSION}\n" in said
    assert "pulumi config set --path airbyte-migration:prod.version 0.63.9\n" in said


def test_a_digest_is_no_version(machine: Machine) -> None:
    machine.change("airbyte-server", "image", "house:5000/airbyte/server@sha256:0123\n")
    assert machine.reasons() == ["`airbyte-server` runs Airbyte of an unknown version"]


def test_stopped_and_missing_containers_are_all_named(machine: Machine) -> None:
    machine.change("airbyte-cron", "running", "false\n")
    machine.lose("airbyte-worker")
    assert sorted(machine.reasons()) == [
        "container `airbyte-cron` is stopped",
        "container `airbyte-worker` does not exist",
    ]


def test_nothing_there_is_told_container_by_container(machine: Machine) -> None:
    for name in CONTAINERS:
        machine.lose(name)
    assert len(machine.reasons()) == len(CONTAINERS)


def test_data_inside_the_container_is_refused(machine: Machine) -> None:
    machine.change("airbyte-db", "volume", "\n")
    assert machine.reasons() == ["`airbyte-db` keeps its data in the container"]


def test_what_is_mended_is_adopted(machine: Machine) -> None:
    machine.lose("airbyte-db")
    assert machine.reasons() == ["container `airbyte-db` does not exist"]
    (machine.folder / "no-airbyte-db").rename(machine.folder / "airbyte-db")
    machine.adopt()


def test_another_secret_store_is_refused(machine: Machine) -> None:
    """It does not travel with the database: connectors would come without their passwords."""
    machine.change("airbyte-server", "env", "SECRET_PERSISTENCE=VAULT\nVAULT_TOKEN=planted\n\n")
    said = machine.adopt(ok=False).stderr
    assert "found `airbyte-server` keeps secrets in VAULT\n" in said
    assert "planted" not in said
    machine.change("airbyte-server", "env", "SECRET_PERSISTENCE=TESTING_CONFIG_DB_TABLE\n\n")
    machine.adopt()
