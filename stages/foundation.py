"""What every stage stands on: hosts behind their guard, and prod as Docker Compose has it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_command as command

from components import (
    AirbyteCompose,
    AirbyteComposeArgs,
    GuardArgs,
    Host,
    HostArgs,
    ProdMode,
    Ssh,
    guard,
)
from stages.settings import ReachableHost, Settings

PROD_AIRBYTE = "airbyte-prod"


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """Hosts, and what everything on them depends on."""

    markers: list[pulumi.Resource]
    hosts: Mapping[str, Host]

    def after(self, *others: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return the options of a component that touches a host."""
        return pulumi.ResourceOptions(depends_on=[*self.markers, *others])


def lay(settings: Settings) -> Foundation:
    """Claim every host, then reach it."""
    commands = command.Provider("command")
    ways = {name: _ssh(settings, host) for name, host in _prod_first(settings)}
    markers = guard(
        "guard",
        GuardArgs(
            deployment=settings.deployment, stage=settings.stage, hosts=ways, commands=commands
        ),
    )
    hosts = {
        name: Host(
            name,
            HostArgs(
                ssh=ways[name],
                private_address=host.settings.seen_address,
                private_ssh_port=host.settings.seen_ssh_port,
                commands=commands,
            ),
            pulumi.ResourceOptions(depends_on=markers),
        )
        for name, host in _prod_first(settings)
    }
    return Foundation(markers=markers, hosts=hosts)


def prod(settings: Settings, ground: Foundation) -> AirbyteCompose:
    """Declare prod, which stays what it is until v2."""
    return AirbyteCompose(
        PROD_AIRBYTE,
        AirbyteComposeArgs(
            host=ground.hosts[settings.prod.host],
            mode=ProdMode(settings.prod.mode),
            project=settings.prod.project,
            version=settings.prod.version,
            port=settings.prod.port,
            url=settings.prod.url,
            images=settings.images,
            database_password=settings.secret("prodDatabasePassword"),
            basic_auth_password=settings.secret("prodBasicAuthPassword"),
        ),
        ground.after(),
    )


def _prod_first(settings: Settings) -> list[tuple[str, ReachableHost]]:
    return sorted(settings.hosts.items(), key=lambda item: (item[0] != settings.prod.host, item[0]))


def _ssh(settings: Settings, host: ReachableHost) -> Ssh:
    return Ssh(
        address=host.settings.address,
        port=host.settings.ssh_port,
        user=settings.operator.user,
        private_key=settings.private_key,
        identity_file=settings.operator.identity_file,
        known_hosts_file=settings.operator.known_hosts_file,
        host_key=host.host_key,
    )
