"""The configuration: one JSON file without secrets; passwords are files that it names."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator

from db_migration import secrecy
from db_migration.config_access import (
    Address,
    HostControlConfig,
    Identifier,
    Login,
    Model,
    Name,
    SslMode,
    read_secret,
)
from db_migration.errors import ConfigError

PUBLICATION = "airbyte_migration"
GIBIBYTE = 1024**3


class Mode(StrEnum):
    """How the copy is made."""

    AUTO = "auto"
    LOGICAL = "logical"
    SNAPSHOT = "snapshot"


class ControlConfig(Address, Login):
    """The database of the journal, on the target's server."""

    database: str = "airbyte_migration"
    sslmode: SslMode = SslMode.REQUIRE


class SourceConfig(Address):
    """The server that is copied, with the owner's credential and the feed's own."""

    name: Name
    database: str
    sslmode: SslMode = SslMode.PREFER
    owner: Login
    reader: Login
    address_for_subscriber: Address
    host_control: HostControlConfig | None = None


class TargetConfig(Address, Login):
    """The server that holds the copy; `owner_role` owns what is in it."""

    name: Name
    database: Identifier = "airbyte_mirror"
    sslmode: SslMode = SslMode.REQUIRE
    owner_role: Identifier = "airbyte"


class WorkingDatabaseConfig(Model):
    """The clone of the mirror that the standby Airbyte runs on."""

    name: Identifier = "airbyte"
    owner_role: Identifier = "airbyte"
    refresh_hours: Annotated[float, Field(gt=0)] = 24
    reader_host_control: HostControlConfig | None = None


def slot_name(target: str) -> str:
    """Name of the slot on a source, and of the subscription on the target, of a target's feed."""
    return f"{PUBLICATION}_{target.replace('-', '_')}"


class FeedConfig(Model):
    """One continuous copy, source -> target."""

    name: Name
    mode: Mode = Mode.AUTO
    allow_source_restart: bool = False
    source: SourceConfig
    target: TargetConfig
    working_database: WorkingDatabaseConfig | None = None
    max_retained_wal_bytes: Annotated[int, Field(gt=0, lt=2**51)] = 8 * GIBIBYTE
    snapshot_interval_seconds: Annotated[float, Field(gt=0)] = 300
    sequence_margin: Annotated[int, Field(gt=0)] = 1000

    @property
    def slot(self) -> str:
        """Name of the slot on the source and of the subscription on the target."""
        return slot_name(self.target.name)

    @model_validator(mode="after")
    def _sides_differ(self) -> FeedConfig:
        source = (self.source.host, self.source.port, self.source.database)
        if source == (self.target.host, self.target.port, self.target.database):
            msg = "source and target must be two databases, got the same one twice"
            raise ValueError(msg)
        return self


class ServerConfig(Address, Login):
    """A PostgreSQL server that can be prod's; all of them have the same roles and databases."""

    name: Name
    sslmode: SslMode = SslMode.REQUIRE
    control_database: Identifier = "airbyte_migration"
    database: Identifier = "airbyte"
    mirror: Identifier = "airbyte_mirror"
    temporal: tuple[Identifier, ...] = ("temporal", "temporal_visibility")
    owner_role: Identifier = "airbyte"

    @property
    def live_databases(self) -> list[str]:
        """What an Airbyte that runs on this server enters: its own database and Temporal's."""
        return [self.database, *self.temporal]


class InstanceConfig(Model):
    """An Airbyte, and how its host and its API are reached."""

    name: Name
    kind: Literal["compose", "abctl"]
    host: Name
    database: Name | None = None
    """Compose's own database server; an abctl's depends on the epoch."""
    role: Identifier | None = None
    """The login of an abctl's Airbyte: what a server admits or shuts out."""
    host_control: HostControlConfig | None = None
    url: str | None = None
    client_id: str | None = None
    client_secret_file: Path | None = None

    def client_secret(self) -> str:
        """Read the API's secret; a rotated file counts from the next token on."""
        if self.client_secret_file is None:
            key = f"instances.{self.name}"
            problem = "`client_secret_file` is needed to speak to the API"
            raise ConfigError(key, [problem])
        return secrecy.learn(
            read_secret(self.client_secret_file, f"client secret of `{self.name}`")
        )


class InitialConfig(Model):
    """What is active as long as no epoch was written."""

    database: Name
    airbyte: Name


class DrainPolicy(StrEnum):
    """What happens to jobs that still run after `drain_seconds`."""

    WAIT = "wait"
    """They are waited for, without a limit."""
    CANCEL = "cancel"
    """They are cancelled through compose's API; its `url` and login must be configured."""
    ABORT = "abort"
    """The cut-over gives up, and compose goes on as if nothing had been."""


class CutoverConfig(Model):
    """Where the cut-over leads, and how long jobs may take to end."""

    database: Name
    airbyte: Name
    drain: DrainPolicy = DrainPolicy.ABORT
    drain_seconds: Annotated[float, Field(gt=0)] = 300


class SchedulesConfig(Model):
    """How schedules are brought back after a change of sides: a touch starts what is overdue."""

    running_at_most: Annotated[int, Field(gt=0)] = 5
    """An overdue connection is touched while fewer run: Airbyte's own `MAX_SYNC_WORKERS`."""
    touch_every_seconds: Annotated[float, Field(gt=0)] = 15
    """Or so long after the last one, however many run: no long sync holds up the others."""
    prove_seconds: Annotated[float, Field(gt=0)] = 300


class HttpConfig(Model):
    """Where the agent tells Prometheus and a load balancer how it is; port 0: nowhere."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 19187


class Config(Model):
    """The whole configuration file."""

    deployment: Name
    control: ControlConfig
    feeds: tuple[FeedConfig, ...]
    verify_every_seconds: Annotated[float, Field(gt=0)] = 300
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 2
    """Between two looks; /healthz takes an agent for dead that has not spoken for two minutes."""
    catch_up_seconds: Annotated[float, Field(gt=0)] = 30
    schema_quiet_seconds: Annotated[float, Field(ge=0)] = 5
    """How long the source's schema must have stood before a new copy is begun after a change."""
    http: HttpConfig = HttpConfig()
    here: str = ""
    servers: tuple[ServerConfig, ...] = ()
    instances: tuple[InstanceConfig, ...] = ()
    initial: InitialConfig | None = None
    cutover: CutoverConfig | None = None
    schedules: SchedulesConfig = SchedulesConfig()
    accepted_versions: tuple[str, ...] = ()
    """Versions of Airbyte that nobody has tried, on which the owner gave his word."""
    rehearse_every_seconds: Annotated[float, Field(gt=0)] | None = None
    """None: a rehearsal is held when it is asked for only."""

    _origin: tuple[Path, str] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _names_differ(self) -> Config:
        for kind, things in (
            ("feeds", self.feeds),
            ("servers", self.servers),
            ("instances", self.instances),
        ):
            names = [thing.name for thing in things]
            if len(set(names)) != len(names):
                msg = f"{kind} must have different names, got {sorted(names)}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _databases_differ(self) -> Config:
        control = self.control
        for feed in self.feeds:
            names, target = [feed.target.database], feed.target
            names += [feed.working_database.name] if feed.working_database else []
            if (target.host, target.port) == (control.host, control.port):
                names.append(control.database)
            if len(set(names)) != len(names):
                msg = f"mirror, working and control database must differ, got {sorted(names)}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Config:
        if self.servers and self.initial is None:
            msg = "`servers` need `initial`: which database and Airbyte are active at first"
            raise ValueError(msg)
        instances = {instance.name for instance in self.instances}
        servers = {server.name for server in self.servers}
        for key, named in (("initial", self.initial), ("cutover", self.cutover)):
            if named is not None and named.airbyte not in instances:
                msg = f"`{key}.airbyte` must name one of `instances`, got `{named.airbyte}`"
                raise ValueError(msg)
        if self.cutover is not None and self.cutover.database not in servers:
            msg = f"`cutover.database` must name one of `servers`, got `{self.cutover.database}`"
            raise ValueError(msg)
        return self

    @property
    def roles(self) -> list[str]:
        """Login roles of all the Airbytes."""
        return [instance.role for instance in self.instances if instance.role]

    def server(self, name: str) -> ServerConfig | None:
        """Return a server by its name; None for a source that is none of ours (`prod`)."""
        return next((server for server in self.servers if server.name == name), None)

    def instance(self, name: str) -> InstanceConfig | None:
        """Return an Airbyte by its name."""
        return next((instance for instance in self.instances if instance.name == name), None)

    @property
    def origin(self) -> str:
        """Name the file that this was read from; one that was made otherwise has only its name."""
        return str(self._origin[0]) if self._origin is not None else self.deployment

    def remember(self, path: Path, text: str) -> None:
        """Keep where this was read from, to see when it is no longer what is there."""
        self._origin = (path, text)

    def outdated(self) -> bool:
        """Tell whether the file says something else by now; a file in the making does not count."""
        if self._origin is None:
            return False
        path, text = self._origin
        try:
            now = path.read_text(encoding="utf-8")
            json.loads(now)
        except (OSError, ValueError, RecursionError):
            return False
        return now != text
