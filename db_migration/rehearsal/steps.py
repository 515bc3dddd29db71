"""What each step of a rehearsal does; every one may be killed, and what is left is then removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from db_migration import sessions
from db_migration.airbytes.api import AirbyteApi
from db_migration.config import InstanceConfig, ServerConfig
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError
from db_migration.failover.failover import lock_all
from db_migration.following import follow, marks, working
from db_migration.journal import Journal
from db_migration.postgres import Connection, become, until, value
from db_migration.rehearsal import checks as rehearse_checks
from db_migration.rehearsal.checks import Airbyte, Facts
from db_migration.sides import hosts, servers, standby
from db_migration.sides.epoch import Epoch
from db_migration.sides.hosts import HostControl

HEALTHY_SECONDS = 120.0
FEED_LOCK_SECONDS = 120.0
ACTIVE = "SELECT count(*) FROM public.connection WHERE status::text = 'active'"


@dataclass(frozen=True)
class Stage:
    """Where a rehearsal is held, and with whom."""

    context: Context
    server: ServerConfig
    instance: InstanceConfig
    host: HostControl
    now: Epoch

    @property
    def set_aside(self) -> str:
        """What the working database is called meanwhile."""
        return set_aside(self.server)


def set_aside(server: ServerConfig) -> str:
    """Return what a server's working database is called while the clone is in its place."""
    return f"{server.database}_before_rehearsal"


@contextmanager
def undisturbed(stage: Stage) -> Iterator[None]:
    """Keep failovers out for a moment; raises BlockedError when one was first."""
    with ExitStack() as held:
        lock_all(held, [stage.server], stage.now)
        yield


@contextmanager
def feed_still(stage: Stage) -> Iterator[None]:
    """Keep the agent from renewing the working database meanwhile."""
    journal = Journal(stage.context.control, stage.context.feed.name)
    with ExitStack() as held:

        def alone() -> bool:
            with ExitStack() as attempt:
                if not attempt.enter_context(journal.alone()):
                    return False
                held.enter_context(attempt.pop_all())
                return True

        if not until(alone, FEED_LOCK_SECONDS, every=0.2):
            raise BlockedError(
                found=f"the agent is at a step of feed {stage.context.feed.name}",
                needed="a feed that follows, between two steps",
                way_out="look at `db-migration status`; then repeat",
            )
        yield


def clone(stage: Stage) -> tuple[Facts, int]:
    """Clone the mirror beside the working database; return what it holds, and how many
    connections prod has active.
    """
    context = stage.context
    working.drop_next(context)
    working.clone(context)
    with (
        context.server.at(working.next_name(context)).connect() as inside,
        become(inside, stage.server.owner_role),
    ):
        facts = rehearse_checks.read(inside)
    with context.mirror.connect() as inside, become(inside, stage.server.owner_role):
        return facts, int(value(inside, ACTIVE))


@effect(Effect.REHEARSAL_STOP)
def stop(stage: Stage) -> None:
    """Stop the standby; never anybody who was activated meanwhile."""
    with undisturbed(stage):
        stage.host.run("stop abctl")


@effect(Effect.REHEARSAL_SWAP)
def swap(stage: Stage) -> None:
    """Put the clone in the working database's place, and let the standby into it."""
    with undisturbed(stage):
        _swap(stage, fresh=working.next_name(stage.context), old=stage.set_aside)
        standby.admit(stage.context)


@effect(Effect.REHEARSAL_INSTALL)
def install(stage: Stage) -> bool:
    """Install the standby's rendering on the clone; tell whether its API becomes healthy."""
    stage.host.run("start abctl")
    with AirbyteApi(stage.instance) as api:
        return until(lambda: api.health() is True, HEALTHY_SECONDS, every=0.5)


def ask(stage: Stage, *, healthy: bool) -> tuple[Facts, Airbyte]:
    """Read what the Airbyte on the clone has made of it, and what it says itself."""
    inside = servers.at(stage.server, stage.server.database)
    with inside.connect() as connection, become(connection, stage.server.owner_role):
        facts = rehearse_checks.read(connection)
    known = hosts.status(stage.host).instance(stage.instance.name)
    with AirbyteApi(stage.instance) as api:
        listed = frozenset(one.id for one in api.connections()) if healthy else frozenset()
        return facts, Airbyte(healthy, api.version(), listed, bool(known and known.syncing))


@effect(Effect.REHEARSAL_REMOVE)
def remove(stage: Stage) -> None:
    """Stop the Airbyte on the clone, and put the working database back."""
    with undisturbed(stage):
        stage.host.run("stop abctl")
        _swap(stage, fresh=stage.set_aside, old=working.old_name(stage.context))
    working.drop_old(stage.context)


def _swap(stage: Stage, *, fresh: str, old: str) -> None:
    where, name = servers.control(stage.server), stage.server.database
    sessions.swap(where, name, fresh=fresh, old=old, whose=sessions.OURS)


@effect(Effect.REHEARSAL_DROP)
def drop_set_aside(context: Context, server: ServerConfig) -> None:
    """Drop the database that was set aside, when another one has taken its place for good."""
    follow.drop_database(context, set_aside(server))


@effect(Effect.REHEARSAL_RESUME)
def resume(host: HostControl) -> None:
    """Have the host apply what its epoch says: the standby again, or whatever it has become."""
    host.run("start abctl")


def there(connection: Connection, server: ServerConfig) -> tuple[bool, bool]:
    """Tell whether a working database was set aside, and whether one of ours is in place."""
    comments = marks.of_databases(connection)
    ours = marks.working_mark(comments.get(server.database)) is not None
    return set_aside(server) in comments, ours
