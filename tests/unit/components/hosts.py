"""Hosts as the component tests use them."""

import pulumi
import pulumi_command as command

from components import (
    CoreWorker,
    DatabaseServerArgs,
    Endpoint,
    Host,
    HostArgs,
    Intermediary,
    Passwords,
    ServerKind,
    Ssh,
)

KEY = "ssh-ed25519 AAAA"
PRIVATE_KEY = "planted-private-key"
IMAGE = "registry/image@sha256:" + "0" * 64


def secret(value: str) -> pulumi.Output[str]:
    """Return a secret in clear: the components must seal what they are given."""
    return pulumi.Output.from_input(value)


def ssh(last: int) -> Ssh:
    """Return the way to the host with this last number."""
    return Ssh(
        address=f"192.0.2.{last}",
        port=2200 + last,
        user="root",
        private_key=PRIVATE_KEY,
        identity_file="~/.ssh/id",
        known_hosts_file="~/.ssh/known_hosts",
        host_key=f"{KEY}{last}",
    )


def host(name: str, last: int) -> Host:
    """Declare a host."""
    return Host(
        name,
        HostArgs(
            ssh=ssh(last),
            private_address=f"10.0.0.{last}",
            private_ssh_port=22,
            commands=command.Provider(f"command-{name}"),
        ),
    )


def core_worker(on: Host, kind: ServerKind) -> CoreWorker:
    """Declare core-worker-01."""
    return CoreWorker("core-worker-01", server_args(on, kind, port=25432))


def intermediary(on: Host) -> Intermediary:
    """Declare the intermediary."""
    return Intermediary("intermediary", server_args(on, ServerKind.CONTAINER, port=35432))


def server_args(on: Host, kind: ServerKind, *, port: int) -> DatabaseServerArgs:
    """Return a database server that the operator reaches at `port`."""
    return DatabaseServerArgs(
        host=on,
        kind=kind,
        image=IMAGE if kind is ServerKind.CONTAINER else None,
        port=5432,
        admin_endpoint=Endpoint(host="127.0.0.1", port=port, sslmode="require"),
        admin="postgres",
        admin_password=secret("planted-admin"),
        passwords=Passwords(
            airbyte=secret("planted-airbyte"), migration=secret("planted-migration")
        ),
    )
