"""Compose's own database, and its fence: who closes it lets nobody write what is in no copy.

It is on prod's host, on no server of ours: no epoch is kept there. It comes back open with that
host after a failover, and out of a backup or a volume after a cut-over.
"""

from __future__ import annotations

from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.postgres import Endpoint, value
from db_migration.sides import promotion

MAINTENANCE = "postgres"
"""A database of its server that is never closed."""


def server(context: Context) -> Endpoint:
    """Return the way into its server while it is closed."""
    return context.owner.at(MAINTENANCE)


def is_open(context: Context) -> bool:
    """Tell whether it lets anybody in; one that is not there lets nobody."""
    query = "SELECT datallowconn FROM pg_database WHERE datname = %s"
    with server(context).connect() as connection:
        return bool(value(connection, query, (context.feed.source.database,)))


@effect(Effect.CLOSE_PROD)
def close(context: Context) -> None:
    """Let nobody in, end all sessions, and drop our slots: nobody reads them any more."""
    name = context.feed.source.database
    with server(context).connect() as connection:
        promotion.allow(connection, [name], on=False)
        promotion.end_all(connection, [name])
        promotion.drop_slots(connection, name)


@effect(Effect.OPEN_PROD)
def open_again(context: Context) -> None:
    """Let compose in."""
    with server(context).connect() as connection:
        promotion.allow(connection, [context.feed.source.database], on=True)
