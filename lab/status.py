"""How the lab is, as data."""

from dataclasses import asdict, dataclass

from lab import docker, lifecycle, machines, registry
from lab.spec import REGISTRY, WORLD, LabSpec, Machine


@dataclass(frozen=True, kw_only=True)
class MachineStatus:
    """One line of `lab status`."""

    container: str
    state: str
    """running, cut, booting, exited, absent …"""
    address: str
    ports: list[str]
    containers: list[str]
    """Containers that run on the host."""


@dataclass(frozen=True, kw_only=True)
class LabStatus:
    """All of it."""

    name: str
    up: bool
    folder: str
    images: int
    machines: dict[str, MachineStatus]

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)


def observe(spec: LabSpec) -> LabStatus:
    """Look at every machine."""
    machines = {item.name: _machine(spec, item) for item in (*spec.hosts, REGISTRY, WORLD)}
    return LabStatus(
        name=spec.name,
        up=all(item.state == "running" for item in machines.values()),
        folder=str(spec.folder),
        images=len(registry.known_images(spec)),
        machines=machines,
    )


def _machine(spec: LabSpec, machine: Machine) -> MachineStatus:
    name = spec.container(machine)
    found = docker.container(name)
    state = found.status if found else "absent"
    containers: list[str] = []
    if found and found.running and machine in spec.hosts:
        if not machines.host_ready(spec, machine):
            state = "booting"
        elif lifecycle.is_cut(spec, machine):
            state = "cut"
        listing = docker.inside(name, ["docker", "ps", "--format", "{{.Names}}"])
        containers = sorted(listing.stdout.split())
    return MachineStatus(
        container=name,
        state=state,
        address=spec.address(machine),
        ports=spec.published(machine),
        containers=containers,
    )
