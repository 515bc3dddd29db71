"""What describes a compose-shaped Airbyte."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

import pulumi

from components.host import Host


@unique
class ProdMode(StrEnum):
    """Whose prod's containers are."""

    CREATE = "create"
    ADOPT = "adopt"


@dataclass(frozen=True, kw_only=True)
class AirbyteComposeArgs:
    """A compose-shaped Airbyte on one host."""

    host: Host
    mode: ProdMode
    project: str
    """Name of the compose folder: networks are called after it."""
    version: str
    port: int
    """Port of the web app on the host."""
    url: str | None
    """Where people open it, if not at the host's address and port."""
    images: Mapping[str, str]
    """Reference by digest for each image key; `adopt` needs none."""
    database_password: pulumi.Input[str]
    basic_auth_password: pulumi.Input[str]

    @property
    def address(self) -> str:
        """Where people open it."""
        return self.url or f"http://{self.host.args.ssh.address}:{self.port}"
