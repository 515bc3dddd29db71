"""Small pure parts: dumps, hashes, marks, sequences, status."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from db_migration import dump, hashing, marks, sequences, state, status
from db_migration.catalog import Column, Sequence, Table
from db_migration.config import HostControlConfig
from db_migration.effects import Effect
from db_migration.hosts import SshHostControl, deadline

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


def test_dump_is_split_at_its_headers() -> None:
    found = dump.items(DUMP)
    assert [(item.kind, item.name) for item in found] == [
        ("CONSTRAINT", "jobs jobs_pkey"),
        ("INDEX", "jobs Scope"),
    ]
    assert "ADD CONSTRAINT jobs_pkey" in found[0].text
    assert "CREATE INDEX" not in found[0].text


def test_every_column_counts_with_its_position() -> None:
    columns = [Column("a", "text", "text"), Column("b", "text", "text")]
    table = Table("public", 'odd"name', "d", True, True, 0)
    text = hashing.table_sum(table, columns).as_string()
    assert '"odd""name"' in text
    assert 'hashtextextended("a"::text COLLATE "C", 1)' in text
    assert 'hashtextextended("b"::text COLLATE "C", 2)' in text


def sequence(last: int | None, increment: int = 1) -> Sequence:
    return Sequence("public", "jobs_id_seq", last, increment, 2**63 - 1)


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(2, 10**6))
def test_sequence_is_never_left_behind(there: int, here: int, margin: int) -> None:
    late = sequences.behind([sequence(there)], [sequence(here)], margin)
    after = late["public.jobs_id_seq"][1] if late else here
    assert after >= there + margin // 2
    assert after >= here or late


def test_sequences_that_need_nothing() -> None:
    assert sequences.behind([sequence(None)], [sequence(None)], 100) == {}
    assert sequences.behind([sequence(-5, -1)], [sequence(None)], 100) == {}
    assert sequences.behind([sequence(5)], [], 100) == {}
    assert list(sequences.behind([sequence(5)], [sequence(None)], 100)) == ["public.jobs_id_seq"]
    small = Sequence("public", "small", 90, 1, 100)
    assert sequences.behind([small], [small], 1000)["public.small"][1] == 100
    assert sequences.behind([small], [Sequence("public", "small", 100, 1, 100)], 1000) == {}


@given(st.text())
def test_a_strangers_comment_is_no_mark(text: str) -> None:
    assert marks.mirror_mark(text) is None
    assert marks.working_mark(text) is None


def test_marks_are_told_apart() -> None:
    mirror = {"kind": "mirror", "lsn": "0/1", "tables": {"public.jobs": "a"}, "types": "t"}
    working = {"kind": "working", "made_at": "now", "source_lsn": "0/1", "complete": True}
    assert marks.mirror_mark(json.dumps({marks.KEY: mirror})) == state.Mark(
        "0/1", {"public.jobs": "a"}, "t"
    )
    assert marks.working_mark(json.dumps({marks.KEY: mirror})) is None
    assert marks.mirror_mark(json.dumps({marks.KEY: working})) is None


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
