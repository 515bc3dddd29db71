"""Reads a compose Airbyte that runs already. It asks Docker and changes nothing."""

import shlex
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from airbyte import inspection
from airbyte.inspection import Adopted
from components.host import Host, Script, hostctl_script


class AdoptionError(pulumi.RunError):
    """The running Airbyte is not what the settings say; nothing was changed."""

    def __init__(self, host: str, findings: list[inspection.Finding]) -> None:
        """Tell every finding at once."""
        self.findings = findings
        lines = [
            f"- found {finding.found}; needed: {finding.needed}\n  way out: {finding.way_out}"
            for finding in findings
        ]
        super().__init__("\n".join([f"the Airbyte on `{host}` can not be adopted:", *lines]))


@dataclass(frozen=True, kw_only=True)
class AdoptedAirbyte:
    """What others need of it."""

    network: pulumi.Output[str]
    inspection: remote.Command


def adopt(name: str, *, parent: pulumi.Resource, host: Host, version: str) -> AdoptedAirbyte:
    """Inspect the containers by name; the script travels on stdin and stays nowhere."""
    question = shlex.join(
        ["bash", "-s", "--", "inspect", inspection.FORMAT, *inspection.CONTAINERS]
    )
    inspected = host.run(
        f"{name}-inspection", Script(run=question, stdin=hostctl_script()), parent=parent
    )
    found = inspected.stdout.apply(lambda text: accept(host.name, text, version))
    return AdoptedAirbyte(
        network=found.apply(lambda airbyte: airbyte.network), inspection=inspected
    )


def accept(host: str, text: str, version: str) -> Adopted:
    """Return the Airbyte that was found, or raise AdoptionError with every reason against it."""
    verdict = inspection.judge(inspection.read(text), version=version)
    if isinstance(verdict, Adopted):
        return verdict
    raise AdoptionError(host, verdict)
