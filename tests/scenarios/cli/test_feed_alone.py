"""What docs/reference/feed-alone.md says to somebody who has neither Pulumi nor an Airbyte."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import BaseModel

from db_migration import config as configuration
from tests.support import exact, timeouts
from tests.support.fix_postgres import PgServer
from tests.support.scenario import PASSWORDS, ROOT, Scenario

PAGE = (ROOT / "docs/reference/feed-alone.md").read_text()
CONSOLE = re.compile(r"^(target|feed)\$ (.+)$", re.MULTILINE)
JSON = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
IMAGE = "registry.example.com/db-migration"
FILES = {"feed": "migration", "owner": "source_owner"}
BY_PULUMI = ("servers", "instances", "initial", "cutover", "schedules")
WARNINGS_ONLY = 5


@dataclass
class Typist:
    """Somebody who types the page's lines; a process of ours stands for its container."""

    scenario: Scenario
    config: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def type(self, machine: str, line: str) -> None:
        """Type one line; it must succeed."""
        words = shlex.split(line)
        if machine == "target":
            self._psql(words)
        elif words[:3] == ["docker", "run", "-d"]:
            self.running.append(subprocess.Popen(self._command("run"), cwd=ROOT))
        elif words[:2] == ["docker", "rm"]:
            self.end()
        else:
            begin = max(n for n, word in enumerate(words) if word in {"db-migration", IMAGE})
            verb = words[begin + 1 :]
            done = exact.commanded(lambda: self._run(*verb))
            well = {0, WARNINGS_ONLY} if verb == ["preflight"] else {0}
            assert done.returncode in well, f"{line}: {done.stderr}"

    def end(self) -> None:
        """End the container, as `docker rm` and a failed test do."""
        while self.running:
            run = self.running.pop()
            run.terminate()
            assert run.wait(timeouts.AGENT_STEP) == 0

    def _psql(self, words: list[str]) -> None:
        if "-f" in words:  # the fixture has run it, with the test's passwords
            assert (ROOT / words[-1]).samefile(ROOT / "db_migration/target_setup.sql")
        else:
            self.scenario.target.sql(words[-1])

    def _run(self, *verb: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(*verb), cwd=ROOT, check=False, capture_output=True, text=True
        )

    def _command(self, *verb: str) -> list[str]:
        return [sys.executable, "-m", "db_migration", *verb, "--config", str(self.config)]


@pytest.fixture
def typist(scenario: Scenario) -> Iterator[Typist]:
    """Give the page's configuration the test's servers and files."""
    whole = json.loads(JSON.findall(PAGE)[0])
    servers = {"prod.example.com": scenario.source, "target.example.com": scenario.target}
    fill_in(whole, servers, scenario.folder)
    found = Typist(scenario, scenario.folder / "alone.json")
    found.config.write_text(json.dumps({**whole, "http": {"port": 0}}))
    yield found
    found.end()


def fill_in(at: Any, servers: dict[str, PgServer], folder: Path) -> None:  # noqa: ANN401
    for each in at if isinstance(at, list) else list(at.values()):
        if isinstance(each, list | dict):
            fill_in(each, servers, folder)
    if "host" in at:
        at |= {"port": servers[at["host"]].port, "host": "127.0.0.1"}
        at |= {"sslmode": "prefer"} if "database" in at else {}
    if "password_file" in at:
        at["password_file"] = str(folder / FILES[Path(at["password_file"]).name])


def test_who_types_the_page_ends_with_a_database_of_ones_own(
    scenario: Scenario, typist: Typist
) -> None:
    before = scenario.content(scenario.source, "airbyte")
    for machine, line in CONSOLE.findall(PAGE):
        typist.type(machine, line)
    assert scenario.content(scenario.target, "airbyte_mirror") == before
    assert scenario.source.sql("SELECT FROM pg_replication_slots") == []
    role = "SELECT FROM pg_roles WHERE rolname = 'airbyte_migration'"
    assert scenario.source.sql(role) == []
    [(last,)] = scenario.source.sql("SELECT max(id) FROM jobs", database="airbyte")
    insert = "INSERT INTO jobs (scope, status) SELECT scope, status FROM jobs LIMIT 1 RETURNING id"
    mirror, password = scenario.target.dsn("airbyte_mirror"), PASSWORDS["airbyte"]
    with psycopg.connect(mirror, user="airbyte", password=password) as mine:
        [(next_id,)] = mine.execute(insert).fetchall()
    assert next_id > last


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field_info in model.model_fields.items():
        yield name
        if name not in BY_PULUMI:
            kinds = (field_info.annotation, *getattr(field_info.annotation, "__args__", ()))
            for kind in kinds:
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    yield from keys(kind)


def test_every_key_of_the_configuration_is_on_the_page() -> None:
    assert [key for key in keys(configuration.Config) if f"`{key}`" not in PAGE] == []
