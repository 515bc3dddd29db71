"""Time as a sync fence, for a host that can be neither asked nor vouched for.

What syncs there goes on without the database; once that lets its Airbyte in no more, none begins.
"""

from __future__ import annotations

from db_migration.failover.look import JOURNAL
from db_migration.failover.steps import Task
from db_migration.journal import Journal
from db_migration.postgres import Connection, until, value
from db_migration.sides import admission, fences, servers

SHUT_OUT = "shut out"
"""Noted on the live server since when: a command that was interrupted goes on with the rest."""

LOOK_SECONDS = 0.5


def shut_out(task: Task) -> None:
    """Let no Airbyte into the live database; who is shut out already keeps the time it began."""
    journal = Journal(servers.control(task.server), JOURNAL)
    with servers.control(task.server).connect() as connection:
        admitted = admission.admitted(connection, task.server, task.config.roles)
        if not admitted and SHUT_OUT in journal.intents(connection):
            return
    forget(task)
    admission.admit(task.server, task.config.roles, None)
    journal.intend(SHUT_OUT, on=True)


def wait(task: Task) -> None:
    """Wait until the longest sync has ended that can have begun before, and note that."""
    seconds = task.longest_sync or 0
    with servers.control(task.server).connect() as connection:
        until(lambda: _since(connection) >= seconds, float("inf"), every=LOOK_SECONDS)
    fences.note_outwaited(task.server, task.plan.words)


def _since(connection: Connection) -> float:
    query = (
        "SELECT extract(epoch FROM clock_timestamp() - at)::float8 FROM migration.intent "
        "WHERE feed = %s AND name = %s"
    )
    return float(value(connection, query, (JOURNAL, SHUT_OUT)))


def forget(task: Task) -> None:
    """Take the notes back: somebody is let in again."""
    Journal(servers.control(task.server), JOURNAL).intend(SHUT_OUT, on=False)
    fences.note_outwaited(task.server)
