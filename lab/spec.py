"""What the lab consists of: names, addresses, ports, folders. No behaviour."""

from dataclasses import dataclass
from pathlib import Path

from lab.embedded_postgres import cache_root

LABEL = "airbyte-migration.lab"
"""Label of every container, network and volume; its value is the lab's name."""

IMAGE_LABEL = "airbyte-migration.lab-image"
"""Label of every local image that the lab built (inherited from the base image)."""

REGISTRY_PORT = 5000
WORLD_PORT = 8080
PASSPHRASE = "airbyte-migration-lab"  # noqa: S105  documented: it seals the lab's throw-away secrets only
REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One container at the level of the operator's machine."""

    name: str
    last_octet: int
    ports: tuple[tuple[int, int], ...]
    """Pairs (loopback port of the operator's machine, port inside)."""
    abctl: bool = False
    """Whether the strict abctl is installed there."""


HOSTS = (
    Machine(
        name="prod",
        last_octet=11,
        ports=((2211, 22), (18000, 8000), (18001, 8001), (18100, 8100)),
        abctl=True,
    ),
    Machine(name="replica", last_octet=12, ports=((2212, 22), (28000, 8000)), abctl=True),
    Machine(name="core-worker-01", last_octet=13, ports=((2213, 22), (25432, 5432))),
    Machine(name="intermediary", last_octet=14, ports=((2214, 22), (35432, 5432))),
)
REGISTRY = Machine(name="registry", last_octet=10, ports=((5010, REGISTRY_PORT),))
WORLD = Machine(name="world", last_octet=20, ports=((18080, WORLD_PORT),))


@dataclass(frozen=True, kw_only=True)
class LabSpec:
    """One lab; another name, prefix and port offset make a second one beside the default."""

    name: str = "lab"
    prefix: str = "198.51.100"
    port_offset: int = 0
    hosts: tuple[Machine, ...] = HOSTS

    @property
    def label(self) -> str:
        """The selector that finds everything this lab made, and nothing else."""
        return f"{LABEL}={self.name}"

    @property
    def network(self) -> str:
        """Name of the private network of all hosts."""
        return f"airbyte-{self.name}"

    @property
    def subnet(self) -> str:
        """Subnet of the private network."""
        return f"{self.prefix}.0/24"

    @property
    def folder(self) -> Path:
        """LAB: keys, known_hosts, images.json, Pulumi state, load, logs."""
        return cache_root() / self.name

    @property
    def images_file(self) -> Path:
        """Image key -> reference by digest, as the hosts pull it."""
        return self.folder / "images.json"

    @property
    def known_hosts(self) -> Path:
        """Host keys of all hosts, by loopback port and by private address."""
        return self.folder / "known_hosts"

    @property
    def operator_key(self) -> Path:
        """The operator's private SSH key."""
        return self.folder / "keys" / "operator"

    @property
    def pulumi_state(self) -> Path:
        """Folder of the Pulumi file backend."""
        return self.folder / "pulumi"

    def container(self, machine: Machine) -> str:
        """Name of the machine's container."""
        return f"{self.name}-{machine.name}"

    def address(self, machine: Machine) -> str:
        """Address of the machine on the private network."""
        return f"{self.prefix}.{machine.last_octet}"

    def loopback_port(self, machine: Machine, inside: int) -> int:
        """Port on the operator's loopback that leads to port `inside` of the machine."""
        return next(outer for outer, inner in machine.ports if inner == inside) + self.port_offset

    def published(self, machine: Machine) -> list[str]:
        """The machine's ports as `docker run --publish` wants them."""
        return [f"127.0.0.1:{outer + self.port_offset}:{inner}" for outer, inner in machine.ports]

    @property
    def registry_endpoint(self) -> str:
        """The registry as the hosts reach it."""
        return f"{self.address(REGISTRY)}:{REGISTRY_PORT}"

    @property
    def push_endpoint(self) -> str:
        """The registry as the operator's daemon reaches it (127.0.0.0/8 needs no TLS there)."""
        return f"127.0.0.1:{self.loopback_port(REGISTRY, REGISTRY_PORT)}"

    def host(self, name: str) -> Machine:
        """The host called `name`."""
        return next(host for host in self.hosts if host.name == name)
