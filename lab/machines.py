"""Network, volumes and containers at the level of the operator's machine."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from lab import docker, keys, loopback
from lab.errors import LabError
from lab.progress import step
from lab.spec import LABEL, REGISTRY, WORLD, LabSpec, Machine

BOOT_DEADLINE = 60.0
"""Seconds from start until a host's dockerd and sshd answer (measured: under 1 to 8)."""

PORT_DEADLINE = 20.0
"""Seconds to wait for a port that a passing client has."""

PORT_TAKEN = "address already in use"

RESERVED = Path("/proc/sys/net/ipv4/ip_local_reserved_ports")

CAPABILITIES = """
SYS_ADMIN NET_ADMIN SYS_PTRACE SYS_CHROOT MKNOD DAC_READ_SEARCH SYS_MODULE SYS_RAWIO NET_RAW SYSLOG
LEASE AUDIT_CONTROL MAC_ADMIN SYS_BOOT SYS_NICE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM BLOCK_SUSPEND
LINUX_IMMUTABLE IPC_LOCK IPC_OWNER NET_BROADCAST SYS_PACCT
"""
"""What a host needs where the machine can not grant --privileged (no CAP_SYS_RESOURCE)."""

READY = "docker version >/dev/null 2>&1 && ss -ltn 'sport = :22' | grep -q LISTEN"
"""Shell condition inside a host."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How one machine-level container is run."""

    machine: Machine
    image: str
    options: tuple[str, ...] = ()
    probe: str = ""
    """Path that answers with 200 when the service is ready."""

    @property
    def replaceable(self) -> bool:
        """A service keeps its state on volumes; a host has files outside them, like a server."""
        return bool(self.probe)


@cache
def privileges(image: str) -> tuple[str, ...]:
    """Flags that make nested Docker work, chosen by trying --privileged."""
    if docker.attempt("run", "--rm", "--privileged", "--entrypoint", "true", image).returncode == 0:
        return ("--privileged",)
    security = ("seccomp=unconfined", "apparmor=unconfined")
    return (
        *(part for name in CAPABILITIES.split() for part in ("--cap-add", name)),
        *(part for option in security for part in ("--security-opt", option)),
        "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    )


def host(spec: LabSpec, machine: Machine, image: str) -> Launch:
    """A host: sshd and dockerd, its images and containers on a volume."""
    return Launch(
        machine=machine,
        image=image,
        options=(
            *privileges(image),
            "--tmpfs=/run:rw,exec",
            f"--volume={volume(spec, f'{machine.name}-docker')}:/var/lib/docker",
            f"--volume={keys.host_key(spec, machine)}:/etc/ssh/lab:ro",
            f"--env=LAB_OPERATOR_KEY={keys.operator_public_key(spec)}",
            f"--env=LAB_REGISTRY={spec.registry_endpoint}",
        ),
    )


def registry(spec: LabSpec, image: str) -> Launch:
    """The registry, its blobs on a volume."""
    data = f"--volume={volume(spec, 'registry-data')}:/var/lib/registry"
    return Launch(machine=REGISTRY, image=image, options=(data,), probe="/v2/")


def world(spec: LabSpec, image: str) -> Launch:
    """The outside world, its ledger on a volume."""
    data = f"--volume={volume(spec, 'world-data')}:/var/lib/world"
    return Launch(machine=WORLD, image=image, options=(data,), probe="/health")


def volume(spec: LabSpec, suffix: str) -> str:
    """A labelled volume, made when missing."""
    name = f"{spec.name}-{suffix}"
    if docker.labels("volume", name) is None:
        docker.run("volume", "create", "--label", spec.label, name)
    return name


def network(spec: LabSpec) -> None:
    """The private network, made when missing."""
    if docker.labels("network", spec.network) is not None:
        return
    labels = ["--label", spec.label]
    result = docker.attempt("network", "create", "--subnet", spec.subnet, *labels, spec.network)
    if result.returncode:
        raise LabError(
            found=f"the network {spec.network} ({spec.subnet}) could not be made: "
            f"{result.stderr.strip()}",
            needed=f"{spec.subnet} free on this machine's Docker engine",
            way_out="`docker network ls` shows who has it; remove that network and try again",
        )


def reserve_ports(spec: LabSpec) -> None:
    """Have the kernel lend none of the lab's ports to outgoing connections, where we may say so.

    While a host is dead a client that tries its port again and again would else be lent that very
    port in the end, be connected to itself, and keep the host from starting.
    """
    held = RESERVED.read_text().strip() if RESERVED.exists() else ""
    published = (pair for machine in spec.hosts for pair in spec.published(machine))
    ports = [pair.split(":")[1] for pair in published]
    wanted = [*held.split(","), *ports] if held else ports
    with suppress(OSError):
        RESERVED.write_text(",".join(dict.fromkeys(wanted)) + "\n")


def ensure(spec: LabSpec, launch: Launch) -> str:
    """Run the container: reuse it when it runs, start it when it is dead; says which."""
    name = spec.container(launch.machine)
    found = docker.container(name)
    if found and found.labels.get(LABEL) != spec.name:
        raise LabError(
            found=f"a container {name} exists that the lab did not make",
            needed="that name for the lab",
            way_out=f"rename or remove it: `docker rename {name} …`",
        )
    current = found is not None and found.image_id == docker.image_id(launch.image)
    if found and not current and launch.replaceable:
        docker.run("rm", "--force", name)
        found = None
    if found and found.running:
        return "runs" if current else "runs (on an older image: `down`, then `up` renews it)"
    if found:
        start(name, found.status)
        return "started again"
    publish = [f"--publish={pair}" for pair in spec.published(launch.machine)]
    where = ["--network", spec.network, "--ip", spec.address(launch.machine)]
    who = ["--name", name, "--hostname", launch.machine.name, "--label", spec.label]
    docker.run("create", *who, *where, *publish, *launch.options, launch.image)
    start(name)
    return "made"


def start(name: str, status: str = "created") -> None:
    """Start a container; a client's passing use of one of its ports only delays it."""
    verb = "unpause" if status == "paused" else "start"
    with step(f"{name}: {verb}"):
        try:
            result = Retrying(
                stop=stop_after_delay(PORT_DEADLINE),
                wait=wait_fixed(1),
                retry=retry_if_result(lambda done: PORT_TAKEN in done.stderr),
            )(docker.attempt, verb, name)
        except RetryError as error:
            raise LabError(
                found=f"{name}: {error.last_attempt.result().stderr.strip()}",
                needed="the lab's loopback ports free on this machine",
                way_out="`ss -ltnp` shows who has the port; end it, then `python -m lab up`",
            ) from error
    if result.returncode:
        raise LabError(
            found=f"{name} did not start: {result.stderr.strip()}",
            needed="a container that starts",
            way_out=f"read `docker logs {name}`; `python -m lab down` and `up` make it anew",
        )


def host_ready(spec: LabSpec, machine: Machine) -> bool:
    """Whether sshd and dockerd of the host answer."""
    return docker.inside(spec.container(machine), ["sh", "-c", READY]).returncode == 0


def service_ready(spec: LabSpec, launch: Launch) -> bool:
    """Whether the service answers on its loopback port."""
    port = spec.loopback_port(launch.machine, launch.machine.ports[0][1])
    return loopback.answer(port, "GET", launch.probe) is not None


def wait(spec: LabSpec, launch: Launch) -> None:
    """Wait until the machine does what it is for."""
    if launch.probe:
        wait_until(spec, launch.machine, lambda: service_ready(spec, launch))
    else:
        wait_until(spec, launch.machine, lambda: host_ready(spec, launch.machine))


def wait_until(spec: LabSpec, machine: Machine, ready: Callable[[], bool]) -> None:
    """Wait for a machine, with a deadline that says where to look."""
    name = spec.container(machine)
    with step(f"{name}: waiting until it answers"):
        try:
            Retrying(
                stop=stop_after_delay(BOOT_DEADLINE),
                wait=wait_fixed(0.2),
                retry=retry_if_result(lambda answers: not answers),
            )(ready)
        except RetryError as error:
            raise LabError(
                found=f"{name} does not answer after {BOOT_DEADLINE:.0f} s",
                needed="sshd and dockerd on a host, HTTP 200 from a service",
                way_out=f"read `docker logs {name}`",
            ) from error
