"""The epoch: which database and which Airbyte are active, on every server, appended to only.

The highest epoch of all the servers that answer counts. No record is epoch 0: `initial`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import sql

from db_migration.config import Config, FeedConfig
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError, UnreachableError
from db_migration.journal import LOCK_CLASS
from db_migration.postgres import Connection, row, rows, run, value
from db_migration.sides import servers

TABLE = """
CREATE SCHEMA IF NOT EXISTS migration;
CREATE TABLE IF NOT EXISTS migration.epoch (
    epoch int PRIMARY KEY CHECK (epoch > 0), database text NOT NULL, airbyte text NOT NULL,
    reason text NOT NULL, at timestamptz NOT NULL DEFAULT now());
"""
EXISTS = "SELECT to_regclass('migration.epoch') IS NOT NULL"
LOCK = "SELECT pg_advisory_xact_lock(%s, 0)"
DURABLE = "SET LOCAL synchronous_commit = on"
"""An epoch that was acted on must outlive the server's crash, whatever the server's default is."""
HIGHEST = "SELECT epoch, database, airbyte, reason FROM migration.epoch ORDER BY epoch DESC LIMIT 1"
INITIAL = "initial"


@dataclass(frozen=True)
class Epoch:
    """A number, and who is active in it."""

    epoch: int
    database: str
    airbyte: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return the epoch for `--json`."""
        return asdict(self)


def initial(config: Config) -> Epoch:
    """Return epoch 0; raises BlockedError in a deployment without `servers`."""
    if config.initial is None:
        raise BlockedError(
            found="no `servers` are configured",
            needed="a deployment whose servers keep epochs",
            way_out="run `pulumi up`, which writes the configuration",
        )
    return Epoch(0, config.initial.database, config.initial.airbyte, INITIAL)


def read(connection: Connection) -> Epoch | None:
    """Return the highest epoch that this control database knows."""
    if not value(connection, EXISTS):
        return None
    found = row(connection, HIGHEST)
    return Epoch(*found) if found else None


def current(config: Config, *, patient: bool = False) -> Epoch:
    """Return the highest epoch of all servers that answer; raises UnreachableError if none does.

    `patient` waits for those that are alive (`servers.ask`).
    """
    first = initial(config)
    answers = servers.ask(config.servers, lambda _, connection: read(connection), patient=patient)
    if not answers:
        raise UnreachableError(
            found=f"none of {', '.join(server.name for server in config.servers)} answers",
            needed="a server that knows the epoch",
            way_out="look at the servers and at the path to them",
        )
    return max([first, *filter(None, answers.values())], key=lambda known: known.epoch)


def here(config: Config, connection: Connection) -> Epoch:
    """Return the epoch that this process's own control database knows."""
    return read(connection) or initial(config)


def live_feeds(config: Config) -> tuple[FeedConfig, ...]:
    """Return the feeds whose source is active; all of them where no epochs are kept."""
    if not config.servers:
        return config.feeds
    active = current(config).database
    return tuple(feed for feed in config.feeds if feed.source.name == active)


def copy_from_peers(config: Config) -> None:
    """Take over what other servers know and the own one does not; silent peers are left out."""
    mine = servers.here(config)
    others = tuple(server for server in config.servers if server.name != mine.name)
    answers = servers.ask(others, lambda _, connection: _records(connection))
    known = {record[0]: record for records in answers.values() for record in records}
    with servers.control(mine).connect() as connection:
        missing = [known[number] for number in known.keys() - {r[0] for r in _records(connection)}]
        if missing:
            _add(connection, missing)


def advance(config: Config, new: Epoch, on: Sequence[str], *, after: int | None = None) -> None:
    """Write `new` where `after` (without it: the number before) is the highest epoch.

    The first of `on` must take it, the others as far as they answer. All that answer are locked
    meanwhile, so of two that advance at once one is refused: raises BlockedError. Raises
    UnreachableError when the first does not answer.
    """
    wanted = [server for name in on if (server := config.server(name)) is not None]
    answering = servers.ask(
        config.servers, lambda _, connection: _records(connection), patient=True
    )
    if not wanted or wanted[0].name not in answering:
        raise UnreachableError(
            found=f"{on[0]} does not answer",
            needed="the server that becomes the active one",
            way_out="look at the server",
        )
    known = [record for records in answering.values() for record in records]
    with ExitStack() as stack:
        connections: dict[str, Connection] = {}
        for server in sorted(config.servers, key=lambda server: server.name):
            if server.name in answering:
                connections[server.name] = stack.enter_context(servers.control(server).connect())
                _lock(connections[server.name])
        highest = max((seen.epoch for seen in map(read, connections.values()) if seen), default=0)
        if highest != (new.epoch - 1 if after is None else after) or highest >= new.epoch:
            found = f"epoch {highest} is the highest, and {new.epoch} was to follow another one"
            raise _somebody_else(found)
        _write(connections[wanted[0].name], known, new)
        for server in wanted[1:]:
            with suppress(psycopg.Error):
                if server.name in connections:
                    _write(connections[server.name], known, new)


def _lock(connection: Connection) -> None:
    """Hold the epochs of one server until this connection's transaction ends."""
    run(connection, "BEGIN")
    run(connection, DURABLE)
    try:
        run(connection, LOCK, (LOCK_CLASS,))
    except psycopg.errors.LockNotAvailable:
        found = "another process holds the epoch"
        raise _somebody_else(found) from None
    run(connection, sql.SQL(TABLE))


def _somebody_else(found: str) -> BlockedError:
    return BlockedError(
        found=found,
        needed="nobody else who changes the active side at the same time",
        way_out="look at `db-migration status`, and begin again from what it says",
    )


@effect(Effect.ADVANCE_EPOCH)
def _write(connection: Connection, known: list[tuple[Any, ...]], new: Epoch) -> None:
    """Write the new epoch and all that came before it."""
    _insert(connection, known)
    run(
        connection,
        "INSERT INTO migration.epoch (epoch, database, airbyte, reason) VALUES (%s, %s, %s, %s)",
        (new.epoch, new.database, new.airbyte, new.reason),
    )
    run(connection, "COMMIT")


def _records(connection: Connection) -> list[tuple[Any, ...]]:
    if not value(connection, EXISTS):
        return []
    return rows(connection, "SELECT epoch, database, airbyte, reason, at FROM migration.epoch")


@effect(Effect.COPY_EPOCH)
def _add(connection: Connection, records: list[tuple[Any, ...]]) -> None:
    with connection.transaction():
        run(connection, DURABLE)
        run(connection, LOCK, (LOCK_CLASS,))
        run(connection, sql.SQL(TABLE))
        _insert(connection, records)


def _insert(connection: Connection, records: list[tuple[Any, ...]]) -> None:
    query = (
        "INSERT INTO migration.epoch (epoch, database, airbyte, reason, at) "
        "VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
    )
    for record in records:
        run(connection, query, record)
