"""One host as Pulumi reaches it: Docker daemon and shell, both over SSH with a pinned key."""

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_command as command
import pulumi_docker as docker
from pulumi_command import remote

STATE_FOLDER = "/var/lib/airbyte-migration"
HOSTCTL = "/usr/local/lib/airbyte-migration/hostctl"
HOSTCTL_PARTS = Path(__file__).parent / "files" / "hostctl"

CONNECT_SECONDS = 5
DIAL_ERRORS = 3
"""pulumi-command's own limits (10 tries of 15 s) leave a dead host silent for minutes."""


def hostctl_script() -> str:
    """Return the text of the host-side script: its parts, in the order of their names."""
    return "".join(part.read_text() for part in sorted(HOSTCTL_PARTS.glob("*.bash")))


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """How the operator's machine reaches a host."""

    address: str
    port: int
    user: str
    private_key: pulumi.Input[str]
    """The key's text: pulumi-command has no use for a path."""
    identity_file: str
    """The key's path as in the settings; `~` stays, so that every operator's state is the same."""
    known_hosts_file: str
    host_key: str
    """The host's public key; without it pulumi-command would accept any host."""

    def connection(self) -> remote.ConnectionArgs:
        """Return the connection of a `command.remote` resource."""
        return remote.ConnectionArgs(
            host=self.address,
            port=self.port,
            user=self.user,
            private_key=pulumi.Output.secret(self.private_key),
            host_key=self.host_key,
            dial_error_limit=DIAL_ERRORS,
            per_dial_timeout=CONNECT_SECONDS,
        )

    def docker_options(self) -> list[str]:
        """Return the options of the `ssh` that the Docker provider starts."""
        options = (
            f"ConnectTimeout={CONNECT_SECONDS}",
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={self.known_hosts_file}",
        )
        return ["-i", self.identity_file, *(part for text in options for part in ("-o", text))]


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """What a host is to the program."""

    ssh: Ssh
    private_address: str
    """Address that the other hosts use."""
    private_ssh_port: int
    commands: command.Provider


@dataclass(frozen=True, kw_only=True)
class Script:
    """An idempotent command on a host; it runs again whenever a part of this changes.

    Anything secret goes to `stdin`: a command line shows in the host's process list.
    """

    run: pulumi.Input[str]
    stdin: pulumi.Input[str] | None = None
    delete: str | None = None
    logging: remote.Logging = remote.Logging.NONE
    """STDERR for a wait that tells its progress there."""


class Host(pulumi.ComponentResource):
    """The providers of one host, and the host-side script on it."""

    TYPE = "airbyte-migration:index:Host"

    docker: docker.Provider
    """Explicit: a default provider would silently act on the operator's own daemon."""

    def __init__(
        self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Reach the host as `args` say and install `hostctl`."""
        super().__init__(self.TYPE, name, None, opts)
        self.name = name
        self.args = args
        self.docker = docker.Provider(
            f"{name}-docker",
            host=f"ssh://{args.ssh.user}@{args.ssh.address}:{args.ssh.port}",
            ssh_opts=args.ssh.docker_options(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.hostctl = self.run(
            f"{name}-hostctl",
            Script(
                run=f"umask 022; mkdir -p {Path(HOSTCTL).parent} && cat > {HOSTCTL}.new"
                f" && chmod 0755 {HOSTCTL}.new && mv {HOSTCTL}.new {HOSTCTL}",
                stdin=hostctl_script(),
            ),
            parent=self,
        )
        self.register_outputs({"private_address": args.private_address})

    def on_docker(
        self, parent: pulumi.Resource, opts: pulumi.ResourceOptions | None = None
    ) -> pulumi.ResourceOptions:
        """Return options of a child of `parent` that lives on this host's Docker daemon."""
        here = pulumi.ResourceOptions(parent=parent, provider=self.docker)
        return pulumi.ResourceOptions.merge(here, opts)

    def run(
        self,
        name: str,
        script: Script,
        *,
        parent: pulumi.Resource | None,
        depends_on: list[pulumi.Resource] | None = None,
    ) -> remote.Command:
        """Declare a command on this host."""
        return remote.Command(
            name,
            connection=self.args.ssh.connection(),
            create=script.run,
            update=script.run,
            delete=script.delete,
            stdin=script.stdin,
            logging=script.logging,
            # Needs AcceptEnv on the host; without it every update warns.
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=parent, provider=self.args.commands, depends_on=depends_on
            ),
        )

    def put(
        self,
        name: str,
        path: str,
        content: pulumi.Input[str],
        *,
        parent: pulumi.Resource,
        mode: str = "0644",
    ) -> remote.Command:
        """Write a file below the state folder, whole or not at all; it goes with the resource."""
        return self.run(
            name, written(path, content, mode=mode), parent=parent, depends_on=[self.hostctl]
        )


def written(path: str, content: pulumi.Input[str], *, mode: str) -> Script:
    """Return the script that writes a file below the state folder."""
    return Script(
        run=f"{HOSTCTL} put {path} {mode}",
        stdin=content,
        delete=f"rm -f {STATE_FOLDER}/{path}",
    )
