"""What every script container is told: databases, Airbytes, feeds, and where they lead."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.database_server import DatabaseServer, Endpoint
from components.host import Host


@dataclass(frozen=True, kw_only=True)
class FeedArgs:
    """One continuous copy, as the settings want it."""

    name: str
    source: str
    """`prod`, or the name of a database server."""
    target: str
    """Name of the target server; the slot on the source is called after it."""
    mode: str
    allow_source_restart: bool
    snapshot_interval_seconds: int
    """How often a copy is taken where prod's changes can not be followed."""
    refresh_hours: float
    verify_every_seconds: int
    ready_seconds: int
    """How long `pulumi up` waits until the feed follows and is verified."""
    rehearse_every_seconds: int | None = None
    """None: a rehearsal is held when somebody asks for one."""


@dataclass(frozen=True, kw_only=True)
class ComposeInstance:
    """The Airbyte of Docker Compose, on its own database."""

    name: str
    host: Host
    port: int
    basic_auth_password: pulumi.Input[str] | None = None
    """None: its API is not asked, and nobody can cancel its syncs."""

    @property
    def client_secret_file(self) -> str:
        """Return the path below the folder."""
        return f"secrets/{self.name}-client"


@dataclass(frozen=True, kw_only=True)
class AbctlInstance:
    """An Airbyte that runs on whichever server lets its role in."""

    name: str
    host: Host
    port: int
    role: str
    client_secret: pulumi.Input[str]

    @property
    def client_secret_file(self) -> str:
        """Return the path below the folder."""
        return f"secrets/{self.name}-client"


@dataclass(frozen=True, kw_only=True)
class Active:
    """Which Airbyte works, and on which database."""

    database: str
    airbyte: str


@dataclass(frozen=True, kw_only=True)
class CutOver:
    """What the planned move ends in."""

    to: Active
    drain: str
    """What happens to syncs that still run after `drain_seconds`: abort, wait or cancel."""
    drain_seconds: int


@dataclass(frozen=True, kw_only=True)
class Schedules:
    """At which pace syncs begin again after a change of sides, and how long the proof may take."""

    running_at_most: int
    touch_every_seconds: int
    prove_seconds: int


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """The whole deployment, as every script container is told it."""

    deployment: str
    servers: Sequence[DatabaseServer]
    compose: ComposeInstance
    abctl: Sequence[AbctlInstance]
    """The standby comes last."""
    cut_over: CutOver | None
    schedules: Schedules
    accepted_versions: Sequence[str] = ()
    """Versions of Airbyte that are not known here, on which the owner gave his word."""

    @property
    def client_secrets(self) -> dict[str, pulumi.Input[str]]:
        """Return what the APIs ask for, by its path below the folder."""
        found = {one.client_secret_file: one.client_secret for one in self.abctl}
        compose = self.compose
        if compose.basic_auth_password is not None:
            found[compose.client_secret_file] = compose.basic_auth_password
        return found

    @property
    def commanded(self) -> list[Host]:
        """Hosts with an Airbyte, each once: what the agents stop, start and activate."""
        hosts = [self.compose.host, *(instance.host for instance in self.abctl)]
        return list({host.name: host for host in hosts}.values())


@dataclass(frozen=True, kw_only=True)
class Viewpoint:
    """Where a script container stands."""

    host: Host
    server: DatabaseServer | None
    """The server beside it, whose copy it makes."""
    prod: Endpoint | None
    """Compose's database at the near end of the tunnel."""
