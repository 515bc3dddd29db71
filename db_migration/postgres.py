"""PostgreSQL as this script uses it: short connections, pinned settings, safe text of SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, TypeAlias

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tenacity import (
    Retrying,
    retry,
    retry_if_exception,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
    wait_random,
)

from db_migration import deadline, pinned
from db_migration.config_access import Login
from db_migration.errors import NoRoomError, UnreachableError

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
Query: TypeAlias = LiteralString | sql.SQL | sql.Composed

APPLICATION_NAME = "airbyte-migration"
CONNECT_TIMEOUT_SECONDS = 5
COLLISION_SECONDS = 5

TURN = "SET LOCAL lock_timeout = '200ms'"
"""Far below `deadlock_timeout` (1 s)."""
TURN_SECONDS, TURN_EVERY = 5.0, 0.1

# SQLSTATE 53300 in words: libpq keeps the code of a refused connection to itself.
CROWDED = ("too many clients", "too many connections", "connection slots are reserved")
MAKE_ROOM = (
    "end connections that nobody needs (pg_stat_activity lists them), or raise `max_connections`, "
    "or the CONNECTION LIMIT of the role or database that is named; this is tried again by itself"
)
"""The way out when all connections that a server allows are taken."""

POOLED = "it leaves out the settings that are given as `options`"
STARTUP = "unsupported startup parameter"
"""In the words of PgBouncer, for `options` and `replication`."""

REFUSED = "password authentication failed"
"""In words as well: of a password that has expired, too."""

SEVERAL = "All failures were:"
MOST_SAID = 500

CERTIFICATE = "certificate"
CERTIFICATES = (
    "certificates are libpq's own: PGSSLROOTCERT, PGSSLCERT and PGSSLKEY in the environment {of}, "
    "or ~/.postgresql; with `verify-full` the host is named as in the server's certificate"
)


@dataclass(frozen=True)
class Endpoint:
    """Where a database is and who enters it; prints without the password."""

    label: str
    host: str
    port: int
    database: str
    sslmode: str
    login: Login

    def conninfo(self, **extra: str) -> str:
        """Return libpq's connection string, password included: never log it."""
        usual: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "sslmode": self.sslmode,
            "user": self.login.user,
            "password": self.login.password(),
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": APPLICATION_NAME,
            "keepalives_idle": pinned.SILENCE_SECONDS // 2,
            "keepalives_interval": 5,
            "tcp_user_timeout": pinned.SILENCE_SECONDS * 1000,
        }
        return make_conninfo(**{**usual, **extra})

    def at(self, database: str) -> Endpoint:
        """Return the same server and role in another database."""
        return Endpoint(self.label, self.host, self.port, database, self.sslmode, self.login)

    @contextmanager
    def connect(self, **extra: str) -> Iterator[Connection]:
        """Open a connection in autocommit for the length of a `with`."""
        conninfo = self.conninfo(options=pinned.options(), **extra)
        try:
            connection = psycopg.connect(conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            raise self._shut(reasons(error)) from None
        try:
            with deadline.watched(connection, self.label):
                if not pinned.pin(connection):
                    raise self._shut(POOLED)
                yield connection
        except psycopg.errors.DiskFull as error:
            raise self.no_room(error) from None
        finally:
            connection.close()

    def no_room(self, error: psycopg.errors.DiskFull) -> NoRoomError:
        """Say that it is this server's disk that is full."""
        return NoRoomError(self.label, str(error.diag.message_primary))

    def _shut(self, said: str) -> UnreachableError:
        """Say why nobody gets in; a password is mended elsewhere than a tunnel."""
        way_out = "mend what it says, or look at the server and at the tunnel to it; this is tried "
        way_out += "again by itself"
        if crowded(said):
            way_out = MAKE_ROOM
        if CERTIFICATE in said:
            way_out = f"{CERTIFICATES.format(of='of this process')}; this is tried again by itself"
        if said == POOLED or STARTUP in said:
            way_out = (
                "this looks like a pooler (PgBouncer), behind which sessions are not ours alone: "
                "name the host and port of the server itself"
            )
        if REFUSED in said:
            way_out = (
                f"write the role's present password into `{self.login.password_file}` (with "
                "Pulumi: the stack's secret, then `pulumi up`); it counts from the next attempt on"
            )
        return UnreachableError(
            found=f"{self.label} (`{self.database}` at {self.host}:{self.port}, role "
            f"`{self.login.user}`) does not let us in: {said}",
            needed="a server that answers and accepts this role",
            way_out=way_out,
        )


def crowded(said: str) -> bool:
    """Tell whether somebody was refused because all connections are taken."""
    return any(words in said for words in CROWDED)


def held(side: str) -> UnreachableError:
    """Say that a lock was waited for in vain: the server answers, but somebody holds a table."""
    return UnreachableError(
        found=f"a table of the {side} is locked: a transaction holds it and does not end",
        needed="a moment in which nobody holds a table for himself alone (ACCESS EXCLUSIVE)",
        way_out="let that transaction end, or end it: pg_locks names its pid, "
        "SELECT pg_terminate_backend(pid); this is tried again by itself",
    )


def reasons(error: Exception) -> str:
    """Return all that libpq says, in one line; when it is empty the class says what happened.

    With `prefer` it tries again without encryption, and its last line is of that: a password that
    was refused stands in the first.
    """
    said = str(error).rpartition(SEVERAL)[2]  # psycopg's, of a name with several addresses
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Is the server running")]
    return " ".join(lines)[:MOST_SAID] or type(error).__name__


def rows(
    connection: Connection, query: Query, args: Sequence[object] = ()
) -> list[tuple[Any, ...]]:
    """Return all rows."""
    return connection.execute(query, args or None).fetchall()


@retry(
    retry=retry_if_exception_type(psycopg.errors.LockNotAvailable),
    stop=stop_after_delay(TURN_SECONDS),
    wait=wait_fixed(TURN_EVERY),
    reraise=True,
)
def rows_in_turn(connection: Connection, query: Query) -> list[tuple[Any, ...]]:
    """Return all rows of a query that locks tables, as printing a view or a rule does.

    It holds some while it waits for the next. In a circle of locks the server ends whoever has
    waited for `deadlock_timeout` when it closes: that would be prod, had we waited for so long
    before. Rolled back, or a long transaction of ours would keep the locks.
    """
    with connection.transaction(force_rollback=True):
        run(connection, TURN)
        return rows(connection, query)


def row(
    connection: Connection, query: Query, args: Sequence[object] = ()
) -> tuple[Any, ...] | None:
    """Return the first row, if any."""
    return connection.execute(query, args or None).fetchone()


def value(connection: Connection, query: Query, args: Sequence[object] = ()) -> Any:  # noqa: ANN401
    """Return the first column of the first row, None if there is none."""
    found = row(connection, query, args)
    return found[0] if found else None


def run(connection: Connection, query: Query, args: Sequence[object] = ()) -> None:
    """Execute, without a result."""
    connection.execute(query, args or None)


def atomically(connection: Connection, act: Callable[[], None]) -> None:
    """Do it in one transaction; anew, while others change the same rows of a shared catalog.

    PostgreSQL does not make a GRANT on a database wait for its RENAME, or the other way round: one
    of two that meet there fails ("tuple concurrently updated").
    """
    for attempt in Retrying(
        retry=retry_if_exception(collided),
        stop=stop_after_delay(COLLISION_SECONDS),
        wait=wait_random(0.01, 0.1),
        reraise=True,
    ):
        with attempt, connection.transaction():
            act()


def collided(error: BaseException) -> bool:
    """Tell whether two statements changed one row of a catalog at once; this one had no effect."""
    internal = isinstance(error, psycopg.errors.InternalError_)
    return internal and "tuple concurrently" in str(error)


def run_script(connection: Connection, script: str) -> None:
    """Execute a script that pg_dump made, as one message."""
    if script.strip():
        connection.execute(script.encode())


def hush(connection: Connection) -> None:
    """Keep the next statements, which hold a password, out of the server's log.

    Needs SET on these parameters (db_migration/target_setup.sql); without it the server logs a
    statement only if it fails, so the caller goes on.
    """
    for name in ("log_statement", "log_min_duration_statement", "log_min_error_statement"):
        quiet = {"log_statement": "none", "log_min_error_statement": "panic"}.get(name, "-1")
        try:
            run(connection, "SELECT pg_catalog.set_config(%s, %s, false)", (name, quiet))
        except psycopg.errors.InsufficientPrivilege:
            continue


@contextmanager
def become(connection: Connection, role: str) -> Iterator[None]:
    """Act as `role`, so that what is made belongs to it."""
    run(connection, sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    try:
        yield
    finally:
        if not connection.closed and connection.info.transaction_status.name != "INERROR":
            run(connection, "RESET ROLE")


def until(condition: Any, seconds: float, every: float = 0.05) -> bool:  # noqa: ANN401
    """Wait until `condition()` is true; return whether it became so in time."""
    wait = Retrying(
        retry=retry_if_result(lambda found: not found),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(every),
        retry_error_callback=lambda _: False,
    )
    return bool(wait(condition))
