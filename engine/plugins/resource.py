"""What a resource of a local plugin declares, and how its changes are found."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import ClassVar

from google.protobuf import struct_pb2

from engine.plugins.wire import Archive, Asset, Plain, Unknown

Properties = dict[str, Plain]


class PluginError(Exception):
    """A failure that the person running Pulumi reads; the text is shown without a traceback."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input property.

    ``computed``: when the program leaves it out, the server's value stands and is no change.
    ``unordered``: a list that is a set. ``replaces``: a change needs a new resource.
    """

    required: bool = False
    default: Plain = None
    computed: bool = False
    unordered: bool = False
    replaces: bool = False


@unique
class Severity(StrEnum):
    """How a message is shown."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Context:
    """What one operation may use: its log, the configuration, the sign to stop."""

    log: Callable[[Severity, str], None]
    status: Callable[[str], None]
    config: Mapping[str, Plain] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)


class Resource(ABC):
    """One resource type. Inputs and outputs are compared with the official SDK by a test."""

    token: ClassVar[str]
    inputs: ClassVar[Mapping[str, Input]]
    outputs: ClassVar[frozenset[str]] = frozenset()

    def complete(self, name: str, olds: Properties, news: struct_pb2.Struct) -> None:
        """Add what the official plugin adds to the inputs (names, defaults), in place."""
        return

    def refuse(self, news: Properties) -> list[tuple[str, str]]:
        """List (property, reason) for inputs that can not be right."""
        missing = [name for name, spec in self.inputs.items() if spec.required and name not in news]
        failures = [(name, "missing required property") for name in missing]
        failures += [(name, "no such property") for name in news if not self._known(name)]
        return failures

    def _known(self, name: str) -> bool:
        return name in self.inputs or name.startswith("__")

    def changes(self, olds: Properties, news: Properties) -> dict[str, bool]:
        """Map the path of every changed property to whether it needs a replacement."""
        found: dict[str, bool] = {}
        for name, spec in self.inputs.items():
            if spec.computed and name not in news:
                continue
            old, new = olds.get(name, spec.default), news.get(name, spec.default)
            if spec.unordered:
                old, new = _sorted(old), _sorted(new)
            for path in differences(name, old, new):
                found[path] = spec.replaces
        return found

    @abstractmethod
    def create(self, context: Context, name: str, news: Properties) -> tuple[str, Properties]:
        """Make it; returns id and outputs."""

    @abstractmethod
    def update(
        self, context: Context, resource_id: str, olds: Properties, news: Properties
    ) -> Properties:
        """Change it in place; returns outputs."""

    @abstractmethod
    def delete(self, context: Context, resource_id: str, olds: Properties) -> None:
        """Remove it; something already gone is no error."""

    def read(self, context: Context, resource_id: str, olds: Properties) -> Properties | None:
        """Read it back; ``None`` when it is gone. As it stands, nothing can drift."""
        return olds

    def foreseen(self, olds: Properties, news: Properties) -> Properties:
        """What a preview shows: outputs are unknown, what the server chose before stays."""
        left = [name for name, spec in self.inputs.items() if spec.computed and name not in news]
        unknown: Properties = dict.fromkeys(self.outputs, Unknown())
        return {**unknown, **{name: olds.get(name, Unknown()) for name in left}}

    def secret_outputs(self, inputs: Mapping[str, struct_pb2.Value]) -> frozenset[str]:
        """Outputs that must be sealed because of what went in."""
        return frozenset()


def _sorted(value: Plain) -> Plain:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        texts: Sequence[str] = [item for item in value if isinstance(item, str)]
        return list(sorted(texts))
    return value


def _same_file(old: Asset | Archive, new: Asset | Archive) -> bool:
    if old.hash and new.hash:
        return old.hash == new.hash
    return old == new


def differences(path: str, old: Plain, new: Plain) -> list[str]:
    """Paths, in Pulumi's form ``a.b[0]``, at which two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [
            found
            for key in keys
            for found in differences(_member(path, key), old.get(key), new.get(key))
        ]
    if isinstance(old, list) and isinstance(new, list):
        longest = max(len(old), len(new))
        pad = [None] * longest
        pairs = zip([*old, *pad][:longest], [*new, *pad][:longest], strict=True)
        return [
            found
            for index, (before, after) in enumerate(pairs)
            for found in differences(f"{path}[{index}]", before, after)
        ]
    if isinstance(old, Asset | Archive) and isinstance(new, Asset | Archive):
        same = type(old) is type(new) and _same_file(old, new)
        return [] if same else [path]
    if isinstance(new, Unknown):
        return [path]
    return [] if old == new and isinstance(old, bool) == isinstance(new, bool) else [path]


def _member(path: str, key: str) -> str:
    if key.replace("_", "").isalnum():
        return f"{path}.{key}"
    return f'{path}["{key}"]'
