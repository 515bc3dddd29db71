"""What is wrong with the settings, and how each mistake is told: key, found, needed, mend."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

NAMESPACE = "airbyte-migration"
SHOWN_CHARACTERS = 80
NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in the settings."""

    key: str
    """Path below the namespace, e.g. `hosts.prod.address`."""
    found: str
    needed: str
    mend: str
    """A command."""


class SettingsError(pulumi.RunError):
    """The settings can not be used; nothing was registered. Carries every problem at once."""

    def __init__(self, stack: str, problems: Sequence[Problem]) -> None:
        """Tell all problems in one message."""
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"the settings of stack `{stack}` have {count}; nothing was changed:"]
        for number, problem in enumerate(problems, start=1):
            lines += [
                f"{number}. {NAMESPACE}:{problem.key}",
                f"   found:  {problem.found}",
                f"   needed: {problem.needed}",
                f"   mend:   {problem.mend}",
            ]
        super().__init__("\n".join(lines))


def shown(value: object) -> str:
    """Return a value as a message may show it."""
    if value is None or value in ("", {}, []):
        return NOTHING
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def set_command(key: str, example: object) -> str:
    """Return the command that sets `key`."""
    path = ["--path"] if "." in key or "[" in key else []
    value = example if isinstance(example, str) else json.dumps(example)
    return shlex.join(["pulumi", "config", "set", *path, f"{NAMESPACE}:{key}", value])


def secret_command(key: str) -> str:
    """Return the command that sets a secret; it asks for the value, so that no history has it."""
    return f"pulumi config set --secret {NAMESPACE}:{key}"


def remove_command(key: str) -> str:
    """Return the command that removes `key`."""
    path = ["--path"] if "." in key or "[" in key else []
    return shlex.join(["pulumi", "config", "rm", *path, f"{NAMESPACE}:{key}"])
