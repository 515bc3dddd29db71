"""Reads a compose Airbyte that runs already. It asks Docker and changes nothing."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_command import remote

from airbyte import inspection
from components.host import Host, Script

ADOPT_SOURCE = Path(__file__).parent / "files" / "adopt"


@dataclass(frozen=True, kw_only=True)
class AdoptedAirbyte:
    """What others need of it."""

    network: pulumi.Output[str]
    inspection: remote.Command


def adopt(name: str, *, parent: pulumi.Resource, host: Host, version: str) -> AdoptedAirbyte:
    """Inspect the containers by name; the script travels on stdin and stays nowhere.

    It judges on the host: a refusal must fail the command, or the state would keep it for ever.
    The stack's name makes every stage look again.
    """
    question = shlex.join(["bash", "-s", "--", version, *inspection.CONTAINERS])
    inspected = host.run(
        f"{name}-inspection",
        Script(run=f"{question} # {pulumi.get_stack()}", stdin=ADOPT_SOURCE.read_text()),
        parent=parent,
    )
    network = inspected.stdout.apply(lambda text: inspection.read(text).network)
    return AdoptedAirbyte(network=network, inspection=inspected)
