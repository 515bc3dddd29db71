"""SSH keys of the script's containers: made on their host, and known elsewhere by host name."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
from pulumi_command import remote

from components.host import HOSTCTL, STATE_FOLDER, Host, Script


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key pair of which only the public half leaves its host."""

    label: str
    """Prefix of the resources about it."""
    kind: str
    """What it is for, and its file's name."""
    host: Host
    options: str
    """What it may do where it is authorized."""
    made: remote.Command
    parent: pulumi.Resource

    def authorized(self, on: Host) -> remote.Command:
        """Let it in; each host's key has a line of its own there."""
        name = f"{self.kind}-{self.host.name}"
        return on.run(
            f"{self.label}-authorized-{on.name}",
            Script(
                run=f"{HOSTCTL} authorize {name} '{self.options}'",
                stdin=self.made.stdout,
                delete=f"{HOSTCTL} unauthorize {name}",
            ),
            parent=self.parent,
            depends_on=[on.hostctl],
        )

    def mounted(self, path: str) -> docker.ContainerVolumeArgs:
        """Return the private half's mount at `path`."""
        return docker.ContainerVolumeArgs(
            container_path=path, host_path=f"{STATE_FOLDER}/keys/{self.kind}", read_only=True
        )


def make(name: str, kind: str, options: str, *, host: Host, parent: pulumi.Resource) -> Key:
    """Make a key pair on `host`, if it has none of this kind."""
    label = f"{name}-{kind}"
    made = host.run(
        f"{label}-key",
        Script(run=f"{HOSTCTL} keys ensure {kind}"),
        parent=parent,
        depends_on=[host.hostctl],
    )
    return Key(label=label, kind=kind, host=host, options=options, made=made, parent=parent)
