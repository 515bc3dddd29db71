"""Sessions in databases that are renamed, cloned or dropped, which needs each without a session."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import sql

from db_migration.errors import BlockedError
from db_migration.postgres import Connection, Endpoint, run, until, value

LEAVE_SECONDS = 5
"""For whom we may not end: a server that was just stopped takes a moment to be gone."""
DEADLINE_SECONDS = 10
"""PostgreSQL waits 5 s for its lock (`lock_timeout`), then 5 s for the sessions to end."""

T = TypeVar("T")


@dataclass(frozen=True)
class Whose:
    """Whose sessions may be ended for our sake."""

    which: sql.SQL
    """A condition on the role `r` of a session."""
    way_out: str
    """What a person does about the others'."""


OURS = Whose(
    sql.SQL("r.rolname = current_user"),
    "end these sessions, of the standby Airbyte by stopping it or by giving `reader_host_control`; "
    "this is tried again by itself",
)
"""This script's own alone: the database may be an Airbyte's."""

WE_MAY_END = Whose(
    sql.SQL(
        "(pg_has_role(r.oid, 'USAGE') AND (NOT r.rolsuper OR "
        "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)))"
    ),
    "end these sessions, or read the mirror as a role that the feed's role is a member of; "
    "this is tried again by itself",
)
"""All that PostgreSQL lets us end: the database is the feed's, and others only read in it."""

END = sql.SQL("""
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datname = ANY(%s) AND {}
  AND EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'object' AND l.objid = a.datid
              AND l.classid = 'pg_database'::regclass AND l.pid = %s AND l.granted)
""")
OTHERS = sql.SQL("""
SELECT coalesce(string_agg(DISTINCT concat_ws(' as ', nullif(a.application_name, ''), a.usename),
                           ', '), '')
FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datname = ANY(%s) AND NOT {}
""")


def alone(endpoint: Endpoint, names: list[str], act: Callable[[Connection], T], whose: Whose) -> T:
    """Rename, clone or drop databases by `act`, and end the sessions that this waits for.

    Its lock keeps newcomers out, and only then are those inside ended: who was ended before could
    come in again. Raises BlockedError that names who is in there and must not be ended; nobody is
    ended in vain, then.
    """
    with endpoint.connect() as ours, endpoint.connect() as other, ThreadPoolExecutor(1) as pool:
        until(lambda: not others(other, names, whose), LEAVE_SECONDS)
        if who := others(other, names, whose):
            raise in_use(who, names, whose)
        acting = pool.submit(act, ours)

        def done() -> bool:
            run(other, END.format(whose.which), (names, ours.info.backend_pid))
            return acting.done()

        until(done, DEADLINE_SECONDS, every=0.01)
        try:
            return acting.result()
        except psycopg.errors.ObjectInUse as error:
            who = others(other, names, whose) or str(error.diag.message_detail)
            raise in_use(who, names, whose) from None


def others(connection: Connection, names: list[str], whose: Whose) -> str:
    """Name who is in the databases and must not be ended; empty if nobody is."""
    return str(value(connection, OTHERS.format(whose.which), (names,)))


def in_use(who: str, names: list[str], whose: Whose) -> BlockedError:
    """Say that somebody is in a database who must not be ended."""
    return BlockedError(
        found=f"`{'` or `'.join(names)}` is in use by whom we may not end: {who}",
        needed="a moment without such a session",
        way_out=whose.way_out,
    )


def swap(endpoint: Endpoint, name: str, *, fresh: str, old: str, whose: Whose) -> None:
    """Rename `name` to `old` and `fresh` to `name`, both or none."""
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")

    def both(connection: Connection) -> None:
        with connection.transaction():
            if value(connection, "SELECT true FROM pg_database WHERE datname = %s", (name,)):
                run(connection, rename.format(sql.Identifier(name), sql.Identifier(old)))
            run(connection, rename.format(sql.Identifier(fresh), sql.Identifier(name)))

    alone(endpoint, [name, fresh], both, whose)
