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

LOST = ("a server that answers and keeps its connections", "look at both servers and the tunnel")
NEEDS = {
    "08": LOST,
    "57P": LOST,
    "42501": (
        "a role that may do this",
        "grant what the message names (on the target: db_migration/target_setup.sql)",
    ),
    "53": ("enough disk, memory and connections", "give the server what the message names"),
    "58": ("a disk that can be read and written", "look at the server's disk and its log"),
    **dict.fromkeys(
        ("0A", "22", "23", "42", "54"),
        (
            "definitions and rows that this server takes",
            "change on the source what the message names, or give the target what it lacks: "
            "`db-migration preflight` lists what can not be copied",
        ),
    ),
}
"""What a server lacks and what is to be done, by the beginning of SQLSTATE (PostgreSQL's appendix
A); the longest that fits counts.
"""


def of_verb(error: Exception) -> dict[str, str]:
    """Return an error in its three parts, as a verb says it that ends with it."""
    said = error_dict(error)
    return {**said, "way_out": of_person(said["way_out"])}


def of_person(way_out: str) -> str:
    """Return a way out for somebody who has typed a verb, and must type it again."""
    look = "look at the server; " if way_out.startswith(BY_ITSELF) else ""
    return way_out.replace(f"{BY_ITSELF}{LOG}", f"{look}{AGAIN}").replace(BY_ITSELF, AGAIN)


def error_dict(error: Exception) -> dict[str, str]:
    """Return an error in its three parts; of psycopg's own errors only the class and first line."""
    if isinstance(error, psycopg.errors.LockNotAvailable):
        error = held("server")
    if isinstance(error, MigrationError):
        return {key: secrecy.mask(text) for key, text in error.as_dict().items()}
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    needed, way_out = _lacks(error)
    return {
        "found": secrecy.mask(f"{type(error).__name__}: {said or 'the connection was lost'}"),
        "needed": needed,
        "way_out": f"{way_out}{BY_ITSELF}{LOG}",
    }


def _lacks(error: Exception) -> tuple[str, str]:
    """Say what a server needs to carry out what it refused; without a SQLSTATE it was lost."""
    if not isinstance(error, psycopg.Error):
        return "the step to succeed", ""
    state = error.sqlstate or ("08" if isinstance(error, psycopg.OperationalError) else "")
    fits = [begin for begin in NEEDS if state.startswith(begin)]
    if not fits:
        return "the step to succeed", ""
    needed, way_out = NEEDS[max(fits, key=len)]
    return needed, f"{way_out}; "
