"""Look at every server, host and Airbyte at once, for a failover; changes nothing.

The dead cost seconds, not minutes: all are asked at the same time, and a server counts as dead only
when it has not answered for as long as that takes. One that answers is alive, and may be busy or
starting: it gets longer to let us in, since nobody can do anything without it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg import sql

from db_migration import catalog
from db_migration.airbytes.api import AirbyteApi
from db_migration.config import Config, InstanceConfig, ServerConfig, slot_name
from db_migration.cutover import plan as cutover_plan
from db_migration.cutover import sides as cutover_sides
from db_migration.cutover.attempt import BEGUN
from db_migration.errors import MigrationError, UnreachableError
from db_migration.failover.state import HostSeen, InstanceSeen, MirrorSeen, Observed, ServerSeen
from db_migration.following import marks, worker
from db_migration.postgres import Connection, row, until, value
from db_migration.sides import epoch, hosts, servers
from db_migration.sides.hosts import HostControl

SILENT_SECONDS = 2.0
JOURNAL = "failover"
UNFINISHED = "unfinished"
MADE_BY = ("subscribe", "enable", "swap_mirror")
"""Steps after which a mirror follows the source of the feed that did them."""

MADE_ANEW_BY = ("seed", "snapshot", *MADE_BY)
"""Steps by which a mirror comes about again where a promotion has taken the last one."""

HANDED_OVER = """
SELECT n.database FROM migration.event e
JOIN migration.epoch n ON n.reason = e.feed AND e.detail = 'epoch ' || n.epoch
WHERE e.feed = %s AND e.step = %s AND e.phase = 'started' AND e.id > %s ORDER BY e.id DESC LIMIT 1
"""
"""To whom: the hand-over's line names its epoch, which is written afterwards."""

InstanceHost = Callable[[InstanceConfig], HostControl | None]


def look(config: Config, instance_host: InstanceHost, down: frozenset[str]) -> Observed:
    """Observe everything that a failover decides on."""
    by_host = {instance.host: instance for instance in config.instances if instance.host_control}
    with ThreadPoolExecutor(16) as pool:
        seen_servers = [pool.submit(_server, server) for server in config.servers]
        seen_hosts = [pool.submit(_host, one, instance_host) for one in by_host.values()]
        seen_instances = [pool.submit(_instance, instance) for instance in config.instances]
        prod = pool.submit(_compose_database, config)
        return Observed(
            initial=epoch.initial(config),
            servers=tuple(found.result() for found in seen_servers),
            hosts=tuple(found.result() for found in seen_hosts),
            instances=tuple(found.result() for found in seen_instances),
            prod_database_answers=prod.result(),
            down=down,
        )


def _server(server: ServerConfig) -> ServerSeen:
    """Ask a server until it lets us in, or has kept silent, or us out, for long enough."""
    found = ServerSeen(server.name, answers=False)

    def answered() -> bool:
        nonlocal found
        found = _ask(server)
        return found.answers and not found.said

    if not until(answered, SILENT_SECONDS, every=0.2) and found.answers:
        until(answered, servers.LETS_IN_SECONDS - SILENT_SECONDS, every=0.2)
    return found


def _ask(server: ServerConfig) -> ServerSeen:
    if not servers.alive(server):
        said = f"no PostgreSQL at {server.host}:{server.port}"
        return ServerSeen(server.name, answers=False, said=said)
    try:
        with servers.control(server).connect() as connection:
            return _read(server, connection)
    except UnreachableError as error:
        said = error.found.rpartition("let us in: ")[2]
    except psycopg.OperationalError as error:
        said = f"it broke the connection ({type(error).__name__})"
    return ServerSeen(server.name, answers=True, said=said)


def _read(server: ServerConfig, connection: Connection) -> ServerSeen:
    comments = marks.of_databases(connection)
    journaled = bool(value(connection, "SELECT to_regclass('migration.intent') IS NOT NULL"))
    promoted = comments.get(server.database)
    return ServerSeen(
        server.name,
        answers=True,
        epoch=epoch.read(connection),
        mirror=_mirror(server, connection, comments.get(server.mirror), journaled=journaled),
        promoted=marks.active_epoch(promoted) or 0,
        by_cut_over=(marks.decode(promoted) or {}).get("reason") == cutover_sides.JOURNAL,
        taken=_taken(connection) if journaled else 0,
        unfinished=journaled and unfinished(connection),
        begun=journaled and unfinished(connection) and not _made_anew(server, connection),
    )


def _taken(connection: Connection) -> int:
    query = (
        "SELECT max(substr(name, length(%s) + 1)::int) FROM migration.intent "
        "WHERE feed = %s AND starts_with(name, %s)"
    )
    return value(connection, query, (BEGUN, cutover_sides.JOURNAL, BEGUN)) or 0


def unfinished(connection: Connection) -> bool:
    """Tell whether a failover or failback has left something unfinished on this server."""
    query = "SELECT true FROM migration.intent WHERE feed = %s AND name = %s"
    return bool(value(connection, query, (JOURNAL, UNFINISHED)))


def _made_anew(server: ServerConfig, connection: Connection) -> bool:
    """Tell whether a feed has begun another mirror on this server since the failover was at work.

    Whatever else its agent does between two attempts, such as to admit a reader, changes nothing of
    what was promoted: a failover that took it for more would be refused from then on.
    """
    query = (
        "SELECT EXISTS (SELECT FROM migration.event WHERE feed LIKE %s AND phase = 'started' "
        "AND step = ANY(%s) AND id > (SELECT max(id) FROM migration.event WHERE feed = %s))"
    )
    return bool(value(connection, query, (f"%-to-{server.name}", list(MADE_ANEW_BY), JOURNAL)))


def _mirror(
    server: ServerConfig, connection: Connection, comment: str | None, *, journaled: bool
) -> MirrorSeen:
    mark = marks.mirror_mark(comment)
    if mark is None:
        return MirrorSeen(complete=False)
    if mark.snapshot is not None:
        lag = _age(connection, mark.snapshot.taken_at)
        return MirrorSeen(True, mark.snapshot.source, mark.lsn, lag, snapshot=True)
    source = (marks.decode(comment) or {}).get("source") or ""
    state: dict[str, Any] = {}
    if journaled:
        source = source or _made_by(server, connection)
        feed = f"{source}-to-{server.name}"
        found = row(connection, "SELECT state FROM migration.feed WHERE name = %s", (feed,))
        state = found[0] if found else {}
    query = sql.SQL(
        "SELECT latest_end_lsn::text FROM pg_stat_subscription w WHERE subname = %s AND {}"
    ).format(worker.APPLIES)
    name = slot_name(server.name)
    copying = _copying(server, name)
    return MirrorSeen(
        # The first copy is not the subscription's: only a later table can be caught in its own.
        complete=mark.begun.keys() >= set(copying),
        source=source,
        lsn=value(connection, query, (name,)) or "",
        lag=_lag(state),
        follows=catalog.follows(connection, name),
        copying=tuple(copying),
    )


def _age(connection: Connection, taken_at: str) -> str:
    age = value(connection, "SELECT extract(epoch FROM now() - %s::timestamptz)", (taken_at,))
    return f"the mirror is a snapshot, taken at {taken_at}, {age:.0f} s ago"


def _made_by(server: ServerConfig, connection: Connection) -> str:
    """Return whom the mirror was last made to follow, by a feed (`A-to-B`) or by the cut-over.

    Before a cut-over's epoch nobody enters the new database: the mirror that was handed over to it
    is still the copy of prod's that it was proven to be, and prod may die.
    """
    suffix = f"-to-{server.name}"
    query = (
        "SELECT id, feed FROM migration.event WHERE phase = 'done' AND step = ANY(%s) "
        "AND feed LIKE %s ORDER BY id DESC LIMIT 1"
    )
    made, feed = row(connection, query, (list(MADE_BY), f"%{suffix}")) or (0, "")
    hand_over = (cutover_sides.JOURNAL, cutover_plan.Step.HAND_OVER.value, made)
    handed = epoch.read(connection) and value(connection, HANDED_OVER, hand_over)
    return str(handed or feed.removesuffix(suffix))


def _copying(server: ServerConfig, subscription: str) -> list[str]:
    """Name the tables that have not been copied to their end."""
    try:
        with servers.at(server, server.mirror).connect() as inside:
            return catalog.unready(inside, subscription)
    except UnreachableError:
        return []  # closed by a promotion that had begun, and had looked before


def _lag(state: dict[str, Any]) -> str:
    lag = state.get("lag_seen") or state.get("lag")
    if not lag or lag["bytes"] is None:
        return ""
    seen = f" at {lag['at']}" if lag.get("at") else ""
    return f"last seen {lag['bytes']:.0f} bytes and {lag['seconds']:.1f} s behind{seen}"


def _host(instance: InstanceConfig, instance_host: InstanceHost) -> HostSeen:
    control = instance_host(instance)
    if control is None:
        return HostSeen(instance.host, None, "no `host_control` is configured")
    try:
        return HostSeen(instance.host, hosts.status(control))
    except MigrationError as error:
        return HostSeen(instance.host, None, error.found)


def _instance(instance: InstanceConfig) -> InstanceSeen:
    if instance.url is None:
        return InstanceSeen(instance.name, instance.kind, instance.host)
    with AirbyteApi(instance) as api:
        health = api.health()
    known = health is not None
    return InstanceSeen(instance.name, instance.kind, instance.host, known, health)


def _compose_database(config: Config) -> bool | None:
    """Ask compose's database through the tunnel, where there is one."""
    ours = {server.name for server in config.servers}
    for feed in config.feeds:
        if feed.source.name not in ours:
            return servers.alive(feed.source)
    return None
