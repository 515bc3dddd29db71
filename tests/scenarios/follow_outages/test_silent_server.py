"""A server that takes a question and never answers it."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from db_migration import deadline, pinned
from db_migration.agent import agent as agents
from db_migration.agent import observe_source, state
from db_migration.agent.memory import Memory
from db_migration.context import Context
from db_migration.postgres import Connection
from tests.scenarios.follow_outages.seen import MIRROR, says, write
from tests.support import timeouts
from tests.support.scenario import Scenario
from tests.support.tunnel import Tunnel


@pytest.mark.parametrize("where", ["first question", "within a session"])
def test_source_takes_a_question_and_never_answers_it(
    scenario: Scenario, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """As of `docker pause`, or of a disk that stands still: TCP goes on acknowledging."""
    agent = scenario.converge()
    before = scenario.target.sql(MIRROR)
    look, opened = observe_source.source, pinned.pin

    def frozen_look(
        context: Context, connection: Connection, memory: Memory, allowed: state.Policy
    ) -> state.Source:
        tunnel.freeze()
        return look(context, connection, memory, allowed)

    def frozen_pin(connection: psycopg.Connection[Any]) -> bool:
        tunnel.freeze()
        return opened(connection)

    monkeypatch.setattr(agents, "ANSWER_SECONDS", 0.5)
    with monkeypatch.context() as frozen:
        if where == "first question":
            frozen.setattr(pinned, "pin", frozen_pin)
        else:
            frozen.setattr(observe_source, "source", frozen_look)
        agent.once()
    assert says(scenario, "source `prod`", "not answered it within 0.5 s", "docker unpause")()
    tunnel.mend()
    monkeypatch.undo()
    write(scenario)
    scenario.converge(agent)
    scenario.assert_equal()
    assert scenario.target.sql(MIRROR) == before


def test_seed_that_is_to_end_does_not_wait_for_a_frozen_server(
    scenario: Scenario, tunnel: Tunnel
) -> None:
    """Nobody there hears a cancel; SIGTERM was waited for as long as the server stood still."""
    dsn = make_conninfo(scenario.source.dsn("airbyte"), port=tunnel.port)
    failed = threading.Event()

    def work(connection: psycopg.Connection[Any]) -> None:
        try:
            connection.pgconn.exec_(b"SELECT 1")  # blocks in libpq, as the beginning of a COPY
            connection.execute("SELECT 1")
        except psycopg.OperationalError:
            failed.set()

    with psycopg.connect(dsn, autocommit=True) as connection:
        tunnel.freeze()
        threading.Thread(target=work, args=(connection,), daemon=True).start()
        deadline.interrupt(connection)
        ended = failed.wait(timeouts.ARRIVES)
        tunnel.mend()
    assert ended
