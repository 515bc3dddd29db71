"""Small pure parts: dumps, hashes, marks, sequences, status."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db_migration import catalog
from db_migration.agent import state
from db_migration.config_access import HostControlConfig
from db_migration.effects import Effect
from db_migration.failover import look
from db_migration.following import marks
from db_migration.postgres import crowded, reasons
from db_migration.reporting import error_text, status
from db_migration.seeding import dump
from db_migration.sides.hosts import SshHostControl, deadline

DUMP = """
SET statement_timeout = 0;
--
-- Name: jobs jobs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.jobs ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);


--
-- Name: jobs Scope; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX "jobs Scope" ON public.jobs USING btree (scope);
"""


def test_a_section_may_hold_no_object() -> None:
    assert dump.items("SET lock_timeout = 0;\n") == []


def test_dump_is_split_at_its_headers() -> None:
    found = dump.items(DUMP)
    assert [(item.kind, item.name) for item in found] == [
        ("CONSTRAINT", "jobs jobs_pkey"),
        ("INDEX", "jobs Scope"),
    ]
    assert "ADD CONSTRAINT jobs_pkey" in found[0].text
    assert "CREATE INDEX" not in found[0].text


@given(st.text())
def test_a_strangers_comment_is_no_mark(text: str) -> None:
    assert marks.mirror_mark(text) is None
    assert marks.working_mark(text) is None
    assert marks.is_strange(text)


NOTED = state.Logs(source=state.Log("1", 1, 10), target=state.Log("2", 3, 20))


@pytest.mark.parametrize("noted", [(), (NOTED,), (None, NOTED)])
@pytest.mark.parametrize("followed", [True, False])
def test_a_mark_says_whether_its_copy_was_followed(
    noted: tuple[state.Logs | None, ...], *, followed: bool
) -> None:
    """And how far both logs were then."""
    mark = state.Mark("0/1", {"public.jobs": "a"}, "t", listings={"public.jobs": "1 2"})
    mark = replace(mark, noted=noted, followed=followed)
    with patch.object(marks, "run") as run:
        marks.write_mirror(MagicMock(), "airbyte_mirror", mark)
    statement = run.call_args.args[1].as_string()
    assert marks.mirror_mark(statement.partition("IS '")[2].removesuffix("'")) == mark


def test_marks_are_told_apart() -> None:
    mirror = {"kind": "mirror", "lsn": "0/1", "tables": {"public.jobs": "a"}, "types": "t"}
    working = {"kind": "working", "made_at": "now", "source_lsn": "0/1", "complete": True}
    assert marks.mirror_mark(json.dumps({marks.KEY: mirror})) == state.Mark(
        "0/1", {"public.jobs": "a"}, "t"
    )
    assert marks.working_mark(json.dumps({marks.KEY: mirror})) is None
    assert marks.mirror_mark(json.dumps({marks.KEY: working})) is None
    assert not marks.is_strange(json.dumps({marks.KEY: working}))
    assert not marks.is_strange(None)


def test_a_lock_that_was_not_had_is_no_mystery() -> None:
    told = error_text.error_dict(psycopg.errors.LockNotAvailable("canceling statement"))
    assert "is locked" in told["found"]
    assert "pg_locks" in told["way_out"]


@pytest.mark.parametrize(
    ("error", "needed", "way_out"),
    [
        (psycopg.errors.InsufficientPrivilege(), "a role that may", "target_setup.sql"),
        (psycopg.errors.OutOfMemory(), "enough disk, memory", "what the message names"),
        (psycopg.errors.IoError(), "a disk that can be read", "its log"),
        (psycopg.errors.AdminShutdown(), "a server that answers", "the tunnel"),
        (psycopg.errors.ConnectionException(), "a server that answers", "the tunnel"),
        (psycopg.OperationalError(), "a server that answers", "the tunnel"),
        (psycopg.errors.CheckViolation(), "rows that this server takes", "preflight"),
        (psycopg.errors.FeatureNotSupported(), "rows that this server takes", "preflight"),
        (psycopg.errors.UndefinedFunction(), "rows that this server takes", "preflight"),
        (psycopg.errors.QueryCanceled(), "the step to succeed", "the agent's log says more"),
        (psycopg.ProgrammingError(), "the step to succeed", "the agent's log says more"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_what_a_server_lacks_is_said(error: psycopg.Error, needed: str, way_out: str) -> None:
    told, typed = error_text.error_dict(error), error_text.of_verb(error)
    assert needed in told["needed"]
    assert way_out in told["way_out"]
    assert "by itself" in told["way_out"]
    assert "by itself" not in typed["way_out"]
    assert typed["way_out"].endswith(error_text.AGAIN)


def test_ssh_checks_the_host_key_and_asks_nobody() -> None:
    config = HostControlConfig(
        address="198.51.100.11", key_file=Path("/key"), known_hosts_file=Path("/known")
    )
    command = SshHostControl(config).command("stop database")
    assert "StrictHostKeyChecking=yes" in command
    assert "BatchMode=yes" in command
    assert "UserKnownHostsFile=/known" in command
    assert command[-2:] == ["root@198.51.100.11", "stop database"]


def test_goals_are_reached_only_by_what_was_proven() -> None:
    feed = status.unknown("a", None)
    assert status.reached([feed], list(status.GOALS)) == [
        "a: following",
        "a: verified",
        "a: working",
    ]
    feed.update(state="following", verified={"equal": False}, working_database={})
    assert status.reached([feed], list(status.GOALS)) == ["a: verified"]


@pytest.mark.parametrize(
    ("age", "at_a_step", "state", "missing"),
    [
        (61.0, False, "following", []),
        (63.0, False, "broken", ["a: following", "a: verified", "a: working"]),
        (7200.0, True, "following", []),
    ],
    ids=["fresh", "silent", "at a long step"],
)
def test_a_dead_agents_last_words_hold_no_longer(
    age: float, at_a_step: bool, state: str, missing: list[str]
) -> None:
    said = {**status.unknown("a", None), "state": "following", "lag": {"seconds": 0.004}}
    said.update(verified={"equal": True}, working_database={"age_seconds": 5.0})
    journal = MagicMock(state=lambda: (said, age), is_held=lambda: at_a_step)
    feed = status.last(journal, "a", poll_seconds=2)
    assert (feed["state"], feed["age_seconds"]) == (state, age)
    assert feed["working_database"]["age_seconds"] == 5.0 + age
    assert status.reached([feed], list(status.GOALS)) == missing
    if missing:
        assert feed["lag"] is None
        assert feed["error"]["found"] == "the agent has said nothing for 63 s"
        assert "docker logs db-migration" in feed["error"]["way_out"]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            {"lag": None, "lag_seen": {"bytes": 5.0, "seconds": 0.2, "at": "noon"}},
            "last seen 5 bytes and 0.2 s behind at noon",
        ),
        ({"lag": {"bytes": None, "seconds": 60.0}, "lag_seen": None}, ""),
        ({}, ""),
    ],
)
def test_what_a_failover_may_lose_is_what_was_measured(state: dict[str, Any], said: str) -> None:
    assert look._lag(state) == said


def test_effects_have_names_of_their_own() -> None:
    assert len(set(Effect)) == len(list(Effect))


def test_starting_an_airbyte_may_take_as_long_as_helm_may() -> None:
    assert deadline("start airbyte") > 3600 > deadline("stop database")


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("FATAL:  sorry, too many clients already", True),
        ("FATAL:  remaining connection slots are reserved for non-replication superuser", True),
        ('FATAL:  remaining connection slots are reserved for roles with the "SUPERUSER"', True),
        ('FATAL:  too many connections for role "docker"', True),
        ('FATAL:  too many connections for database "airbyte"', True),
        ('FATAL:  password authentication failed for user "docker"', False),
        ("connection refused", False),
    ],
)
def test_who_finds_all_connections_taken_is_told_so(said: str, *, taken: bool) -> None:
    assert crowded(said) is taken


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            'root certificate file "/r.crt" does not exist\nEither provide the file, or change',
            'root certificate file "/r.crt" does not exist Either provide the file, or change',
        ),
        ("refused\n\tIs the server running on that host?\n", "refused"),
        (
            "b\nMultiple connection attempts failed. All failures were:\n- x: a\n- y: b",
            "- x: a - y: b",
        ),
        ("", "OperationalError"),
    ],
)
def test_nothing_of_why_nobody_gets_in_is_left_out(said: str, kept: str) -> None:
    assert reasons(psycopg.OperationalError(said)) == kept


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ("made:1", "made:1", True),
        ("made:1", "again:1", False),
        ("made:1", "made:2", False),
        ("made", "made:2", True),
        ("made", "again:2", False),
        ("made:1", "made:given", True),
        ("made:given", "made:given", True),
        ("made:given", "made:2", False),
        ("made:1", "again:given", False),
        ("made:1 columns file", "made:1 columns other", True),
        ("made:1 columns file", "made:1 other file", True),
        ("made:1 columns file", "made:1 other other", False),
        ("made:1 columns file", "made:2 columns file", False),
        ("made columns file", "made:2 columns file", True),
        ("made columns file", "made:2 other other", False),
    ],
)
def test_rows_that_ddl_has_made_show_in_a_tables_body(before: str, now: str, *, same: bool) -> None:
    """An earlier version notes nothing of names, and a new owner is no new name."""
    assert catalog.same_rows(before, now) is same
