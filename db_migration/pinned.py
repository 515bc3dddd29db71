"""The settings that every session of ours needs, and whether a session has got them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

SILENCE_SECONDS = 20
"""After which either end gives up the other one's host."""

# Both sides must print the same value as the same text, whatever the server's defaults are; and a
# row that a policy hides must be an error (`row_security`), not a row less. What a check says of a
# row (RAISE NOTICE) is no answer to a COPY (`client_min_messages`).
PINNED = {
    "client_encoding": "UTF8",
    "client_min_messages": "error",
    "timezone": "UTC",
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "search_path": "pg_catalog",
    "row_security": "off",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "lc_monetary": "C",
    "xmloption": "content",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": r"read\ committed",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    # Of the server: it would keep the locks of a client whose host has died for two hours, and with
    # that on a change of sides everybody out who is to mend it.
    "tcp_keepalives_idle": f"{SILENCE_SECONDS // 2}",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
}

# Of a server that does not know a name in `options` none of them would let us in.
PINNED_SINCE = {140000: "idle_session_timeout", 170000: "transaction_timeout"}
"""To 0, from a version on: both would end a lock's holder, or a copy's snapshot."""


PINNED_HERE = sql.SQL("""
SELECT CASE WHEN pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.=) {path}
    AND pg_catalog.current_setting('lock_timeout') OPERATOR(pg_catalog.=) {wait}
    THEN pg_catalog.concat({more}) END
""")


def options(pinned: Mapping[str, str] = PINNED) -> str:
    """Return the pinned settings for libpq: stronger than ALTER DATABASE and ALTER ROLE ... SET."""
    return " ".join(f"-c {name}={value}" for name, value in pinned.items())


def pin(connection: psycopg.Connection[Any]) -> bool:
    """Pin what is not known to every version; False, and nothing done, if `options` were lost.

    A pooler that leaves them out may give the next statement to a session of prod's: whatever was
    set in that would last there, and prod's statements fail of it.
    """
    version = connection.info.server_version
    more = [name for since, name in PINNED_SINCE.items() if version >= since]
    setting = "pg_catalog.set_config({}, '0', false)"
    sets = [sql.SQL(setting).format(sql.Literal(name)) for name in more]
    found = connection.execute(
        PINNED_HERE.format(
            path=sql.Literal(PINNED["search_path"]),
            wait=sql.Literal(PINNED["lock_timeout"]),
            more=sql.SQL(", ").join([sql.SQL("true"), *sets]),
        )
    ).fetchone()
    return found is not None and found[0] is not None
