"""The markers on the hosts: which stage holds the deployment there.

The guard of the program writes them and refuses a second stage; a promotion moves them.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stages.stagectl.errors import HostUnreachableError, UsageError
from stages.stagectl.report import Reporter, run
from stages.stagectl.stackfile import Host, Operator, Project
from stages.stagectl.state import Json

HOSTCTL = "/usr/local/lib/airbyte-migration/hostctl"
STATE_FOLDER = "/var/lib/airbyte-migration"
MARKER = f"{STATE_FOLDER}/marker"
EPOCHS = f"{STATE_FOLDER}/*/epoch"
LOOK = (
    f"if [ -e {MARKER} ]; then cat {MARKER}; fi; "
    f'for f in {EPOCHS}; do if [ -e "$f" ]; then echo "epoch $f $(cat "$f")"; fi; done'
)
CONNECT_SECONDS = 5


@dataclass(frozen=True)
class Activation:
    """What a cut-over or a failover made of an Airbyte on a host; Pulumi writes none."""

    instance: str
    epoch: int
    rendering: str

    @property
    def active(self) -> bool:
        """Whether it syncs; a standby or a stopped one does not."""
        return self.rendering.startswith("active")

    def __str__(self) -> str:
        """Say it to people."""
        return f"{self.instance} {self.rendering}, epoch {self.epoch}"


@dataclass(frozen=True)
class Reading:
    """What one host says: a stage, nothing, or no answer."""

    host: str
    stage: str | None = None
    deployment: str | None = None
    error: str | None = None
    activations: tuple[Activation, ...] = ()

    def __str__(self) -> str:
        """Say it to people."""
        return "; ".join([self.error or self.stage or "no marker", *map(str, self.activations)])

    def as_json(self) -> Json:
        """Give the form for --json."""
        return {
            "host": self.host,
            "stage": self.stage,
            "deployment": self.deployment,
            "error": self.error,
            "activations": [vars(a) for a in self.activations],
        }


class Markers(Protocol):
    """What a promotion needs from the hosts."""

    def read(self) -> list[Reading]:
        """Read every host's marker; never raises for a host that does not answer."""

    def move(self, host: str, from_stage: str, to_stage: str) -> None:
        """Move one host's marker; doing it twice is harmless. Raises HostUnreachableError."""


class NoMarkers:
    """For stacks without hosts, and for rehearsals, which must not touch any."""

    def read(self) -> list[Reading]:
        """Read nothing."""
        return []

    def move(self, host: str, from_stage: str, to_stage: str) -> None:
        """Move nothing."""


@dataclass(frozen=True)
class SshMarkers:
    """Reads and moves markers by the system's ssh, host keys always checked."""

    operator: Operator
    hosts: dict[str, Host]
    reporter: Reporter
    folder: Path
    deployment: str = ""

    @classmethod
    def of(cls, project: Project, stacks: tuple[str, ...], reporter: Reporter) -> "SshMarkers":
        """Take operator and hosts from the stack files; the last stack named wins."""
        settings = [project.settings(stack) for stack in stacks]
        hosts: dict[str, Host] = {}
        for each in settings:
            hosts |= each.hosts
        return cls(settings[-1].operator, hosts, reporter, project.folder, settings[-1].deployment)

    def read(self) -> list[Reading]:
        """Read the marker file itself: a host that has no hostctl yet has no marker."""
        return [self._read_one(name) for name in sorted(self.hosts)]

    def move(self, host: str, from_stage: str, to_stage: str) -> None:
        """Move one host's marker by its own hostctl."""
        command = f"{HOSTCTL} marker move --from {from_stage} --to {to_stage}"
        code, _, error = self._ssh(host, command)
        if code:
            raise HostUnreachableError(
                found=f"the marker of {host} still says {from_stage}: {error}",
                needed=f"it to say {to_stage}",
                way_out="Mend the connection and run the same command again: it goes on from here.",
            )

    def _read_one(self, host: str) -> Reading:
        code, output, error = self._ssh(host, LOOK)
        if code:
            return Reading(host, error=error)
        lines = output.splitlines()
        epochs = [line.split() for line in lines if line.startswith("epoch ")]
        marker = "\n".join(line for line in lines if not line.startswith("epoch ")).strip()
        try:
            active = tuple(
                Activation(Path(path).parent.name, int(epoch), rendering)
                for _, path, epoch, rendering in epochs
            )
            content = json.loads(marker) if marker else {"stage": None, "deployment": None}
            return Reading(host, content["stage"], content["deployment"], activations=active)
        except (KeyError, TypeError, ValueError):
            return Reading(host, error=f"{MARKER} is not a marker: {output.strip()[:80]!r}")

    def _ssh(self, host: str, command: str) -> tuple[int, str, str]:
        if shutil.which("ssh") is None:
            raise UsageError(
                found="no `ssh` on the PATH",
                needed="the OpenSSH client",
                way_out="Install it (Debian: openssh-client) and try again.",
            )
        target = self.hosts[host]
        argv = ["ssh", *self._options(), "-p", str(target.ssh_port)]
        argv += ["-l", self.operator.user, target.address, command]
        done = run(self.reporter, f"asking {host}", argv, cwd=str(self.folder))
        return done.returncode, done.stdout, _one_line(done.stderr)

    def _options(self) -> list[str]:
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR"]
        options += [f"ConnectTimeout={CONNECT_SECONDS}", "ServerAliveInterval=5"]
        if self.operator.known_hosts_file:
            options.append(f"UserKnownHostsFile={_expanded(self.operator.known_hosts_file)}")
        flags = [flag for option in options for flag in ("-o", option)]
        if self.operator.identity_file:
            flags += ["-o", "IdentitiesOnly=yes", "-i", _expanded(self.operator.identity_file)]
        return flags


def held_by(readings: list[Reading], stage: str, deployment: str = "") -> tuple[str, ...]:
    """Hosts whose marker names this stage (and this deployment, when the settings name one)."""
    return tuple(
        r.host
        for r in readings
        if r.stage == stage and (not deployment or r.deployment == deployment)
    )


def _expanded(path: str) -> str:
    return str(Path(path).expanduser())


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines) or "no answer"
