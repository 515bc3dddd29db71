"""Other hosts, through SSH and the forced commands of their `hostctl`."""

from __future__ import annotations

import subprocess
from typing import Protocol

from db_migration.config import HostControlConfig
from db_migration.errors import BlockedError

VERB_DEADLINE_SECONDS = 180
START_AIRBYTE_DEADLINE_SECONDS = 3900
"""abctl waits for Helm for up to 60 minutes: facts 2.3."""


def deadline(verb: str) -> int:
    """Return the seconds after which `verb` counts as failed."""
    return START_AIRBYTE_DEADLINE_SECONDS if verb == "start airbyte" else VERB_DEADLINE_SECONDS


class HostControl(Protocol):
    """What the agent may do to a host: the verbs that `hostctl forced` lets through."""

    def run(self, verb: str) -> str:
        """Carry out one of `stop|start database|airbyte`, `status`; return its output."""


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
            "ConnectTimeout=10",
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
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
            said = str(getattr(error, "stderr", "") or type(error).__name__).strip()[-300:]
            raise BlockedError(
                found=f"`hostctl {verb}` on {self._config.address} failed: {said}",
                needed="a host that answers on SSH and accepts the agent's key for this verb",
                way_out="check the host, its authorized_keys (`hostctl authorize agent`) and "
                "known_hosts; this is tried again by itself",
            ) from None
        return done.stdout
