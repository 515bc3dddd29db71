"""How long the target needs to flush a commit, which bounds how many transactions it can follow."""

from __future__ import annotations

import psycopg

from db_migration.postgres import Connection, run, value
from db_migration.preflight.checklist import UNKNOWN, Check, Result, judged

SLOWEST_MS = 10.0
"""The target follows 100 transactions a second then: a disk that turns. Airbyte writes few more."""

TIMED = """
DO $$
DECLARE
  began timestamptz;
  taken float8[] := '{}';
BEGIN
  FOR each IN 1..15 LOOP
    began := clock_timestamp();
    PERFORM pg_logical_emit_message(true, 'airbyte_migration', '');
    COMMIT;
    taken := taken || 1000 * extract(epoch FROM clock_timestamp() - began)::float8;
  END LOOP;
  PERFORM set_config('airbyte_migration.flush_ms', percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)
    ::text, false) FROM unnest(taken) AS ms;
END $$
"""
"""By the server's own clock: the way to it is none of its disk's."""


def measured(connection: Connection) -> float | None:
    """Return the median of a few commits in ms; None where it can not be measured.

    They write what no table shows: messages in the WAL, which nobody reads.
    """
    try:
        run(connection, "SET synchronous_commit = 'local'")
        run(connection, TIMED)
        return float(value(connection, "SELECT current_setting('airbyte_migration.flush_ms')"))
    except psycopg.Error:
        if connection.closed:
            raise
        return None


def check(milliseconds: float | None) -> Check:
    """Judge what was measured; a slow disk is a warning: how much prod writes is not known."""
    ok, found, limit = None, UNKNOWN, f"{SLOWEST_MS:g} ms"
    if milliseconds is not None:
        ok = milliseconds <= SLOWEST_MS
        most = 1000 / max(milliseconds, 0.001)
        found = f"{milliseconds:.2f} ms, so at most {most:.0f} transactions a second are followed"
    return Check(
        id="target.flush",
        title="Time for a flush on the target's disk",
        result=judged(ok, Result.WARNING),
        found=found,
        needed=f"at most {limit}: {1000 / SLOWEST_MS:.0f} transactions a second",
        why="each of prod's transactions is flushed before the next is applied",
        way_out="a faster disk for the target, or compare with what prod commits: xact_commit in "
        "pg_stat_database",
    )
