"""What all our containers have in common, so that a second `pulumi up` finds nothing to change."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker

from components.host import Host

LOG_OPTIONS = {"max-size": "100m", "max-file": "5"}
STOP_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a container, image or volume is, and whose child it is."""

    host: Host
    parent: pulumi.Resource


def image(name: str, reference: str, place: Place) -> docker.RemoteImage:
    """Pull an image by digest; it stays on the host when the resource goes."""
    return docker.RemoteImage(
        name, name=reference, keep_locally=True, opts=place.host.on_docker(place.parent)
    )


def container(
    label: str,
    place: Place,
    *,
    of: docker.RemoteImage,
    depends_on: list[pulumi.Resource] | None = None,
    stop_seconds: int = STOP_SECONDS,
    **arguments: Any,  # noqa: ANN401 - the provider's own arguments
) -> docker.Container:
    """Declare a container that may be stopped at night without Pulumi starting it again."""
    return docker.Container(
        label,
        # The id, not the name: the provider reads the id back and would see a change for ever.
        image=of.image_id,
        must_run=False,
        log_driver="json-file",
        log_opts=LOG_OPTIONS,
        # 0, the provider's default, is SIGKILL at once.
        destroy_grace_seconds=stop_seconds,
        opts=place.host.on_docker(
            place.parent,
            pulumi.ResourceOptions(depends_on=depends_on, delete_before_replace=True),
        ),
        **arguments,
    )


def secret_file(
    path: str, content: pulumi.Input[str], *, permissions: str = "0400"
) -> docker.ContainerUploadArgs:
    """Return an upload that stays sealed in the state and out of `docker inspect`.

    Its folder must exist in the image: Docker makes missing ones unreadable for other users.
    """
    return docker.ContainerUploadArgs(
        file=path, content=pulumi.Output.secret(content), permissions=permissions
    )


def plain_file(path: str, content: pulumi.Input[str]) -> docker.ContainerUploadArgs:
    """Return an upload that everybody may read."""
    return docker.ContainerUploadArgs(file=path, content=content, permissions="0644")


def beside(network: docker.Network | None, *, alias: str) -> dict[str, Any]:
    """Return how to reach a server of ours on its network; without one, on the host's own."""
    if network is None:
        return {"network_mode": "host"}
    joined = docker.ContainerNetworksAdvancedArgs(name=network.name, aliases=[alias])
    return {"networks_advanced": [joined]}


def volume(name: str, volume_name: str, place: Place) -> docker.Volume:
    """Declare a volume that outlives every `destroy` and every removal from the program."""
    kept = pulumi.ResourceOptions(protect=True, retain_on_delete=True)
    return docker.Volume(name, name=volume_name, opts=place.host.on_docker(place.parent, kept))
