"""A server is set back to an earlier state of its disk, or promoted, while no agent is there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from db_migration.agent import copies, observe
from db_migration.agent.agent import Agent
from db_migration.agent.copies import NOTED_EVERY_BYTES
from db_migration.agent.state import Target
from tests.support import timeouts
from tests.support.fix_postgres import PgServer, drop_everything, wait_for
from tests.support.scenario import SLOT, Scenario

MUCH = 5 * NOTED_EVERY_BYTES


def write(server: PgServer, scope: str) -> None:
    query = "INSERT INTO jobs (scope, status) VALUES (%s, 'pending')"
    with server.connect("airbyte") as prod:
        prod.execute(query, (scope,))


def noted(server: PgServer) -> str:
    """Return the comment of the publication."""
    query = "SELECT obj_description(oid, 'pg_publication') FROM pg_publication"
    return "".join(text or "" for (text,) in server.sql(query, database="airbyte"))


def look(scenario: Scenario, agent: Agent) -> None:
    """Let an agent follow until it has noted how far both logs are by now."""
    before = noted(scenario.source)
    wait_for(lambda: agent.once() and noted(scenario.source) != before, timeouts.FOLLOW)


def test_source_that_was_set_back_is_copied_anew(scenario: Scenario) -> None:
    """As from a snapshot of its disk: what it writes next would be skipped as seen already."""
    source = scenario.source
    stop = scenario.run_in_background(scenario.converge())
    source.stop()
    kept = kept_of(source)
    source.start()
    much = "INSERT INTO jobs (scope, status) SELECT repeat('x', 1000), 'pending' "
    source.sql(f"{much} FROM generate_series(1, 5000)", database="airbyte")
    scenario.assert_equal()
    source.stop()
    set_back(source, kept)
    source.start()
    write(source, "after it was set back")
    scenario.assert_equal()
    stop()
    steps = [step for _, step, *_ in scenario.journal().events()]
    assert steps.count("seed") == 4, "begun and ended, twice"


def test_source_that_was_set_back_and_has_written_more_than_before_is_copied_anew(
    scenario: Scenario,
) -> None:
    """Its log shows nothing: the slot stands in the midst of it."""
    source, target = scenario.source, scenario.target
    agent = scenario.converge()
    source.stop()
    kept = kept_of(source)
    source.start()
    write(source, "lost when it is set back")
    source.write_wal(MUCH)
    scenario.assert_equal()
    look(scenario, agent)
    target.stop()
    source.stop()
    set_back(source, kept)
    source.start()
    write(source, "what the slot skips")
    source.write_wal(2 * MUCH)
    target.start()
    scenario.converge()
    scenario.assert_equal()
    assert scenario.copies() == 2


def test_a_note_that_is_made_between_the_two_looks_of_another_process_is_no_sign(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut-over looks beside the agent."""
    agent = scenario.converge()
    scenario.source.write_wal(MUCH)
    look(scenario, agent)
    scenario.source.write_wal(MUCH)
    real = observe.target

    def target(*args: Any, **kwargs: Any) -> Target:  # noqa: ANN401 - handed on
        monkeypatch.undo()
        look(scenario, agent)
        return real(*args, **kwargs)

    monkeypatch.setattr(observe, "target", target)
    seen = observe.look(agent.context, agent.journal).planner
    assert seen.source is not None
    assert seen.target is not None
    assert copies.useless(seen.source, seen.target) is None


def test_target_that_was_set_back_is_copied_anew(scenario: Scenario) -> None:
    """Its slot is past what was lost, and does not send that again."""
    target = scenario.target
    agent = scenario.converge()
    target.stop()
    kept = kept_of(target)
    target.start()
    write(scenario.source, "what the backup lacks")
    target.write_wal(MUCH)
    scenario.assert_equal()
    look(scenario, agent)
    target.stop()
    set_back(target, kept)
    target.start()
    target.write_wal(2 * MUCH)
    write(scenario.source, "after it was set back")
    scenario.converge()
    scenario.assert_equal()


@pytest.mark.parametrize("side", ["source", "target"])
def test_standby_that_was_promoted_may_lack_the_last_of_the_log(
    scenario: Scenario, side: str
) -> None:
    scenario.converge()
    server: PgServer = getattr(scenario, side)
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()
    server.sql("SELECT pg_promote()")
    scenario.converge()
    assert scenario.copies() == 2
    scenario.assert_equal()


def test_nothing_is_copied_anew_when_nobody_was_set_back(scenario: Scenario) -> None:
    """Whatever happens to servers and agents else."""
    scenario.converge()
    for server in (scenario.source, scenario.target):
        server.kill()
        server.start()
        agent = scenario.agent()
        scenario.source.write_wal(MUCH)
        look(scenario, agent)
        server.restart()
        scenario.converge()
    assert scenario.copies() == 1


def test_a_servers_slot_that_another_one_has_read_is_its_own_no_more(
    scenario: Scenario, pg17_too: PgServer, tmp_path: Path
) -> None:
    """Two follow under one name, and one is away while the other has its slot."""
    scenario.converge()
    scenario.target.stop()
    folder = tmp_path / "second"
    folder.mkdir()
    drop_everything(pg17_too)
    second = Scenario(scenario.source, pg17_too, folder)
    second.set_up_target()
    second.converge()
    write(scenario.source, "what the second one has read")
    second.assert_equal()
    pg17_too.stop()
    scenario.target.start()
    write(scenario.source, "after that")
    scenario.converge()
    scenario.assert_equal()
    pg17_too.start()
    drop_everything(pg17_too)


def test_what_is_noted_on_the_source_goes_with_the_slot(scenario: Scenario) -> None:
    """Another feed from there keeps the publication, and its own note."""
    look(scenario, scenario.agent())
    scenario.source.sql(
        "SELECT pg_create_logical_replication_slot('airbyte_migration_other', 'pgoutput')",
        database="airbyte",
    )
    assert SLOT in noted(scenario.source)
    assert scenario.cli("release").returncode == 0
    assert noted(scenario.source) == ""


def test_somebody_elses_comment_on_the_publication_stays(scenario: Scenario) -> None:
    look(scenario, scenario.agent())
    words = "COMMENT ON PUBLICATION airbyte_migration IS 'for the migration'"
    scenario.source.sql(words, database="airbyte")
    scenario.converge()
    scenario.source.write_wal(MUCH)
    agent = scenario.converge()
    agent.once()
    assert noted(scenario.source) == "for the migration"
    assert scenario.copies() == 2, "it may have been put there before the note was made"


def kept_of(server: PgServer) -> Path:
    """Copy the disk of a server that is stopped."""
    data = server.data.resolve()
    kept = data.with_name(f"{data.name}-kept")
    shutil.copytree(data, kept, symlinks=True)
    own_as(data, kept)
    return kept


def set_back(server: PgServer, kept: Path) -> None:
    """Put what was kept in the place of a stopped server's disk."""
    data = server.data.resolve()
    shutil.rmtree(data)
    kept.rename(data)


def own_as(model: Path, copy: Path) -> None:
    """Give a copied folder the owner and the rights of its model."""
    owner = model.stat()
    for path in (copy, *copy.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    copy.chmod(owner.st_mode)
