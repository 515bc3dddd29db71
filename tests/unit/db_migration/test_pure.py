"""Small pure parts: dumps, hashes, marks, sequences, status."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from db_migration.agent import state
from db_migration.config import HostControlConfig
from db_migration.effects import Effect
from db_migration.following import marks
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


def test_effects_have_names_of_their_own() -> None:
    assert len(set(Effect)) == len(list(Effect))


def test_starting_an_airbyte_may_take_as_long_as_helm_may() -> None:
    assert deadline("start airbyte") > 3600 > deadline("stop database")
