"""The settings of the PostgreSQL servers."""

from typing import Annotated, Literal

from pydantic import Field

from components import ServerKind
from stages.models import Address, Model, Name, Port


class AdminEndpoint(Model):
    """Where the operator's machine reaches a PostgreSQL server as its administrator."""

    host: Annotated[
        Address,
        Field(description="address: IPv4 or a name, without the port", examples=["192.0.2.20"]),
    ]
    port: Annotated[Port, Field(description="port", examples=[5432])] = 5432
    sslmode: Annotated[
        Literal["require", "disable", "verify-ca", "verify-full"],
        Field(description="`require`, or `disable` for a server without TLS", examples=["require"]),
    ] = "require"
    user: Annotated[
        str,
        Field(
            # It becomes a word in pg_hba.conf.
            pattern=r"^[a-z_][a-z0-9_]*$",
            description="superuser of the server: small letters, digits and `_`",
            examples=["postgres"],
        ),
    ] = "postgres"


class DatabaseSettings(Model):
    """A PostgreSQL server on one of the hosts."""

    kind: Annotated[
        Literal["container", "existing"],
        Field(description="`container` or `existing` (it runs already)", examples=["container"]),
    ]
    host: Annotated[
        Name, Field(description="name of a host in `hosts`", examples=["core-worker-01"])
    ]
    port: Annotated[Port, Field(description="port on the host", examples=[5432])] = 5432
    admin_endpoint: Annotated[
        AdminEndpoint,
        Field(
            description="where the operator reaches it",
            examples=[{"host": "192.0.2.20", "port": 5432, "sslmode": "require"}],
        ),
    ]

    @property
    def created(self) -> bool:
        """Whether the server is ours."""
        return ServerKind(self.kind) is ServerKind.CONTAINER


class CoreWorkerSettings(DatabaseSettings):
    """The PostgreSQL server with the live copy."""


class IntermediarySettings(DatabaseSettings):
    """The PostgreSQL server that prod moves to; always one of ours."""

    kind: Annotated[Literal["container"], Field(description="`container`", examples=["container"])]
    host: Annotated[Name, Field(description="name of a host in `hosts`", examples=["intermediary"])]
