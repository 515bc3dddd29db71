"""The DB Migration Script's container, and its configuration as a folder on the host.

A folder, and not the container's own files: what a stage adds to it replaces no container, and the
script starts anew by itself when it has changed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker

from components import containers, db_migration_config, script_keys
from components.containers import Place
from components.host import HOSTCTL, STATE_FOLDER, written
from components.landscape import FeedArgs, Landscape, Viewpoint
from components.script_keys import Key

SCRIPT = "db-migration"
"""Name of the container on every host, and of the command in it."""
AGENT_KEY = "agent"
AGENT_OPTIONS = f'restrict,command="{HOSTCTL} forced"'
STOP_SECONDS = 30
START_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The configuration, on the host."""

    files: list[pulumi.Resource]
    revision: str
    """Of what is not secret in it."""


@dataclass(frozen=True, kw_only=True)
class Station:
    """One script container: where it stands and what it knows of the deployment."""

    name: str
    """Prefix of its resources."""
    landscape: Landscape
    here: Viewpoint
    image: docker.RemoteImage
    parent: pulumi.Resource

    @property
    def place(self) -> Place:
        """On its host."""
        return Place(host=self.here.host, parent=self.parent)

    def key(self, kind: str, options: str) -> Key:
        """Make a key pair on its host, if there is none of this kind."""
        return script_keys.make(self.name, kind, options, host=self.here.host, parent=self.parent)

    def commanding_key(self) -> tuple[Key, list[pulumi.Resource]]:
        """Make the key that stops, starts and activates every Airbyte; return where it may."""
        key = self.key(AGENT_KEY, AGENT_OPTIONS)
        return key, [key.authorized(host) for host in self.landscape.commanded]

    def folder(self, feeds: Sequence[FeedArgs], secrets: Mapping[str, pulumi.Input[str]]) -> Folder:
        """Write the configuration."""
        config = db_migration_config.render(self.landscape, self.here, feeds)
        known_hosts = db_migration_config.known_hosts(self.landscape.commanded)
        own = {f"secrets/{key}": value for key, value in secrets.items()}
        sealed = {**own, **self.landscape.client_secrets}
        files = [
            *(self._put(path, pulumi.Output.secret(value), []) for path, value in sealed.items()),
            self._put("known_hosts", known_hosts, []),
        ]
        # Last: once it has changed, everything that it names must be there.
        files.append(self._put("config.json", config, files))
        revision = hashlib.sha256(f"{config}{known_hosts}".encode()).hexdigest()[:12]
        return Folder(files=files, revision=revision)

    def _put(
        self, path: str, content: pulumi.Input[str], after: list[pulumi.Resource]
    ) -> pulumi.Resource:
        label = path.partition(".")[0].replace("/", "-").replace("_", "-")
        host = self.here.host
        return host.run(
            f"{self.name}-{label}",
            written(f"{SCRIPT}/{path}", content, mode="0600"),
            parent=self.parent,
            depends_on=[host.hostctl, *after],
        )

    def run(self, command: str, key: Key, *, depends_on: list[pulumi.Resource]) -> docker.Container:
        """Run the script on the network of the server beside it, or by itself."""
        server = self.here.server
        network: dict[str, Any] = (
            {"network_mode": "bridge"}
            if server is None
            else containers.beside(server.network, alias=SCRIPT)
        )
        if server is not None and server.network is not None:
            network["ports"] = [_metrics()]
        return containers.container(
            f"{self.name}-agent",
            self.place,
            of=self.image,
            depends_on=depends_on,
            stop_seconds=STOP_SECONDS,
            name=SCRIPT,
            restart="unless-stopped",
            command=[command],
            volumes=[
                docker.ContainerVolumeArgs(
                    container_path=db_migration_config.FOLDER,
                    host_path=f"{STATE_FOLDER}/{SCRIPT}",
                    read_only=True,
                ),
                key.mounted(db_migration_config.AGENT_KEY_FILE),
            ],
            **network,
        )


def _metrics() -> docker.ContainerPortArgs:
    port = db_migration_config.METRICS_PORT
    return docker.ContainerPortArgs(internal=port, external=port, ip="127.0.0.1")


def execute(*commands: str) -> str:
    """Return the shell's words for commands of the script, one after the other.

    The script starts anew when its configuration has changed, and kills (137) what is executed
    beside it, or Docker can not begin it (125, 126). Only then they are tried again: a cut-over
    that failed must not simply be repeated.
    """
    running = f"docker exec {SCRIPT} true 2>/dev/null"
    steps = " && ".join(f"docker exec {SCRIPT} {SCRIPT} {command}" for command in commands)
    return (
        "for attempt in 1 2 3; do "
        f"for second in $(seq {START_SECONDS}); do {running} && break; sleep 1; done; "
        f"{steps}; code=$?; case $code in 125 | 126 | 137) ;; *) break ;; esac; done; exit $code"
    )
