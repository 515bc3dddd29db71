"""Notice that a server was set back, to a backup or to a standby that lacked its last log.

A log (WAL) that is on a server's disk never gets shorter. Where it has, what was applied since is
gone from a target, and the slot, which was told that it is kept, does not send it again; on a
source, the slot skips what is written up to where it stood. Nothing else shows either.
"""

from __future__ import annotations

from db_migration.errors import UnreachableError
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
        self._server, self._furthest, self.set_back = "", 0, False

    def look(self, connection: Connection, side: str) -> bool:
        """Tell whether this server was set back; raise UnreachableError while it is a standby."""
        server, flushed = row(connection, FLUSHED) or ("", None)
        if flushed is None:
            raise UnreachableError(
                found=f"the {side} is in recovery: a standby, or a backup not wholly restored",
                needed=f"a {side} that takes writes",
                way_out="promote it, or name the primary in its place; this is tried again by "
                "itself",
            )
        return self.note(server, flushed)

    def note(self, server: str, flushed: int) -> bool:
        """Take a reading in bytes; tell whether the server was set back since the first one.

        It stays so when the log has grown again: what is missing does not come back with that.
        """
        if server != self._server:
            self._server, self._furthest, self.set_back = server, 0, False
        self.set_back = self.set_back or flushed < self._furthest
        self._furthest = max(self._furthest, flushed)
        return self.set_back
