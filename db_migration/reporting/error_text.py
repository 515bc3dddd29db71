"""An error as people and programs may read it: in three parts, without a statement or a secret."""

from __future__ import annotations

import psycopg

from db_migration import secrecy
from db_migration.errors import MigrationError
from db_migration.postgres import held


def short(error: Exception) -> str:
    """Shorten an error; psycopg's may quote a statement, and a statement may hold a password."""
    if isinstance(error, psycopg.Error):
        said = f"{type(error).__name__}: {error.diag.message_primary or 'connection lost'}"
        return secrecy.mask(said)
    return secrecy.mask(" ".join(str(error).split()))


def error_dict(error: Exception) -> dict[str, str]:
    """Return an error in its three parts; of psycopg's own errors only the class and first line."""
    if isinstance(error, psycopg.errors.LockNotAvailable):
        error = held("server")
    if isinstance(error, MigrationError):
        return {key: secrecy.mask(text) for key, text in error.as_dict().items()}
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return {
        "found": secrecy.mask(f"{type(error).__name__}: {said or 'the connection was lost'}"),
        "needed": "the step to succeed",
        "way_out": "this is tried again by itself; the agent's log says more",
    }
