"""What can go wrong, as something that begins and ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import psycopg

if TYPE_CHECKING:
    from tests.support.fault_world import FaultWorld


class Fault:
    """One fault, as yet without effect; `choice` decides its details, the schedule its time."""

    name: ClassVar[str] = ""

    def __init__(self, choice: random.Random) -> None:
        self.choice = choice

    def begin(self, world: FaultWorld) -> None:
        """Break it."""

    def end(self, world: FaultWorld) -> None:
        """Stop breaking it; what is dead is started by whoever runs the hosts."""


class SourceKilled(Fault):
    name = "source killed"

    def begin(self, world: FaultWorld) -> None:
        world.source.kill()

    def end(self, world: FaultWorld) -> None:
        world.source.start()


class SourceRestarted(Fault):
    name = "source restarted"

    def begin(self, world: FaultWorld) -> None:
        world.source.restart()


class TargetKilled(Fault):
    name = "target killed"

    def begin(self, world: FaultWorld) -> None:
        world.target.kill()

    def end(self, world: FaultWorld) -> None:
        world.disk.empty()
        world.target.start()


class TargetRestarted(Fault):
    name = "target restarted"

    def begin(self, world: FaultWorld) -> None:
        world.disk.empty()
        world.target.restart()


class TunnelCut(Fault):
    name = "tunnel cut"

    def begin(self, world: FaultWorld) -> None:
        world.tunnel.cut()

    def end(self, world: FaultWorld) -> None:
        world.tunnel.mend()


class TunnelFrozen(Fault):
    name = "tunnel frozen"

    def begin(self, world: FaultWorld) -> None:
        world.tunnel.freeze()

    def end(self, world: FaultWorld) -> None:
        world.tunnel.mend()


class AgentKilled(Fault):
    name = "agent killed"

    def begin(self, world: FaultWorld) -> None:
        world.agent.kill()

    def end(self, world: FaultWorld) -> None:
        world.agent.start()


class DiskFull(Fault):
    name = "disk full"

    def begin(self, world: FaultWorld) -> None:
        world.disk.fill()

    def end(self, world: FaultWorld) -> None:
        world.disk.empty()


class SlotLost(Fault):
    name = "slot lost"

    def begin(self, world: FaultWorld) -> None:
        world.tunnel.cut()
        with suppress(psycopg.Error):
            for _ in range(3):
                world.source.sql("SELECT pg_switch_wal()")
                world.source.sql("SELECT txid_current()")
            world.bound_slots("1MB")
            world.source.sql("CHECKPOINT")

    def end(self, world: FaultWorld) -> None:
        with suppress(psycopg.Error):
            world.bound_slots("1GB")
        world.tunnel.mend()


class PasswordRotated(Fault):
    name = "password rotated"

    def begin(self, world: FaultWorld) -> None:
        with suppress(psycopg.Error):
            world.source.sql("ALTER ROLE airbyte_migration PASSWORD 'of somebody else'")
            world.end_walsenders()


class WorkersEnded(Fault):
    name = "workers ended"

    def begin(self, world: FaultWorld) -> None:
        with suppress(psycopg.Error):
            world.end_walsenders()
        with suppress(psycopg.Error):
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_subscription"
            world.target.sql(f"{query} WHERE pid IS NOT NULL")


class SchemaChanged(Fault):
    """What an upgrade of Airbyte does, a few of it."""

    name = "schema changed"

    def begin(self, world: FaultWorld) -> None:
        for _ in range(self.choice.randint(1, 3)):
            self._change(world)

    def end(self, world: FaultWorld) -> None:
        self._change(world)

    def _change(self, world: FaultWorld) -> None:
        number = world.next_number()
        statements = (
            f"ALTER TABLE jobs ADD COLUMN c{number} int DEFAULT 7",
            f"ALTER TABLE attempts ADD COLUMN c{number} text",
            f"ALTER TYPE job_status ADD VALUE 'v{number}'",
            f"CREATE TABLE t{number} (id int PRIMARY KEY); INSERT INTO t{number} VALUES (1)",
            f"CREATE TABLE t{number} (a text); INSERT INTO t{number} VALUES ('x'), ('x')",
            f"CREATE INDEX i{number} ON jobs (status, created_at)",
            "ALTER TABLE workspace ALTER COLUMN name TYPE varchar(256)",
            "ALTER TABLE workspace ALTER COLUMN name TYPE text",
            f"ALTER TABLE workspace RENAME COLUMN email TO email_{number}; "
            f"ALTER TABLE workspace RENAME COLUMN email_{number} TO email",
            f"ALTER TABLE connection ADD CONSTRAINT k{number} CHECK (name <> '')",
            "ALTER TABLE attempts DROP COLUMN IF EXISTS output",
        )
        with suppress(psycopg.OperationalError, psycopg.errors.LockNotAvailable):
            world.ddl(self.choice.choice(statements))


class TableDropped(Fault):
    name = "table dropped"

    def begin(self, world: FaultWorld) -> None:
        with suppress(psycopg.OperationalError):
            world.ddl("CREATE TABLE IF NOT EXISTS passing (id int); INSERT INTO passing VALUES (1)")

    def end(self, world: FaultWorld) -> None:
        with suppress(psycopg.OperationalError):
            world.ddl("DROP TABLE IF EXISTS passing")


EVERY: tuple[type[Fault], ...] = (
    SourceKilled, SourceRestarted, TargetKilled, TargetRestarted, TunnelCut, TunnelFrozen,
    AgentKilled, DiskFull, SlotLost, PasswordRotated, WorkersEnded, SchemaChanged, TableDropped,
)  # fmt: skip
FAULTS: dict[str, Callable[[random.Random], Fault]] = {fault.name: fault for fault in EVERY}
