"""What the configuration is made of: names, and the ways to servers and hosts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from db_migration import secrecy
from db_migration.errors import ConfigError

Port = Annotated[int, Field(ge=1, le=65535)]
Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,47}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$")]


class SslMode(StrEnum):
    """libpq's `sslmode`."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_FULL = "verify-full"


class Model(BaseModel):
    """Strict and frozen; inputs never appear in messages."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class Login(Model):
    """A role and the file that holds its password."""

    user: str
    password_file: Path

    def password(self) -> str:
        """Read the password; a rotated file counts from the next connection on."""
        found = read_secret(self.password_file, f"password file of `{self.user}`")
        return secrecy.learn(found, public=self.user)


def read_secret(path: Path, what: str) -> str:
    """Read a secret; its end of line is an editor's. Raise ConfigError when there is none."""
    try:
        found = path.read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise ConfigError(str(path), [f"{what} must be readable: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), [f"{what} must be UTF-8"]) from None
    if not found:
        raise ConfigError(str(path), [f"{what} must not be empty"])
    return found


class Address(Model):
    """Host and port."""

    host: str
    port: Port = 5432


class HostControlConfig(Model):
    """SSH to a host's `hostctl` by forced command."""

    address: str
    port: Port = 22
    user: str = "root"
    key_file: Path
    known_hosts_file: Path
