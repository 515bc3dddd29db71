"""Notice that a server was set back, to a backup or to a standby that lacked its last log.

A log (WAL) that is on a server's disk never gets shorter. Where it has, what was applied since is
gone from a target, and the slot, which was told that it is kept, does not send it again; on a
source, the slot skips what is written up to where it stood. Nothing else shows either.
"""

from __future__ import annotations

from db_migration.postgres import Connection, row

FLUSHED = """
SELECT system_identifier::text, CASE WHEN NOT pg_is_in_recovery()
    THEN pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint END
FROM pg_control_system()
"""


class LogMemory:
    """What one agent remembers of a server's log since a copy was begun: whose, and how far."""

    def __init__(self) -> None:
        """Know nothing: no server was set back before it was first seen."""
        self._server, self._furthest, self._set_back = "", 0, False

    def look(self, connection: Connection) -> bool:
        """Tell whether this server was set back since it was first seen."""
        server, flushed = row(connection, FLUSHED) or ("", None)
        return self.note(server, flushed)

    def note(self, server: str, flushed: int | None) -> bool:
        """Take a reading in bytes, None while the server is in recovery; tell as `look` does.

        It stays so when the log has grown again: what is missing does not come back with that.
        """
        if server != self._server:
            self._server, self._furthest, self._set_back = server, 0, False
        if flushed is not None:
            self._set_back = self._set_back or flushed < self._furthest
            self._furthest = max(self._furthest, flushed)
        return self._set_back
