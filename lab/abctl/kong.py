"""Command lines as alecthomas/kong reads them, for the few kinds of flags that abctl has.

The messages were compared with kong v1.6.0 and abctl v0.30.4's own flag declarations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


class ParseError(Exception):
    """The command line is wrong; abctl prints it and ends with 1."""


class HelpWanted(Exception):  # noqa: N818 - not an error
    """--help was given."""

    def __init__(self, path: list[str], command: Command) -> None:
        """Keep for which command."""
        super().__init__("help")
        self.path = path
        self.command = command


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One flag: kind is string, int, bool, file, strings or files."""

    name: str
    kind: str = "string"
    default: str = ""
    help: str = ""
    env: str = ""
    xor: str = ""
    short: str = ""

    @property
    def many(self) -> bool:
        """Whether the flag may be repeated, and takes lists with commas."""
        return self.kind in {"strings", "files"}

    def convert(self, text: str) -> Any:  # noqa: ANN401 - of the flag's kind
        """Read a value."""
        if self.kind == "int":
            try:
                value = int(text, 10)
            except ValueError:
                value = 2**64
            if not -(2**63) <= value < 2**63:
                msg = f'--{self.name}: expected a valid 64 bit int but got "{text}"'
                raise ParseError(msg)
            return value
        if self.kind in {"file", "files"}:
            return self._existing(text)
        return text

    def _existing(self, text: str) -> str:
        path = Path(text).absolute()
        if not path.exists():
            msg = f"--{self.name}: stat {path}: no such file or directory"
            raise ParseError(msg)
        if path.is_dir():
            msg = f'--{self.name}: "{path}" exists but is a directory'
            raise ParseError(msg)
        return str(path)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command, or a group of them."""

    help: str
    flags: tuple[Flag, ...] = ()
    commands: dict[str, Command] = field(default_factory=dict)


HELP = Flag(name="help", kind="bool", short="h", help="Show context-sensitive help.")


class Parser:
    """Reads one command line."""

    def __init__(self, root: Command, env: dict[str, str]) -> None:
        """`env` gives flags that have a variable their value."""
        self._command = root
        self._env = env
        self._path: list[str] = []
        self._flags: list[Flag] = [HELP, *root.flags]
        self._values: dict[str, Any] = {}
        self._help = False

    def parse(self, arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
        """Return the command's path and the values of all flags."""
        rest = list(arguments)
        while rest:
            token = rest.pop(0)
            if token.startswith("--") and len(token) > 2:
                self._long(token, rest)
            elif token.startswith("-") and len(token) > 1:
                self._short(token)
            else:
                self._descend(token)
        if self._help:
            raise HelpWanted(self._path, self._command)
        if self._command.commands:
            names = [f'"{name}"' for name in self._command.commands]
            one = "expected " if len(names) == 1 else "expected one of "
            raise ParseError(one + ", ".join(names))
        self._exclusive()
        return self._path, self._defaults() | self._values

    def _descend(self, token: str) -> None:
        found = self._command.commands.get(token)
        if found is None:
            msg = f"unexpected argument {token}"
            raise ParseError(suggest(msg, token, list(self._command.commands)))
        self._command = found
        self._path.append(token)
        self._flags += found.flags

    def _long(self, token: str, rest: list[str]) -> None:
        name, equals, text = token[2:].partition("=")
        flag = next((one for one in self._flags if one.name == name), None)
        if flag is None:
            names = [f"--{one.name}" for one in self._flags]
            msg = f"unknown flag --{name}"
            raise ParseError(suggest(msg, f"--{name}", names))
        if flag.kind == "bool":
            self._set(flag, self._boolean(flag, text) if equals else True)
            return
        if not equals:
            text = self._next(flag, rest)
        if not flag.many:
            self._set(flag, flag.convert(text))
            return
        values = [flag.convert(part) for part in text.split(",")] if text else []
        self._set(flag, [*self._values.get(flag.name, []), *values])

    def _next(self, flag: Flag, rest: list[str]) -> str:
        kind = {"strings": "string", "files": "file"}.get(flag.kind, flag.kind)
        if not rest:
            msg = f'--{flag.name}: expected {kind} value but got "EOL" (<EOL>)'
            if flag.many:
                msg = f'--{flag.name}: missing value, expecting "<arg>,..."'
            raise ParseError(msg)
        if rest[0].startswith("-") and len(rest[0]) > 1:
            sort = "long flag" if rest[0].startswith("--") else "short flag"
            msg = (
                f'--{flag.name}: expected {kind} value but got "{rest[0]}" ({sort}); '
                f'perhaps try --{flag.name}="{rest[0]}"?'
            )
            raise ParseError(msg)
        return rest.pop(0)

    def _short(self, token: str) -> None:
        for letter in token[1:]:
            flag = next((one for one in self._flags if one.short == letter), None)
            if flag is None:
                names = [f"-{one.short}" for one in self._flags if one.short]
                msg = f"unknown flag -{letter}"
                raise ParseError(suggest(msg, f"-{letter}", names))
            self._set(flag, value=True)

    def _boolean(self, flag: Flag, text: str) -> bool:
        if text.lower() not in TRUE + FALSE:
            msg = f'--{flag.name}: bool value must be true, 1, yes, false, 0 or no but got "{text}"'
            raise ParseError(msg)
        return text.lower() in TRUE

    def _set(self, flag: Flag, value: Any) -> None:  # noqa: ANN401 - of the flag's kind
        if flag is HELP:
            self._help = True
        else:
            self._values[flag.name] = value

    def _exclusive(self) -> None:
        groups: dict[str, list[str]] = {}
        for flag in self._flags:
            if flag.xor and flag.name in self._values:
                groups.setdefault(flag.xor, []).append(f"--{flag.name}")
        for names in groups.values():
            if len(names) > 1:
                msg = f"{' and '.join(names)} can't be used together"
                raise ParseError(msg)

    def _defaults(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for flag in self._flags:
            text = self._env.get(flag.env, "") if flag.env else ""
            if flag.kind == "bool":
                found[flag.name] = False
            elif flag.many:
                found[flag.name] = []
            else:
                plain = text or flag.default
                found[flag.name] = flag.convert(plain) if plain else ""
        return found


def suggest(message: str, needle: str, known: list[str]) -> str:
    """Add what was perhaps meant."""
    close = [one for one in known if one.startswith(needle) or distance(one, needle) <= 2]
    quoted = [f'"{one}"' for one in close]
    if len(quoted) == 1:
        return f"{message}, did you mean {quoted[0]}?"
    if quoted:
        return f"{message}, did you mean one of {', '.join(quoted)}?"
    return message


def distance(left: str, right: str) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]
