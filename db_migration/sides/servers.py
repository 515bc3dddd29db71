"""Our PostgreSQL servers as endpoints, and all of them asked at once: a dead one costs little."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from db_migration.config import (
    Config,
    ControlConfig,
    ServerConfig,
    SourceConfig,
    TargetConfig,
)
from db_migration.config_access import Address, Login
from db_migration.errors import BlockedError, MigrationError
from db_migration.postgres import Connection, Endpoint, until

ANSWER_SECONDS = 3
"""What a server that does not answer may cost; a living one takes milliseconds."""

LETS_IN_SECONDS = 15.0
"""For how long one that is alive is waited for: a host under load, a server in its recovery."""
PING_SECONDS = 2
ALIVE = frozenset({Ping.OK, Ping.REJECT})

T = TypeVar("T")


def at(server: ServerConfig, database: str) -> Endpoint:
    """Return one of the server's databases."""
    label = f"server `{server.name}`"
    return Endpoint(label, server.host, server.port, database, server.sslmode, server)


def control(server: ServerConfig) -> Endpoint:
    """Return the server's control database."""
    return at(server, server.control_database)


def as_control(server: ServerConfig) -> ControlConfig:
    """Return the server as a process beside it has it configured."""
    return ControlConfig(**_way_in(server), database=server.control_database)


def as_target(server: ServerConfig) -> TargetConfig:
    """Return the server as what a feed fills: its mirror."""
    return TargetConfig(
        **_way_in(server), name=server.name, database=server.mirror, owner_role=server.owner_role
    )


def as_source(server: ServerConfig) -> SourceConfig:
    """Return the server as what a feed reads: its live database."""
    login = Login(user=server.user, password_file=server.password_file)
    return SourceConfig(
        host=server.host,
        port=server.port,
        sslmode=server.sslmode,
        name=server.name,
        database=server.database,
        owner=login,
        reader=login,
        address_for_subscriber=Address(host=server.host, port=server.port),
    )


def _way_in(server: ServerConfig) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password_file": server.password_file,
        "sslmode": server.sslmode,
    }


def here(config: Config) -> ServerConfig:
    """Return the server whose control database this process keeps its journal in.

    Raises BlockedError in a deployment without `servers`, too.
    """
    mine = config.control
    for server in config.servers:
        if (server.host, server.port) == (mine.host, mine.port):
            return server
    found = config.server(config.here)
    if found is None:
        raise BlockedError(
            found="`control` is on none of the `servers`",
            needed="a control database on one of our servers",
            way_out="run `pulumi up`, which writes the configuration",
        )
    return found


def ask(
    servers: tuple[ServerConfig, ...],
    question: Callable[[ServerConfig, Connection], T],
    *,
    patient: bool = False,
) -> dict[str, T]:
    """Put the question to the control database of every server at once; leave out the silent.

    `patient` gives those that are alive more time; the dead are not waited for. Whoever changes the
    active side and takes a busy server for a dead one does not hear of the epoch that only this
    one knows.
    """
    answers = _ask_once(servers, question)

    def all_in() -> bool:
        late = tuple(one for one in servers if one.name not in answers and alive(one))
        answers.update(_ask_once(late, question))
        return not late

    if patient:
        until(all_in, LETS_IN_SECONDS, every=0.2)
    return answers


def answering(config: Config, *, patient: bool = False) -> tuple[ServerConfig, ...]:
    """Return the servers that answer now."""
    found = ask(config.servers, lambda _, connection: True, patient=patient)
    return tuple(server for server in config.servers if server.name in found)


def _ask_once(
    servers: tuple[ServerConfig, ...], question: Callable[[ServerConfig, Connection], T]
) -> dict[str, T]:
    """Use threads of their own, which nobody waits for.

    A frozen server keeps its connection open for ever and answers nothing.
    """
    answers: dict[str, T] = {}

    def put(server: ServerConfig) -> None:
        try:
            with control(server).connect(connect_timeout=str(ANSWER_SECONDS)) as connection:
                answers[server.name] = question(server, connection)
        except (MigrationError, psycopg.Error):
            return

    threads = [threading.Thread(target=put, args=(server,), daemon=True) for server in servers]
    deadline = time.monotonic() + ANSWER_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return dict(answers)


def alive(address: Address) -> bool:
    """Tell whether a PostgreSQL server answers at all, even if it lets nobody in."""
    conninfo = make_conninfo(host=address.host, port=address.port, connect_timeout=PING_SECONDS)
    return PGconn.ping(conninfo.encode()) in ALIVE
