"""The settings as typed models: the keys of the stack files, their types, defaults and meaning."""

from enum import StrEnum, unique
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from airbyte import versions
from components import ProdMode

Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$")]
Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""An IPv4 address or a name: the engine's Docker URLs have no place for a bare IPv6 address."""

Url = Annotated[
    str | None,
    Field(
        # No user and no password either: the stack's outputs show it.
        pattern=r"^https?://[^\s/@]+$",
        description="where people open it, if not http://ADDRESS:PORT: http:// or https://, a host "
        "and its port, no path and no user",
        examples=["https://airbyte.example.com"],
    ),
]


Checksum = Annotated[
    str | None,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the archive "
        f"abctl-v{versions.ABCTL_VERSION}-linux-….tar.gz, from the release's own list",
        examples=["0" * 64],
    ),
]


@unique
class Stage(StrEnum):
    """Where a deployment is on its way."""

    V0 = "v0"
    V1 = "v1"
    V2 = "v2"


@unique
class CutOverWish(StrEnum):
    """Whether `pulumi up` moves prod."""

    HOLD = "hold"
    GO = "go"


class Model(BaseModel):
    """Strict: an unknown key is an error, and nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )


class Drain(Model):
    """How running syncs come to their end before prod moves."""

    policy: Annotated[
        Literal["abort", "wait", "cancel"],
        Field(
            description="what happens to those that still run after `seconds`: `abort` the move, "
            "`wait` without a limit, or `cancel` them",
            examples=["abort"],
        ),
    ] = "abort"
    seconds: Annotated[
        int, Field(gt=0, description="seconds that running syncs may take to end", examples=[300])
    ] = 300


class SchedulesSettings(Model):
    """At which pace overdue syncs begin after a cut-over or a failover."""

    running_at_most: Annotated[
        int,
        Field(gt=0, description="the next begins at once while fewer run", examples=[5]),
    ] = 5
    touch_every_seconds: Annotated[
        int, Field(gt=0, description="or so long after the last one", examples=[15])
    ] = 15
    prove_seconds: Annotated[
        int,
        Field(gt=0, description="seconds until all must be proven scheduled", examples=[300]),
    ] = 300


class Operator(Model):
    """How the operator's machine reaches every host."""

    user: Annotated[
        str,
        Field(
            pattern=r"^[a-z_][a-z0-9_-]*$",
            description="SSH user: small letters, digits, `-` and `_`",
            examples=["root"],
        ),
    ] = "root"
    identity_file: Annotated[
        str,
        Field(description="path of the operator's private SSH key", examples=["~/.ssh/id_ed25519"]),
    ]
    known_hosts_file: Annotated[
        str,
        Field(
            description="path of a known_hosts file with every host's key",
            examples=["~/.ssh/known_hosts"],
        ),
    ]


class HostSettings(Model):
    """One server."""

    address: Annotated[
        Address,
        Field(
            description="address for the operator: IPv4 or a name, without the port",
            examples=["192.0.2.10"],
        ),
    ]
    ssh_port: Annotated[Port, Field(description="port of the SSH server", examples=[22])] = 22
    private_address: Annotated[
        Address | None,
        Field(
            description="address for the other hosts, if not the same: IPv4 or a name",
            examples=["198.51.100.10"],
        ),
    ] = None
    private_ssh_port: Annotated[
        Port | None, Field(description="SSH port for the other hosts", examples=[22])
    ] = None

    @property
    def seen_address(self) -> str:
        """Address that the other hosts use."""
        return self.private_address or self.address

    @property
    def seen_ssh_port(self) -> int:
        """Port that the other hosts use: an address of its own means 22, not the operator's."""
        if self.private_ssh_port is not None:
            return self.private_ssh_port
        return 22 if self.private_address else self.ssh_port


class Prod(Model):
    """The Airbyte of Docker Compose."""

    mode: Annotated[
        Literal["create", "adopt"],
        Field(description="`create` or `adopt` (it runs already)", examples=["adopt"]),
    ]
    host: Annotated[Name, Field(description="name of a host in `hosts`", examples=["prod"])]
    project: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]*$",
            description="name of the compose folder: small letters, digits, `-` and `_`",
            examples=["airbyte"],
        ),
    ] = "airbyte"
    version: Annotated[
        str,
        Field(
            description=f"a release from {versions.COMPOSE_VERSIONS[0]} to "
            f"{versions.COMPOSE_VERSIONS[-1]}",
            examples=["0.63.15"],
        ),
    ]
    port: Annotated[Port, Field(description="port of the web app", examples=[8000])] = 8000
    url: Url = None
    accept_version: Annotated[
        bool, Field(description="true: your word that this release is like 0.63.x", examples=[True])
    ] = False

    @property
    def created(self) -> bool:
        """Whether the containers are ours."""
        return ProdMode(self.mode) is ProdMode.CREATE


class AbctlSha256(Model):
    """Checksums of abctl's official release, by which hosts may fetch it themselves.

    None stands in the program: the release could not be fetched where it was written.
    """

    amd64: Checksum = None
    arm64: Checksum = None


class Abctl(Model):
    """An Airbyte that abctl runs."""

    host: Annotated[Name, Field(description="name of a host in `hosts`", examples=["replica"])]
    chart_version: Annotated[
        str,
        Field(description="one of " + ", ".join(versions.CHARTS), examples=[versions.TARGET_CHART]),
    ] = versions.TARGET_CHART
    chart_airbyte: Annotated[
        str | None,
        Field(
            description="your word that a chart which is not in the list carries this Airbyte",
            examples=["2.3.0"],
        ),
    ] = None
    values: Annotated[
        dict[str, Any],
        Field(
            description="more Helm values for the chart; no password: they are no secret",
            examples=[{"server": {"resources": {"limits": {"memory": "2Gi"}}}}],
        ),
    ] = Field(default_factory=dict)
    port: Annotated[Port, Field(description="port of the web app", examples=[8000])] = 8000
    url: Url = None
    low_resource_mode: Annotated[
        bool, Field(description="true on a host with 2 CPUs", examples=[True])
    ] = False
    public_host: Annotated[
        str | None,
        Field(
            pattern=r"^([a-z0-9-]+\.)+[a-z][a-z0-9-]*$",
            description="a full domain name, no address",
            examples=["airbyte.example.com"],
        ),
    ] = None

    @property
    def chart(self) -> versions.Chart:
        """Return its chart; raise VersionError for one that is unknown or can not be used."""
        return versions.chart(self.chart_version, airbyte=self.chart_airbyte)


class Replica(Abctl):
    """Airbyte-prod-backup-replica-2."""


class ProdAbctl(Abctl):
    """Prod from the cut-over on."""

    host: Annotated[Name, Field(description="name of a host in `hosts`", examples=["prod"])]
    port: Annotated[Port, Field(description="port of the web app", examples=[8100])] = 8100


class Feed(Model):
    """One continuous copy."""

    name: Annotated[
        Name,
        Field(
            description="a name: small letters, digits and `-`",
            examples=["prod-to-core-worker-01"],
        ),
    ]
    source: Annotated[str, Field(description="name of a database", examples=["prod"])]
    target: Annotated[
        str, Field(description="name of a database server", examples=["core-worker-01"])
    ]
    mode: Annotated[
        Literal["auto", "logical", "snapshot"],
        Field(description="`auto`, `logical` or `snapshot`", examples=["auto"]),
    ] = "auto"
    allow_source_restart: Annotated[
        bool, Field(description="true if prod's database may be restarted once", examples=[True])
    ] = False
    snapshot_interval_seconds: Annotated[
        int, Field(gt=0, description="seconds between two snapshots", examples=[300])
    ] = 300
    refresh_hours: Annotated[
        float,
        Field(
            gt=0, allow_inf_nan=False, description="hours between working databases", examples=[24]
        ),
    ] = 24
    verify_every_seconds: Annotated[
        int, Field(gt=0, description="seconds between two verifications", examples=[300])
    ] = 300
    rehearse_every_seconds: Annotated[
        int | None, Field(gt=0, description="seconds between two rehearsals", examples=[604800])
    ] = None
    ready_seconds: Annotated[
        int, Field(gt=0, description="seconds that `pulumi up` waits for it", examples=[3600])
    ] = 3600
