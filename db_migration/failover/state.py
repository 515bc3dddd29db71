"""What a failover may know: servers, hosts and Airbytes as observed, the operator's word. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from airbyte.compose import DATABASE_CONTAINER, DATABASE_NAME, DATABASE_OWNER
from db_migration.agent.state import position
from db_migration.errors import BlockedError
from db_migration.sides.epoch import Epoch
from db_migration.sides.hosts import InstanceStatus, Status

COMPOSE = "compose"
ABCTL = "abctl"
HOSTCTL = "/usr/local/lib/airbyte-migration/hostctl"
START_COMPOSE = (
    f"{HOSTCTL} start database && docker exec {DATABASE_CONTAINER} psql -U {DATABASE_OWNER} -c "
    f"'ALTER DATABASE {DATABASE_NAME} ALLOW_CONNECTIONS true' postgres && {HOSTCTL} start airbyte"
)
"""What starts compose on its host, also where a cut-over has closed its database."""


@dataclass(frozen=True)
class MirrorSeen:
    """The copy on a server: whom it follows, up to where, and how far behind it was last seen."""

    complete: bool
    source: str = ""
    lsn: str = ""
    lag: str = ""
    """When it was last seen how far behind; empty when nobody has noted it."""
    snapshot: bool = False
    """It shows one moment and follows nothing: what came later is not in it."""
    follows: bool = True
    """It has a subscription: its agent has not given it up, and no promotion has let go of it."""
    copying: tuple[str, ...] = ()
    """Tables that are not copied to their end; of a complete one such as came late alone."""

    @property
    def position(self) -> int:
        """Return `lsn` as a number, 0 without one."""
        return position(self.lsn)


@dataclass(frozen=True)
class ServerSeen:
    """A database server of ours; `said` is why it does not answer, or does not let us in."""

    name: str
    answers: bool
    said: str = ""
    epoch: Epoch | None = None
    mirror: MirrorSeen = MirrorSeen(complete=False)
    promoted: int = 0
    """Epoch for which this server's `airbyte` was promoted."""
    by_cut_over: bool = False
    """A cut-over has promoted it, and before its epoch it lets nobody in."""
    taken: int = 0
    """Number of a cut-over that was begun here: a server that is silent may know its epoch."""
    unfinished: bool = False
    """A failover that leads here was begun and has not said that it is over."""
    begun: bool = False
    """Nothing was copied to here since then: what it promoted is still the newest there is."""


@dataclass(frozen=True)
class HostSeen:
    """A host of an Airbyte, as its hostctl answers."""

    name: str
    status: Status | None
    said: str = ""

    @property
    def answers(self) -> bool:
        """Tell whether it carries out verbs."""
        return self.status is not None


@dataclass(frozen=True)
class InstanceSeen:
    """An Airbyte: where it is, and what its API says from here (None: it has none)."""

    name: str
    kind: str
    host: str
    answers: bool | None = None
    healthy: bool | None = None


@dataclass(frozen=True)
class Observed:
    """Everything the decision may rest on."""

    initial: Epoch
    servers: tuple[ServerSeen, ...]
    hosts: tuple[HostSeen, ...]
    instances: tuple[InstanceSeen, ...]
    prod_database_answers: bool | None = None
    """Compose's database, seen through the tunnel; None from where there is no tunnel."""
    down: frozenset[str] = frozenset()
    """Hosts of which the operator says that they are down."""

    @property
    def now(self) -> Epoch:
        """The highest epoch of the servers that answer."""
        known = [server.epoch for server in self.servers if server.answers and server.epoch]
        return max([self.initial, *known], key=lambda found: found.epoch)

    @property
    def next_number(self) -> int:
        """The number of a new epoch: one that nothing was ever promoted for."""
        used = [max(server.promoted, server.taken) for server in self.servers if server.answers]
        return max([self.now.epoch, *used]) + 1

    @property
    def begun(self) -> ServerSeen | None:
        """The server that a failover which never got to its epoch has promoted."""
        number = self.now.epoch
        return next((s for s in self.servers if s.begun and s.promoted > number), None)

    @property
    def cut_over_to(self) -> ServerSeen | None:
        """The server that a cut-over, which never got to its epoch, has promoted: equal to prod."""
        if self.server(self.now.database) is not None:
            return None
        number = self.now.epoch
        return next((s for s in self.servers if s.by_cut_over and s.promoted > number), None)

    def server(self, name: str) -> ServerSeen | None:
        """Return a server of ours; None for compose's."""
        return next((found for found in self.servers if found.name == name), None)

    def host(self, name: str) -> HostSeen:
        """Return a host; one that nobody asked has not answered."""
        unseen = HostSeen(name, None, "it was not asked")
        return next((found for found in self.hosts if found.name == name), unseen)

    def instance(self, name: str) -> InstanceSeen:
        """Return an instance."""
        found = next((instance for instance in self.instances if instance.name == name), None)
        if found is None:
            raise BlockedError(
                found=f"the active Airbyte is `{name}`, which is not configured here",
                needed="`instances` that name it",
                way_out="run `pulumi up`: it writes the configuration",
            )
        return found

    def status(self, instance: InstanceSeen) -> InstanceStatus | None:
        """Return what its host says about an instance."""
        status = self.host(instance.host).status
        return status.instance(instance.name) if status is not None else None

    def to_stop(self, active: InstanceSeen) -> tuple[str, ...]:
        """Name what a promotion must stop first: the active Airbyte, and every standby."""
        return tuple(
            instance.name
            for instance in self.instances
            if self.host(instance.host).answers
            and (
                instance.name == active.name
                or ((status := self.status(instance)) is not None and status.running)
            )
        )

    def misplaced(self, chosen: str, live: str) -> tuple[str, ...]:
        """Name the abctl-managed Airbytes, but the chosen one, that believe to be active, or stand
        by on what has become the live database.
        """
        return tuple(
            instance.name
            for instance in self.instances
            if instance.name != chosen
            and (status := self.status(instance)) is not None
            and (status.rendering.startswith("active-") or status.rendering == f"standby-{live}")
        )


def compose_again(host: str) -> str:
    """Say what puts compose back that stands still on a host that lives: a cut-over may have died
    there, and with it the host that keeps its notes.
    """
    return (
        "if a cut-over was interrupted: `db-migration cutover` on core-worker-01 goes on with it, "
        "`cutover --abort` there puts compose back. Otherwise, or if that host is dead (then "
        f"`cutover --abort` when it is back): on {host} `{START_COMPOSE}`; or switch {host} off "
        "and come back"
    )


def evidence(seen: Observed) -> tuple[str, ...]:
    """Say in one line each what was seen."""
    lines = [f"epoch {seen.now.epoch}: {seen.now.airbyte} on {seen.now.database}"]
    for server in seen.servers:
        if not server.answers or server.said:
            does = "answers, but does not let us in" if server.answers else "does not answer"
            lines.append(f"server {server.name} {does}: {server.said}")
            continue
        lines.append(f"server {server.name} answers; {copy_of(server)}")
    if seen.prod_database_answers is not None:
        does = "answers" if seen.prod_database_answers else "does not answer"
        lines.append(f"compose's database {does} through the tunnel")
    for host in seen.hosts:
        word = " (the operator says: down)" if host.name in seen.down else ""
        said = "answers" if host.answers else f"does not answer: {host.said}"
        lines.append(f"host {host.name} {said}{word}")
    for instance in seen.instances:
        lines.append(f"{instance.name}: {_condition(seen, instance)}")
    return tuple(lines)


def _condition(seen: Observed, instance: InstanceSeen) -> str:
    status, host = seen.status(instance), seen.host(instance.host).status
    if host is None:
        known = "its host does not answer"
    elif instance.kind == COMPOSE:
        known = host.compose
    elif status is None:
        known = "not installed"
    else:
        does = "runs" if status.running else "does not run"
        known = f"{does}, {status.rendering or 'no rendering'} (epoch {status.epoch})"
    api = {None: "", True: ", API healthy", False: ", API not healthy"}[instance.healthy]
    return known + api


def copy_of(server: ServerSeen) -> str:
    """Say in words what a server's mirror is worth."""
    mirror = server.mirror
    if not mirror.complete:
        return "its mirror is not complete"
    does = "follows" if mirror.follows else "does not follow any more"
    does = "is a snapshot of" if mirror.snapshot else does
    copies = f", and has not all rows of {', '.join(mirror.copying)}" if mirror.copying else ""
    up_to = f"up to {mirror.lsn or 'nowhere'}{copies}"
    return f"its mirror {does} {mirror.source or 'nobody known'} {up_to}"
