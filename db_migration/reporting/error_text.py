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


BY_ITSELF = "this is tried again by itself"
"""What the agent does; true of no verb that a person types."""
LOG = "; the agent's log says more"
AGAIN = "then type this again"


def of_verb(error: Exception) -> dict[str, str]:
    """Return an error in its three parts, as a verb says it that ends with it."""
    said = error_dict(error)
    way_out = said["way_out"].replace(f"{BY_ITSELF}{LOG}", f"look at the server; {AGAIN}")
    return {**said, "way_out": way_out.replace(BY_ITSELF, AGAIN)}


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
        "way_out": f"{BY_ITSELF}{LOG}",
    }
