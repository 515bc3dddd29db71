"""How a table's replica identity is changed without making prod wait: when nobody holds the table.

ALTER TABLE needs the table for itself for a moment, and while it waits for that, every statement of
prod on that table waits behind it.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from db_migration.postgres import Connection, run, value

LONGEST_WAIT_MS = 50
"""How long prod's statements may wait behind one try; far below `deadlock_timeout` (1 s), so in a
circle of locks it is always us who step back.
"""

# Whose transaction is young is about to end; one whose age may not be seen counts as old.
HELD = """
SELECT true FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.locktype = 'relation' AND l.relation = to_regclass(%s)
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND coalesce(a.xact_start < clock_timestamp() - %s * interval '1 ms', true) LIMIT 1
"""


def change(connection: Connection, table: sql.Identifier, identity: str) -> bool:
    """Set a table's replica identity; False: somebody holds the table, try it again later.

    The look is no promise: who comes after it is waited for, and prod with us, but not for long.
    """
    if value(connection, HELD, (table.as_string(connection), LONGEST_WAIT_MS)):
        return False
    alter = sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(table, sql.SQL(identity))
    try:
        with connection.transaction():
            limit = sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LONGEST_WAIT_MS))
            run(connection, limit)
            run(connection, alter)
    except psycopg.errors.LockNotAvailable:
        return False
    return True
