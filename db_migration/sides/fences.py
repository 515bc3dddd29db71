"""The two fences, and what each permits. Here it is decided, and nowhere else.

The *database fence* (no Airbyte may enter the server) permits a promotion. The *sync fence* (no
other Airbyte can sync: its host says that it is stopped, or the operator says that its host is
down, or its longest sync has ended behind a closed database) is needed before an Airbyte is
activated and before a connection is touched: connectors write to destinations without the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from psycopg import sql

from airbyte import tables
from db_migration.config import Config, InstanceConfig, ServerConfig
from db_migration.errors import BlockedError, MigrationError
from db_migration.journal import Journal
from db_migration.postgres import become, rows, value
from db_migration.sides import admission, epoch, servers
from db_migration.sides.hosts import HostControl, Status, status

JOURNAL = "fence"
STANDBY = "standby-"
OUTWAITED = "outwaited "
FORMER = "SELECT airbyte FROM migration.epoch WHERE airbyte <> %s ORDER BY epoch DESC LIMIT 1"

InstanceHost = Callable[[InstanceConfig], HostControl | None]


@dataclass(frozen=True)
class Other:
    """An Airbyte that is not to be active, as far as anybody knows of it."""

    name: str
    kind: str
    host: str
    status: Status | None
    """What its host says; None when it does not answer."""
    former: bool = False
    """It was the last one to be active: a sync of it may still run."""
    down: bool = False
    """The operator says that its host is down, or nothing of it syncs any more: time has passed."""
    active_connections: int = 0
    """Of the database that it stands by on: its scheduler would run them."""


def against_promotion(admitted: Sequence[str]) -> list[str]:
    """Say what forbids to promote a server's mirror: roles that may enter its databases."""
    return [f"role {role} may enter it" for role in admitted]


def against_touching(others: Iterable[Other]) -> list[str]:
    """Say of every other Airbyte that may sync why; none, and connections may be touched."""
    return [why for other in others if (why := _may_sync(other))]


def against_standing_by(active_connections: int) -> list[str]:
    """Say what forbids a standby to start on its database."""
    if not active_connections:
        return []
    return [f"{active_connections} connection(s) are active in its working database"]


def _may_sync(other: Other) -> str | None:
    if other.status is None:
        silent = f"host {other.host} does not answer, and {other.name} was active there"
        return silent if other.former and not other.down else None
    if other.kind == "compose":
        return f"{other.name} runs" if other.status.compose == "running" else None
    known = other.status.instance(other.name)
    if known is None or not known.running:
        return None
    if not known.rendering.startswith(STANDBY):
        return f"{other.name} runs as `{known.rendering}`"
    if known.syncing:
        return f"{other.name} stands by, but its worker, launcher or cron run"
    why = against_standing_by(other.active_connections)
    return f"{other.name} stands by, but {why[0]}" if why else None


def require_database_fence(config: Config, server: ServerConfig) -> None:
    """Raise BlockedError unless every Airbyte is shut out of the server."""
    with servers.control(server).connect() as connection:
        why = against_promotion(admission.admitted(connection, server, config.roles))
    if why:
        raise BlockedError(
            found=f"{server.name} is not fenced: {'; '.join(why)}",
            needed="a server that no Airbyte may enter, before its mirror becomes prod's database",
            way_out="repeat the command: it shuts them out first",
        )


def require_sync_fence(
    config: Config,
    chosen: InstanceConfig,
    instance_host: InstanceHost,
    down: frozenset[str] = frozenset(),
) -> None:
    """Raise BlockedError while any Airbyte but `chosen` may sync.

    Once proven for an epoch it is noted: a host that falls silent later was fenced by then.
    """
    now = epoch.current(config)
    live = config.server(now.database)
    if live is None:
        raise BlockedError(
            found=f"the active database is `{now.database}`, which is none of our servers",
            needed="an active database on one of our servers",
            way_out="activate after a cut-over or failover only",
        )
    journal = Journal(servers.control(live), JOURNAL)
    journal.open()
    with servers.control(live).connect() as connection:
        noted = journal.intents(connection)
    proven = str(now.epoch) in noted
    down |= {name.removeprefix(OUTWAITED) for name in noted if name.startswith(OUTWAITED)}
    others = _look(config, chosen, instance_host, down, proven=proven)
    if why := against_touching(others):
        silent = sorted({other.host for other in others if other.status is None and other.former})
        words = "".join(f" --host-is-down {host}" for host in silent)
        raise BlockedError(
            found=f"another Airbyte may sync: {'; '.join(why)}",
            needed="nobody else who writes to the destinations",
            way_out="stop it on its host (`hostctl stop airbyte`, `hostctl stop abctl`)"
            + (f"; or switch it off and type: db-migration failover{words}" if words else ""),
        )
    if not proven:
        journal.intend(str(now.epoch), on=True)


def note_outwaited(server: ServerConfig, hosts: Sequence[str] = ()) -> None:
    """Note on which silent hosts every sync has ended, behind the closed database of this server:
    whoever goes on after a kill knows it. It takes the place of what was noted before.
    """
    journal = Journal(servers.control(server), JOURNAL)
    with servers.control(server).connect() as connection:
        noted = journal.intents(connection)
    for name in {name for name in noted if name.startswith(OUTWAITED)}:
        journal.intend(name, on=False)
    for host in hosts:
        journal.intend(f"{OUTWAITED}{host}", on=True)


def require_harmless(server: ServerConfig) -> None:
    """Raise BlockedError if a standby would find active connections in its working database."""
    if why := against_standing_by(_active_connections(server)):
        raise BlockedError(
            found=f"{server.name}: {'; '.join(why)}",
            needed="a working database whose connections are all inactive",
            way_out="have it made anew: drop database "
            f"`{server.database}` there, and the agent clones the mirror again",
        )


def _look(
    config: Config,
    chosen: InstanceConfig,
    instance_host: InstanceHost,
    down: frozenset[str],
    *,
    proven: bool,
) -> list[Other]:
    former = None if proven else _former(config, chosen.name)

    def look(one: InstanceConfig) -> Other:
        try:
            control = instance_host(one)
            seen = status(control) if control is not None else None
        except MigrationError:
            seen = None
        return Other(
            one.name,
            one.kind,
            one.host,
            seen,
            former=one.name == former,
            down=one.host in down,
            active_connections=_stands_by_with(config, one, seen),
        )

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(look, [one for one in config.instances if one.name != chosen.name]))


def _former(config: Config, chosen: str) -> str | None:
    """Return who was active before `chosen`, as far as the servers that answer know."""
    found = servers.ask(config.servers, lambda _, connection: rows(connection, FORMER, (chosen,)))
    known = [name for answer in found.values() for (name,) in answer]
    first = epoch.initial(config).airbyte
    return known[0] if known else (first if first != chosen else None)


def _stands_by_with(config: Config, one: InstanceConfig, seen: Status | None) -> int:
    known = seen.instance(one.name) if seen is not None else None
    if known is None or not known.running or not known.rendering.startswith(STANDBY):
        return 0
    server = config.server(known.rendering.removeprefix(STANDBY))
    try:
        return _active_connections(server) if server is not None else 0
    except MigrationError:
        return 0  # a scheduler without its database starts nothing


def _active_connections(server: ServerConfig) -> int:
    exists, active = tables.CONNECTIONS_EXIST, tables.ACTIVE_CONNECTIONS
    with (
        servers.at(server, server.database).connect() as connection,
        become(connection, server.owner_role),
    ):
        if not value(connection, sql.SQL(exists.text), exists.arguments):
            return 0
        return int(value(connection, sql.SQL(active.text), active.arguments))
