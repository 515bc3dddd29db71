"""Other hosts, through SSH and the forced commands of their `hostctl`."""

from __future__ import annotations

import subprocess
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from db_migration.config_access import HostControlConfig
from db_migration.errors import BlockedError, MigrationError, UnreachableError

CONNECT_SECONDS = 2
"""How long a dead host may cost; a living one answers within milliseconds."""

VERB_DEADLINE_SECONDS = 180
STATUS_DEADLINE_SECONDS = 20
INSTALL_DEADLINE_SECONDS = 3900
"""abctl waits for Helm for up to 60 minutes: facts 2.3."""

SSH_FAILED = 255
REFUSED = ("permission denied", "host key verification failed", "identification has changed")


def deadline(verb: str) -> int:
    """Return the seconds after which `verb` counts as failed."""
    match verb.split():
        case ["status"]:
            return STATUS_DEADLINE_SECONDS
        case ["activate", *_] | ["start", "airbyte" | "abctl"]:
            return INSTALL_DEADLINE_SECONDS
        case _:
            return VERB_DEADLINE_SECONDS


class Seen(BaseModel):
    """Part of what `hostctl status` prints; keys that we do not know are somebody else's."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class InstanceStatus(Seen):
    """An abctl instance: the epoch and rendering that its host was last told, and what runs."""

    name: str
    epoch: int = 0
    rendering: str = ""
    running: bool = False
    syncing: bool | None = None
    """Whether its worker, launcher or cron run; None when the host does not say."""


class ContainerStatus(Seen):
    """A container of the host, in Docker's own words."""

    name: str
    status: str = ""


class Marker(Seen):
    """Which deployment and stage hold the host."""

    deployment: str
    stage: str


class Status(Seen):
    """What a host says about itself."""

    host: str
    instances: tuple[InstanceStatus, ...] = ()
    compose: str = "none"
    marker: Marker | None = None
    containers: tuple[ContainerStatus, ...] = ()
    keys: tuple[str, ...] = ()
    """Names of our keys that may enter the host."""
    free_bytes: int | None = None
    """On the disk where Docker keeps its volumes."""

    def instance(self, name: str) -> InstanceStatus | None:
        """Return one instance, if the host knows it."""
        return next((found for found in self.instances if found.name == name), None)


class HostControl(Protocol):
    """What we may do to a host: the verbs that `hostctl forced` lets through."""

    def run(self, verb: str) -> str:
        """Carry out one of `stop|start airbyte|database|abctl`, `activate …`, `status`.

        Raises UnreachableError when the host does not answer, BlockedError when the verb failed.
        """


class SshHostControl:
    """Plain OpenSSH with our own key and a pinned host key."""

    def __init__(self, config: HostControlConfig) -> None:
        """Keep the configuration; nothing is opened before a verb is run."""
        self._config = config

    def command(self, verb: str) -> list[str]:
        """Return the whole command line."""
        config = self._config
        options = (
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            f"UserKnownHostsFile={config.known_hosts_file}",
            f"ConnectTimeout={CONNECT_SECONDS}",
            "ServerAliveInterval=10",
        )
        flags = [part for option in options for part in ("-o", option)]
        where = [
            "-p",
            str(config.port),
            "-i",
            str(config.key_file),
            f"{config.user}@{config.address}",
        ]
        return ["ssh", "-F", "none", *flags, *where, verb]

    def run(self, verb: str) -> str:
        """Carry out `verb` on the host."""
        try:
            done = subprocess.run(
                self.command(verb),
                capture_output=True,
                text=True,
                check=True,
                stdin=subprocess.DEVNULL,
                timeout=deadline(verb),
            )
        except subprocess.CalledProcessError as error:
            raise self._explain(verb, error.returncode, str(error.stderr or "")) from None
        except subprocess.TimeoutExpired:
            raise self._silent(verb, f"no end after {deadline(verb)} s") from None
        except OSError as error:
            raise self._failed(verb, f"no SSH client: {error.strerror}") from None
        return done.stdout

    def _explain(self, verb: str, code: int, said: str) -> MigrationError:
        """Tell a host that does not answer from one that refuses, or whose verb failed."""
        said = said.strip()[-300:] or f"exit code {code}"
        refused = any(text in said.lower() for text in REFUSED)
        if code == SSH_FAILED and not refused:
            return self._silent(verb, said)
        return self._failed(verb, said)

    def _silent(self, verb: str, said: str) -> UnreachableError:
        return UnreachableError(
            found=f"{self._config.address} does not answer on SSH (`hostctl {verb}`): {said}",
            needed="a host that answers",
            way_out="look at the host and at the path to it; this is tried again by itself",
        )

    def _failed(self, verb: str, said: str) -> BlockedError:
        return BlockedError(
            found=f"`hostctl {verb}` on {self._config.address} failed: {said}",
            needed="a host that accepts the agent's key for this verb, and carries it out",
            way_out="check the host, its authorized_keys (`hostctl authorize agent`) and "
            "known_hosts; this is tried again by itself",
        )


def status(host: HostControl) -> Status:
    """Ask a host for its state; raises UnreachableError or BlockedError, as `run` does."""
    said = host.run("status")
    try:
        return Status.model_validate_json(said)
    except ValidationError:
        raise BlockedError(
            found=f"`hostctl status` says what we do not understand: {said.strip()[:120]!r}",
            needed="one JSON document with `host`, `instances` and `compose`",
            way_out="run `pulumi up`, which puts the current hostctl on the host",
        ) from None


def reachable(host: HostControl) -> bool:
    """Tell whether a host answers; one that answers with an error does."""
    try:
        host.run("status")
    except UnreachableError:
        return False
    except BlockedError:
        return True
    return True
