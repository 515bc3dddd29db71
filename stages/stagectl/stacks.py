"""What a promotion needs from the engine; implemented by pulumi_cli.Pulumi."""

from typing import Protocol

from stages.stagectl.state import Json, State

ASK_NO_HOST = "AIRBYTE_MIGRATION_ASK_NO_HOST"
"""Set for the program of a preview on a copy: `stages.reachability` then tries no host."""


class Stacks(Protocol):
    """The stacks of one project in one backend."""

    def stacks(self) -> frozenset[str]:
        """Names of this project's stacks in the backend."""

    def export(self, stack: str) -> State:
        """Read a stack's state, secrets encrypted."""

    def write(self, stack: str, state: State) -> None:
        """Replace a stack's state in one step."""

    def create(self, stack: str) -> None:
        """Make an empty stack."""

    def remove(self, stack: str) -> None:
        """Remove an empty stack."""

    def move(self, source: str, dest: str, urns: list[str]) -> None:
        """Move resources; their secrets are encrypted for the destination."""

    def preview(self, stack: str) -> Json:
        """Preview the stack's program; raises EngineError if it fails."""
