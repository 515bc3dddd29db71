"""The guard: one stack holds a deployment at a time, and every host says which."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_command as command
from pulumi_command import remote

from components.host import Ssh, hostctl_script


@dataclass(frozen=True, kw_only=True)
class GuardArgs:
    """Which stack asks, and the hosts it asks."""

    deployment: str
    stage: str
    hosts: Mapping[str, Ssh]
    """In the order in which they are asked: prod, which every stage has, comes first."""
    commands: command.Provider


def guard(name: str, args: GuardArgs) -> list[pulumi.Resource]:
    """Claim the marker on each host, one after the other; everything else depends on the result.

    The chain makes a refusal exactly one error. There is no component around it, so that a refused
    stack stays empty and can be promoted to; and the script travels on stdin, so that it changes
    nothing on the host, not even the script of the stack that holds it.
    """
    markers: list[pulumi.Resource] = []
    for host, ssh in args.hosts.items():
        who = f"{args.deployment} {args.stage}"
        claim = f"bash -s -- marker claim {who}"
        marker = remote.Command(
            f"{name}-{host}",
            connection=ssh.connection(),
            create=claim,
            update=claim,
            delete=f"bash -s -- marker release {who}",
            stdin=hostctl_script(),
            logging=remote.Logging.NONE,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(provider=args.commands, depends_on=markers[-1:]),
        )
        markers.append(marker)
    return markers
