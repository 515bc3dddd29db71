"""What happens to a lab: up, down, kill, cut, heal."""

import fcntl
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab import abctl_install, catalog, docker, images, keys, machines, registry, system
from lab.errors import LabError
from lab.progress import say, step
from lab.spec import IMAGE_LABEL, LABEL, LabSpec, Machine

REMOVAL: dict[docker.Kind, tuple[str, ...]] = {
    "container": ("rm", "--force", "--volumes"),
    "network": ("rm",),
    "volume": ("rm", "--force"),
}
"""What `down` removes, in an order in which nothing is still in use."""

CUT = (
    ("PREROUTING", "-i"),
    ("POSTROUTING", "-o"),
)
"""Chains of the mangle table that a packet of the host, or of a container in it, has to pass."""


@contextmanager
def _alone(spec: LabSpec) -> Iterator[None]:
    """One `up` or `down` at a time: two would make the same container, or push half a lab."""
    spec.folder.mkdir(parents=True, exist_ok=True)
    with (spec.folder / "lock").open("w") as lock:
        with step("waiting for another `lab up` or `lab down`, if one runs"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def up(spec: LabSpec, *, serve: bool = True) -> None:
    """Bring the lab up; what runs is reused, what was killed starts again, a cut is healed."""
    system.ensure()
    with _alone(spec):
        _up(spec, serve=serve)


def _up(spec: LabSpec, *, serve: bool) -> None:
    keys.ensure(spec)
    for folder in (spec.pulumi_state, spec.folder / "load", spec.folder / "logs"):
        folder.mkdir(parents=True, exist_ok=True)
    builder = images.Builder(spec, catalog.EVERY)
    machines.network(spec)
    machines.reserve_ports(spec)
    host_image = builder.ensure("host")
    launches = [
        machines.registry(spec, builder.ensure("registry")),
        machines.world(spec, builder.ensure("world")),
        *(machines.host(spec, host, host_image) for host in spec.hosts),
    ]
    for launch in launches:
        say(f"  {spec.container(launch.machine)}: {machines.ensure(spec, launch)}")
    for launch in launches:
        machines.wait(spec, launch)
    for host in spec.hosts:
        if is_cut(spec, host):
            heal(spec, host)
    if serve:
        served = registry.serve(spec, builder)
        for host in spec.hosts:
            if host.abctl:
                abctl_install.install(spec, host, served[catalog.NODE_KEY])


def down(spec: LabSpec, *, everything: bool = False) -> list[str]:
    """Remove what carries the lab's label, and its state on disk; says what was removed."""
    if not docker.present():
        return []
    # An engine that is not running still holds the lab's volumes and stopped containers.
    system.ensure()
    with _alone(spec):
        return _down(spec, everything=everything)


def _down(spec: LabSpec, *, everything: bool) -> list[str]:
    removed = []
    with step(f"removing everything labelled {spec.label}") as current:
        for kind, command in REMOVAL.items():
            names = docker.labelled(kind, spec.label)
            current.detail = f"{len(names)} {kind}s"
            if names:
                docker.run(kind, *command, *names, timeout=300)
            removed += [f"{kind} {name}" for name in names]
    for state in ("pulumi", "load"):
        shutil.rmtree(spec.folder / state, ignore_errors=True)
    spec.images_file.unlink(missing_ok=True)
    if everything:
        removed += [f"image {identity}" for identity in _remove_images()]
    return removed


def _remove_images() -> list[str]:
    """Remove all of them, in rounds: the engine refuses a parent while it has children."""
    first = remaining = docker.labelled("image", IMAGE_LABEL)
    with step("removing the lab's local images") as current:
        while remaining:
            current.detail = f"{len(remaining)} left"
            docker.attempt("image", "rm", "--force", *remaining, timeout=300)
            left = docker.labelled("image", IMAGE_LABEL)
            if left == remaining:
                raise LabError(
                    found=f"images that can not be removed: {' '.join(left)}",
                    needed="no container that uses them",
                    way_out="`docker ps --all --filter ancestor=IMAGE` names the container",
                )
            remaining = left
    return first


def kill(spec: LabSpec, machine: Machine) -> None:
    """Pull the plug: every process of the host dies at once, its disk stays."""
    docker.run("kill", spec.container(_made(spec, machine)))


def start(spec: LabSpec, machine: Machine) -> None:
    """Plug in again and wait for sshd and dockerd."""
    machines.start(spec.container(_made(spec, machine)))
    if machine in spec.hosts:
        machines.wait_until(spec, machine, lambda: machines.host_ready(spec, machine))


def lose(spec: LabSpec, machine: Machine) -> None:
    """Lose the host for ever, and put an empty one in its place; its key and address stay.

    The key stays as an owner restores it, so that who has pinned it may go on.
    """
    docker.run("rm", "--force", "--volumes", spec.container(_made(spec, machine)))
    docker.run("volume", "rm", "--force", machines.volume(spec, f"{machine.name}-docker"))
    launch = machines.host(spec, machine, images.Builder(spec, catalog.EVERY).ensure("host"))
    machines.ensure(spec, launch)
    machines.wait(spec, launch)
    if machine.abctl:
        abctl_install.install(spec, machine, registry.known_images(spec)[catalog.NODE_KEY])


def is_cut(spec: LabSpec, machine: Machine) -> bool:
    """Whether the host is partitioned from the network."""
    return _rules(spec, machine, "--check")


def cut(spec: LabSpec, machine: Machine) -> None:
    """Partition: packets vanish in both directions, for the host and for the containers in it."""
    running(spec, machine)
    if not is_cut(spec, machine) and not _rules(spec, machine, "--insert"):
        raise LabError(
            found=f"iptables in {spec.container(machine)} refused the rule",
            needed="a host image with iptables",
            way_out="`python -m lab down`, then `python -m lab up`",
        )


def heal(spec: LabSpec, machine: Machine) -> None:
    """Undo `cut`, and start the host again when it was killed."""
    found = docker.container(spec.container(_made(spec, machine)))
    if found and not found.running:
        start(spec, machine)
    elif is_cut(spec, machine):
        _rules(spec, machine, "--delete")


def inside(
    spec: LabSpec, machine: Machine, command: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """Run a command in a host as if on its console: works while it is cut off."""
    return docker.inside(spec.container(_made(spec, machine)), command)


def _rules(spec: LabSpec, machine: Machine, action: str) -> bool:
    rules = [
        f"iptables -w -t mangle {action} {chain} {direction} eth0 -j DROP 2>/dev/null"
        for chain, direction in CUT
    ]
    shell = ["sh", "-c", " && ".join(rules)]
    return docker.inside(spec.container(machine), shell).returncode == 0


def _made(spec: LabSpec, machine: Machine) -> Machine:
    found = docker.container(spec.container(machine))
    if found is None or found.labels.get(LABEL) != spec.name:
        raise LabError(
            found=f"there is no {spec.container(machine)}",
            needed="a lab that is up",
            way_out="`python -m lab up`",
        )
    return machine


def running(spec: LabSpec, machine: Machine) -> None:
    """Refuse when the machine is not there or dead."""
    found = docker.container(spec.container(_made(spec, machine)))
    if found and not found.running:
        raise LabError(
            found=f"{spec.container(machine)} is {found.status}",
            needed="a running host",
            way_out=f"`python -m lab heal {machine.name}`",
        )
