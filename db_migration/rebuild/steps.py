"""What a rebuild puts right, one function for each kind of thing; each looks first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from db_migration.config import PUBLICATION, Config, FeedConfig, InstanceConfig, ServerConfig
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import MigrationError
from db_migration.failover.look import InstanceHost
from db_migration.failover.state import COMPOSE
from db_migration.following import marks
from db_migration.following.release_fence import RELEASED
from db_migration.journal import Journal
from db_migration.postgres import Connection, atomically, row, rows, run, value
from db_migration.sides import (
    admission,
    compose_database,
    epoch,
    hosts,
    promotion,
    servers,
    standby,
)
from db_migration.sides.epoch import Epoch
from db_migration.sides.fences import require_harmless

THERE = "SELECT datname FROM pg_database WHERE datname = ANY(%s)"


@dataclass(frozen=True)
class Work:
    """One thing that is to be done, in words."""

    what: str
    act: Callable[[], object]


def fences(
    config: Config, now: Epoch, instance_host: InstanceHost, silent: list[str]
) -> list[Work]:
    """Stop who runs, or believes to be, active and is not, and close compose's database when prod
    has left it; note whose host is silent.
    """
    found: list[Work] = []
    for instance in config.instances:
        control = instance_host(instance)
        if control is None or instance.name == now.airbyte:
            continue
        try:
            seen = hosts.status(control)
        except MigrationError:
            silent.append(f"host {instance.host} ({instance.name})")
            continue
        verb = _fence(instance, seen, now)
        if verb is not None:
            what = f"{instance.name}: {verb}"
            found.append(Work(what, lambda control=control, verb=verb: run_verb(control, verb)))  # type: ignore[misc]
    return found + [work for feed in config.feeds for work in _closing(config, feed, now)]


def _closing(config: Config, feed: FeedConfig, now: Epoch) -> Iterator[Work]:
    """Close compose's database where prod has left it, unless somebody has released it since.

    One that is away is nothing to wait for: compose may be gone for good by now.
    """
    context, name = Context(config, feed), feed.source.name
    if config.server(now.database) is None or config.server(name) is not None:
        return
    try:
        if not compose_database.is_open(context) or _is_released(config, name):
            return
    except MigrationError:
        return
    what = f"{name}: let nobody into database `{feed.source.database}`, drop our slots in it"
    yield Work(what, partial(compose_database.close, context))


def _is_released(config: Config, source: str) -> bool:
    """Tell whether a feed from this source was released, as far as the servers that answer know."""
    query = "SELECT EXISTS (SELECT FROM migration.intent WHERE name = %s AND starts_with(feed, %s))"
    noted = (RELEASED, f"{source}-to-")
    return any(servers.ask(config.servers, lambda _, c: value(c, query, noted)).values())


def _fence(instance: InstanceConfig, seen: hosts.Status, now: Epoch) -> str | None:
    if instance.kind == COMPOSE:
        return "stop airbyte" if seen.compose == "running" else None
    known = seen.instance(instance.name)
    believes = known is not None and known.rendering.startswith("active-")
    return f"activate {instance.name} {now.epoch} stopped" if believes else None


@effect(Effect.SET_STOPPED)
def run_verb(control: hosts.HostControl, verb: str) -> None:
    """Have a host stop an Airbyte."""
    control.run(verb)


def put_right(config: Config, now: Epoch, server: ServerConfig) -> list[Work]:
    """Return what a server that is not active still has wrong, in the order to mend it."""
    with servers.control(server).connect() as connection:
        known = epoch.read(connection)
        stale = _was_live(connection, server)
        there = {name for (name,) in rows(connection, THERE, (server.live_databases,))}
        broken = _found_different(connection, server, now)
    found: list[Work] = []
    if now.epoch > (known.epoch if known is not None else 0):
        what = f"{server.name}: tell it epoch {now.epoch}"
        found.append(Work(what, partial(epoch.copy_from_peers, _as_here(config, server))))
    if stale:
        what = f"{server.name}: set its former live databases aside, under other names"
        found.append(Work(what, partial(_set_aside, config, now, server)))
    if stale or len(there) < len(server.live_databases):
        what = f"{server.name}: make {', '.join(server.live_databases)} again, empty"
        found.append(Work(what, partial(_make_empty, server)))
    if broken:
        what = f"{server.name}: drop the mirror's subscription, so that its agent copies anew"
        found.append(Work(what, partial(promotion.let_go, server)))
    return found


def stand_by(
    config: Config, now: Epoch, server: ServerConfig, instance_host: InstanceHost
) -> list[Work]:
    """Return what is missing until the Airbyte that is not active stands by on this server."""
    instance = standby.of(config, now.airbyte)
    control = instance_host(instance) if instance is not None else None
    if instance is None or control is None:
        return []
    try:
        seen = hosts.status(control).instance(instance.name)
    except MigrationError:
        return []
    rendering = f"standby-{server.name}"
    if seen is None or (seen.running and seen.rendering == rendering):
        return []
    verb = f"activate {instance.name} {now.epoch} {rendering}"
    act = partial(_start_standby, config, server, instance, partial(control.run, verb))
    return [Work(f"{instance.name}: {verb}", act)]


@effect(Effect.STAND_BY)
def _start_standby(
    config: Config, server: ServerConfig, instance: InstanceConfig, start: Callable[[], object]
) -> None:
    require_harmless(server)
    admission.admit(server, config.roles, instance.role)
    start()


def _was_live(connection: Connection, server: ServerConfig) -> bool:
    """Tell whether the server's `airbyte` was promoted once: prod has written to it."""
    return marks.active_epoch(marks.of_database(connection, server.database)) is not None


def _found_different(connection: Connection, server: ServerConfig, now: Epoch) -> bool:
    """Tell whether the last verification of this server's mirror found a difference."""
    feed = f"{now.database}-to-{server.name}"
    try:
        last = Journal(servers.control(server), feed).last_verification(connection)
    except psycopg.errors.UndefinedTable:
        return False
    return last is not None and not last[0]["equal"]


def _as_here(config: Config, server: ServerConfig) -> Config:
    """Return the configuration as a process beside `server` has it."""
    there = {"control": servers.as_control(server), "here": server.name}
    return config.model_copy(update=there)


@effect(Effect.SET_ASIDE)
def _set_aside(config: Config, now: Epoch, server: ServerConfig) -> None:
    """Rename what prod has written to, with its Temporal: workflows in it would sync again.

    Our slots in it keep WAL for nobody, and go, with those that a server has made for a table it
    was copying: whoever knew them by name may be dead. The databases stay, closed.
    """
    admission.admit(server, config.roles, None)
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with servers.control(server).connect() as connection:
        there = [name for (name,) in rows(connection, THERE, (server.live_databases,))]
        promotion.allow(connection, there, on=False)
        _drop_slots(connection, server.database)
        promotion.end_all(connection, there)
        suffix = _free_suffix(connection, there, now)

        def rename_all() -> None:
            for name in there:
                run(connection, rename.format(sql.Identifier(name), sql.Identifier(name + suffix)))

        atomically(connection, rename_all)


def _drop_slots(connection: Connection, database: str) -> None:
    query = (
        "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s "
        "AND (starts_with(slot_name, %s) OR slot_name ~ '^pg_[0-9]+_sync_[0-9]+_[0-9]+$')"
    )
    for name, reader in rows(connection, query, (database, PUBLICATION)):
        if reader is not None:
            run(connection, "SELECT pg_terminate_backend(%s, 10000)", (reader,))
        run(connection, "SELECT pg_drop_replication_slot(%s)", (name,))


def _free_suffix(connection: Connection, names: list[str], now: Epoch) -> str:
    suffix, number = f"_before_failover_{now.epoch}", 1
    while row(connection, THERE, ([name + suffix for name in names],)):
        number += 1
        suffix = f"_before_failover_{now.epoch}_{number}"
    return suffix


@effect(Effect.MAKE_EMPTY)
def _make_empty(server: ServerConfig) -> None:
    """Make the databases that Pulumi declares again: empty, Airbyte's, closed for everybody."""
    revoke = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC")
    own = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    with servers.control(server).connect() as connection:
        there = {name for (name,) in rows(connection, THERE, (server.live_databases,))}
        for name in server.live_databases:
            if name not in there:
                promotion.create_like(connection, name, server.mirror)
            database, owner = sql.Identifier(name), sql.Identifier(server.owner_role)
            for change in (revoke.format(database), own.format(database, owner)):
                atomically(connection, partial(run, connection, change))
