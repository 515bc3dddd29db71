"""The configuration file: every mistake at once, none with a secret in it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from db_migration import config_file
from db_migration.config import Config
from db_migration.errors import ConfigError
from db_migration.reporting.board import SILENT_SECONDS


@pytest.fixture
def good(tmp_path: Path) -> dict[str, Any]:  # size: one document, shown whole
    """The example of the contract, with the files it names."""
    for name in ("migration", "source_owner", "agent_key", "known_hosts"):
        (tmp_path / name).write_text(f"planted-{name}\n")
    migration = {"user": "airbyte_migration", "password_file": str(tmp_path / "migration")}
    host = {
        "address": "198.51.100.11",
        "port": 22,
        "user": "root",
        "key_file": str(tmp_path / "agent_key"),
        "known_hosts_file": str(tmp_path / "known_hosts"),
    }
    owner = {"user": "docker", "password_file": str(tmp_path / "source_owner")}
    source = {
        "name": "prod",
        "host": "prod-database",
        "port": 5432,
        "database": "airbyte",
        "sslmode": "prefer",
        "owner": owner,
        "reader": migration,
        "address_for_subscriber": {"host": "prod-database", "port": 5432},
        "host_control": host,
    }
    target = {
        "name": "core-worker-01",
        "host": "postgres",
        "port": 5432,
        "database": "airbyte_mirror",
        "sslmode": "require",
        **migration,
        "owner_role": "airbyte",
    }
    working = {
        "name": "airbyte",
        "owner_role": "airbyte",
        "refresh_hours": 24,
        "reader_host_control": None,
    }
    feed = {
        "name": "prod-to-core-worker-01",
        "mode": "auto",
        "allow_source_restart": True,
        "source": source,
        "target": target,
        "working_database": working,
    }
    control = {"host": "postgres", "port": 5432, "database": "airbyte_migration", **migration}
    return {
        "deployment": "lab",
        "control": {**control, "sslmode": "require"},
        "feeds": [feed],
        "verify_every_seconds": 300,
        "poll_seconds": 2,
    }


def problems(tmp_path: Path, document: object) -> list[str]:
    path = tmp_path / "config.json"
    text = document if isinstance(document, str | bytes) else json.dumps(document)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        config_file.load(path)
    assert caught.value.exit_code == 2
    return caught.value.problems


def test_example_of_the_contract_is_read(tmp_path: Path, good: dict[str, Any]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(good))
    found = config_file.load(path)
    assert found.feeds[0].slot == "airbyte_migration_core_worker_01"
    assert found.feeds[0].source.owner.password() == "planted-source_owner"


def test_every_problem_is_named_at_once(tmp_path: Path, good: dict[str, Any]) -> None:
    feed = good["feeds"][0]
    feed["mode"] = "telepathy"
    feed["source"]["port"] = 99999
    del feed["source"]["owner"]
    feed["target"]["databse"] = "typo"
    good["deployment"] = "Not A Name"
    found = "\n".join(problems(tmp_path, good))
    for key in (
        "`feeds.0.mode`",
        "`feeds.0.source.port`",
        "`feeds.0.source.owner`",
        "`feeds.0.target.databse`",
        "`deployment`",
    ):
        assert key in found


def test_every_missing_file_is_named_at_once(tmp_path: Path, good: dict[str, Any]) -> None:
    good["control"]["password_file"] = "/nowhere/control"
    good["feeds"][0]["source"]["owner"]["password_file"] = "/nowhere/owner"
    good["feeds"][0]["source"]["host_control"]["key_file"] = "/nowhere/key"
    reader = {**good["feeds"][0]["source"]["host_control"], "known_hosts_file": "/nowhere/known"}
    good["feeds"][0]["working_database"]["reader_host_control"] = reader
    found = problems(tmp_path, good)
    assert len(found) == 5
    assert "`feeds.0.source.host_control.key_file`: `/nowhere/key`" in "\n".join(found)
    at = "feeds.0.working_database.reader_host_control"
    assert f"`{at}.key_file`: `/nowhere/key`" in "\n".join(found)
    assert f"`{at}.known_hosts_file`: `/nowhere/known`" in "\n".join(found)


def test_password_in_the_wrong_place_is_not_repeated(tmp_path: Path, good: dict[str, Any]) -> None:
    good["control"]["password"] = "planted-in-the-wrong-place"
    good["feeds"][0]["source"]["port"] = "planted-in-the-wrong-place"
    found = "\n".join(problems(tmp_path, good))
    assert "`control.password`" in found
    assert "planted" not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "must be JSON"),
        ("[]", "(whole file)"),
        ("{}", "`feeds`"),
        (b'{"deployment": "caf\xe9"}', "must be UTF-8"),
        (b"\xef\xbb\xbf{}", "must be JSON"),
        ('{"poll_seconds": %s}' % ("9" * 5000), "without numbers that long"),
        ("[" * 100_000, "not nested so deeply"),
        ('{"deployment": "\\ud800"}', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
        ('{"deployment": "one", "deployment": "two"}', '"deployment" must stand there once'),
        ('{"control": {"\\udfff": 1, "\\udfff": 2}}', '"\\udfff" must stand there once'),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert expected in "\n".join(problems(tmp_path, text))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("poll_seconds", 0),
        ("poll_seconds", 61),
        ("poll_seconds", math.inf),
        ("poll_seconds", math.nan),
        ("verify_every_seconds", math.inf),
        ("verify_every_seconds", math.nan),
        ("schema_quiet_seconds", math.inf),
    ],
)
def test_number_that_nobody_can_wait_for(
    tmp_path: Path, good: dict[str, Any], key: str, value: float
) -> None:
    (said,) = problems(tmp_path, {**good, key: value})
    assert said.startswith(f"`{key}`: ")


def test_longest_poll_leaves_the_agent_alive() -> None:
    """/healthz calls an agent dead that says nothing for so long."""
    longest = Config.model_fields["poll_seconds"].metadata
    assert max(bound.le for bound in longest if hasattr(bound, "le")) <= SILENT_SECONDS / 2


@pytest.mark.parametrize(
    "key",
    [
        "control.password_file",
        "feeds.0.source.owner.password_file",
        "feeds.0.source.host_control.key_file",
    ],
)
@pytest.mark.parametrize("text", ["", "\n"])
def test_secret_that_is_empty(tmp_path: Path, good: dict[str, Any], key: str, text: str) -> None:
    empty = tmp_path / "empty"
    empty.write_text(text)
    at: Any = good
    *parents, last = key.split(".")
    for part in parents:
        at = at[int(part)] if part.isdigit() else at[part]
    at[last] = str(empty)
    assert f"`{key}`: `{empty}` must be a file that is not empty" in problems(tmp_path, good)


def test_password_that_was_emptied_later(tmp_path: Path, good: dict[str, Any]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(good))
    found = config_file.load(path)
    (tmp_path / "source_owner").write_text("")
    with pytest.raises(ConfigError, match="password file of `docker` must not be empty"):
        found.feeds[0].source.owner.password()


def test_password_that_is_not_utf_8(tmp_path: Path, good: dict[str, Any]) -> None:
    """It is found at the start, and when it is read: a rotated one counts from then on."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(good))
    found = config_file.load(path)
    (tmp_path / "source_owner").write_bytes(b"planted-\xe4")
    with pytest.raises(ConfigError, match="password file of `docker` must be UTF-8") as caught:
        found.feeds[0].source.owner.password()
    assert "planted" not in str(caught.value)
    (said,) = problems(tmp_path, good)
    assert said.startswith("`feeds.0.source.owner.password_file`: ")
    assert said.endswith("source_owner` must be UTF-8")


def test_source_and_target_must_differ(tmp_path: Path, good: dict[str, Any]) -> None:
    feed = good["feeds"][0]
    feed["target"].update(host="prod-database", database="airbyte")
    assert "must be two databases" in "\n".join(problems(tmp_path, good))


@pytest.mark.parametrize("key", ["target", "working_database"])
def test_databases_of_one_target_must_differ(
    tmp_path: Path, good: dict[str, Any], key: str
) -> None:
    feed, control = good["feeds"][0], good["control"]
    same = {name: control[name] for name in ("host", "port") if name in control}
    feed["target"].pop("port", None)
    feed["target"].update(same, database="airbyte_migration")
    if key == "working_database":
        feed["target"]["database"] = "airbyte_mirror"
        feed[key] = {"name": "airbyte_mirror"}
    assert "control database must differ" in "\n".join(problems(tmp_path, good))


def test_more_log_than_a_server_can_bound_is_refused(tmp_path: Path, good: dict[str, Any]) -> None:
    good["feeds"][0]["max_retained_wal_bytes"] = 2**51
    assert "max_retained_wal_bytes" in "\n".join(problems(tmp_path, good))


def test_feeds_must_have_different_names(tmp_path: Path, good: dict[str, Any]) -> None:
    good["feeds"] *= 2
    assert "different names" in "\n".join(problems(tmp_path, good))
