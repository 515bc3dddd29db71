"""The configuration: one JSON file without secrets; passwords are files that it names."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from db_migration.errors import ConfigError

DEFAULT_PATH = Path("/etc/db-migration/config.json")
PUBLICATION = "airbyte_migration"
GIBIBYTE = 1024**3

Port = Annotated[int, Field(ge=1, le=65535)]
Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,47}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$")]


class Mode(StrEnum):
    """How the copy is made."""

    AUTO = "auto"
    LOGICAL = "logical"
    SNAPSHOT = "snapshot"


class SslMode(StrEnum):
    """libpq's `sslmode`."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_FULL = "verify-full"


class Model(BaseModel):
    """Strict and frozen; inputs never appear in messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Login(Model):
    """A role and the file that holds its password."""

    user: str
    password_file: Path

    def password(self) -> str:
        """Read the password; a rotated file counts from the next connection on."""
        try:
            return self.password_file.read_text().rstrip("\n")
        except OSError as error:
            problem = f"password file of `{self.user}` must be readable: {error.strerror}"
            raise ConfigError(str(self.password_file), [problem]) from None


class Address(Model):
    """Host and port."""

    host: str
    port: Port = 5432


class ControlConfig(Address, Login):
    """The database of the journal, on the target's server."""

    database: str = "airbyte_migration"
    sslmode: SslMode = SslMode.REQUIRE


class HostControlConfig(Model):
    """SSH to a host's `hostctl` by forced command."""

    address: str
    port: Port = 22
    user: str = "root"
    key_file: Path
    known_hosts_file: Path


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


class FeedConfig(Model):
    """One continuous copy, source -> target."""

    name: Name
    mode: Mode = Mode.AUTO
    allow_source_restart: bool = False
    source: SourceConfig
    target: TargetConfig
    working_database: WorkingDatabaseConfig | None = None
    max_retained_wal_bytes: Annotated[int, Field(gt=0)] = 8 * GIBIBYTE
    sequence_margin: Annotated[int, Field(gt=0)] = 1000

    @property
    def slot(self) -> str:
        """Name of the slot on the source and of the subscription on the target."""
        return f"{PUBLICATION}_{self.target.name.replace('-', '_')}"

    @model_validator(mode="after")
    def _sides_differ(self) -> FeedConfig:
        source = (self.source.host, self.source.port, self.source.database)
        if source == (self.target.host, self.target.port, self.target.database):
            msg = "source and target must be two databases, got the same one twice"
            raise ValueError(msg)
        return self


class Config(Model):
    """The whole configuration file."""

    deployment: Name
    control: ControlConfig
    feeds: Annotated[tuple[FeedConfig, ...], Field(min_length=1)]
    verify_every_seconds: Annotated[float, Field(gt=0)] = 300
    poll_seconds: Annotated[float, Field(gt=0)] = 2
    catch_up_seconds: Annotated[float, Field(gt=0)] = 30

    @model_validator(mode="after")
    def _names_differ(self) -> Config:
        names = [feed.name for feed in self.feeds]
        if len(set(names)) != len(names):
            msg = f"feeds must have different names, got {sorted(names)}"
            raise ValueError(msg)
        return self


def load(path: Path) -> Config:
    """Read and check the file; raise ConfigError with every problem in it."""
    try:
        raw: Any = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(str(path), [f"file must be readable: {error.strerror}"]) from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            str(path), [f"file must be JSON: {error.msg}, line {error.lineno}"]
        ) from None
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(str(path), [_problem(item) for item in error.errors()]) from None
    problems = _unreadable(config)
    if problems:
        raise ConfigError(str(path), problems)
    return config


def _problem(item: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """Say which key is wrong and how, without the value found (it may be a secret put in the
    wrong place).
    """
    key = ".".join(str(part) for part in item["loc"]) or "(whole file)"
    return f"`{key}`: {item['msg']}"


def _unreadable(config: Config) -> list[str]:
    """Name every file that the configuration points to and that can not be read."""
    files = {"control.password_file": config.control.password_file}
    for number, feed in enumerate(config.feeds):
        at = f"feeds.{number}"
        files[f"{at}.source.owner.password_file"] = feed.source.owner.password_file
        files[f"{at}.source.reader.password_file"] = feed.source.reader.password_file
        files[f"{at}.target.password_file"] = feed.target.password_file
        if feed.source.host_control:
            files[f"{at}.source.host_control.key_file"] = feed.source.host_control.key_file
            files[f"{at}.source.host_control.known_hosts_file"] = (
                feed.source.host_control.known_hosts_file
            )
    return [
        f"`{key}`: `{path}` must be a readable file"
        for key, path in files.items()
        if not path.is_file()
    ]
