"""Declares a compose Airbyte: networks, volumes, images and containers, one by one."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

from airbyte import compose, compose_env
from airbyte.compose import SERVICES, Service, VolumeName
from components import containers
from components.compose_args import AirbyteComposeArgs
from components.containers import Place
from components.host import HOSTCTL, Script

DATABASE_READY_SECONDS = 120
AIRBYTE_READY_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Created:
    """What others need of it."""

    network: pulumi.Output[str]
    ready: remote.Command


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What every container stands on."""

    name: str
    place: Place
    networks: Mapping[str, docker.Network]
    volumes: Mapping[VolumeName, docker.Volume]
    values: Mapping[str, pulumi.Input[str]]
    published: Mapping[int, int]
    """Port inside -> port on the host, where they differ."""


def create(name: str, args: AirbyteComposeArgs, *, parent: pulumi.Resource) -> Created:
    """Declare everything and wait until the API answers."""
    place = Place(host=args.host, parent=parent)
    ground = _Ground(
        name=name,
        place=place,
        networks={
            suffix: docker.Network(
                f"{name}-{suffix}",
                name=f"{args.project}_{suffix}",
                opts=args.host.on_docker(parent),
            )
            for suffix in (compose.INTERNAL_NETWORK, compose.PUBLIC_NETWORK)
        },
        volumes={
            volume: containers.volume(f"{name}-{volume}", volume, place) for volume in VolumeName
        },
        values={
            **compose_env.dotenv(version=args.version, webapp_url=f"{args.address}/"),
            "DATABASE_PASSWORD": args.database_password,
            "BASIC_AUTH_PASSWORD": args.basic_auth_password,
        },
        published={compose.WEBAPP_PORT: args.port},
    )
    running: dict[str, pulumi.Resource] = {}
    for service in SERVICES:
        running[service.name] = _service(ground, service, args.images[service.image], running)
    return Created(
        network=ground.networks[compose.INTERNAL_NETWORK].name,
        ready=_answers(ground, [args.host.hostctl, *running.values()]),
    )


def _answers(ground: _Ground, depends_on: list[pulumi.Resource]) -> remote.Command:
    health = f"airbyte-server {compose.API_PORT} /api/v1/health {AIRBYTE_READY_SECONDS}"
    return ground.place.host.run(
        f"{ground.name}-ready",
        Script(run=f"{HOSTCTL} serves {health}", logging=remote.Logging.STDERR),
        parent=ground.place.parent,
        depends_on=depends_on,
    )


def _service(
    ground: _Ground, service: Service, reference: str, running: Mapping[str, pulumi.Resource]
) -> pulumi.Resource:
    """Declare one service; what comes back is done when its dependents may start."""
    label = f"{ground.name}-{service.name}"
    image = containers.image(f"{label}-image", reference, ground.place)
    container = containers.container(
        label,
        ground.place,
        of=image,
        depends_on=[running[needed] for needed in service.after],
        stop_seconds=service.stop_seconds,
        name=service.container_name,
        restart=service.restart,
        user=service.user,
        command=list(service.command) or None,
        envs=_environment(ground, service),
        volumes=_mounts(ground, service),
        uploads=[
            containers.plain_file(path, compose_env.FILES[file]) for file, path in service.files
        ]
        or None,
        ports=_ports(ground, service),
        networks_advanced=[
            docker.ContainerNetworksAdvancedArgs(
                name=ground.networks[network].name, aliases=[service.name]
            )
            for network in service.networks
        ],
        healthcheck=_healthcheck() if service.name == "db" else None,
        wait=True if service.name == "db" else None,
        wait_timeout=DATABASE_READY_SECONDS if service.name == "db" else None,
    )
    return _completion(ground, label, service, container) if service.one_shot else container


def _completion(
    ground: _Ground, label: str, service: Service, container: docker.Container
) -> remote.Command:
    """Wait for a one-shot; the id in the command makes a new container be waited for again."""
    script = pulumi.Output.concat(
        HOSTCTL, " complete ", service.container_name, " # ", container.id
    )
    return ground.place.host.run(
        f"{label}-completed",
        Script(run=script, logging=remote.Logging.STDERR),
        parent=ground.place.parent,
        depends_on=[ground.place.host.hostctl, container],
    )


def _environment(ground: _Ground, service: Service) -> list[pulumi.Input[str]]:
    return [
        f"{key}={value}"
        if isinstance(value, str)
        else pulumi.Output.secret(pulumi.Output.concat(f"{key}=", value))
        for key, value in sorted(compose_env.environment(service, ground.values).items())
    ]


def _mounts(ground: _Ground, service: Service) -> list[docker.ContainerVolumeArgs] | None:
    return [
        docker.ContainerVolumeArgs(
            container_path=mount.target,
            volume_name=ground.volumes[mount.volume].name if mount.volume else None,
            host_path=mount.host_path,
        )
        for mount in service.mounts
    ] or None


def _ports(ground: _Ground, service: Service) -> list[docker.ContainerPortArgs] | None:
    # Sorted: the provider reads them back by inner port, and another order is a replacement.
    return [
        docker.ContainerPortArgs(internal=port, external=ground.published.get(port, port))
        for port in sorted(service.ports)
    ] or None


def _healthcheck() -> docker.ContainerHealthcheckArgs:
    # By TCP: the temporary server of the first start listens on its socket alone.
    return docker.ContainerHealthcheckArgs(
        tests=["CMD-SHELL", f"pg_isready -q -h 127.0.0.1 -U {compose.DATABASE_OWNER}"],
        interval="5s",
        timeout="3s",
        retries=12,
    )
