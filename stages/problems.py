"""What is wrong with the settings, and how each mistake is told: key, found, needed, mend."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

NAMESPACE = "airbyte-migration"
SHOWN_CHARACTERS = 80
NOTHING = "nothing"
UNKNOWN_KEY = "an unknown key"
"""Its value is not shown: it may be a password under a mistyped name."""
PLAIN_PART = re.compile(r"^[\w-]+$")
USER_IN_URL = re.compile(r"://[^/@\s]*@")


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
    """Return a value as a message may show it: of a structure not what is in it."""
    value = _parsed(value)
    if value is None or value in ("", {}, []):
        return NOTHING
    if isinstance(value, dict):
        return f"a mapping with {', '.join(map(str, value))}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = value if isinstance(value, str) and value.isprintable() else json.dumps(value)
    text = USER_IN_URL.sub("://…@", text)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _parsed(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return the structure in a text; any other value as it is."""
    if not (isinstance(value, str) and value.lstrip().startswith(("{", "["))):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def set_command(key: str, example: object) -> str:
    """Return the command that sets `key`; of a structure, the command for its first leaf."""
    leaf = example
    while isinstance(leaf, dict | list) and leaf:
        part: int | str = 0 if isinstance(leaf, list) else next(iter(leaf))
        key, leaf = below(key, part), leaf[part]  # type: ignore[index]
    value = leaf if isinstance(leaf, str) else json.dumps(leaf)
    command = _command("set", *_path_option(key), f"{NAMESPACE}:{key}", value)
    return command if leaf is example else f"{command}, and so on"


def anew_command(key: str, example: object) -> str:
    """Return the commands that remove `key` and set it: `set` alone keeps a text a text."""
    return f"{remove_command(key)}; {set_command(key, example)}"


def secret_command(key: str) -> str:
    """Return the command that sets a secret; it asks for the value, so that no history has it."""
    return _command("set", "--secret", f"{NAMESPACE}:{key}")


def remove_command(key: str, *, whole: bool = False) -> str:
    """Return the command that removes `key`, a path unless it is said to be the `whole` key."""
    path = [] if whole else _path_option(key)
    return _command("rm", *path, f"{NAMESPACE}:{key}")


def below(key: str, part: int | str) -> str:
    """Return the path of a part, as `pulumi config --path` reads it."""
    if isinstance(part, int):
        return f"{key}[{part}]"
    return f"{key}.{part}" if PLAIN_PART.match(part) else f'{key}["{part}"]'


def _path_option(key: str) -> list[str]:
    return ["--path"] if "." in key or "[" in key else []


def _command(*words: str) -> str:
    """Name the stack: the selected one may be another."""
    return shlex.join(["pulumi", "config", *words, "--stack", pulumi.get_stack()])
