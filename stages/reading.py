"""Reads raw values into models and collects every problem on the way."""

import json
from collections.abc import Iterable, Mapping, Set
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from stages import translate
from stages.models import Model, Name
from stages.problems import (
    NOTHING,
    Problem,
    anew_command,
    below,
    remove_command,
    set_command,
    shown,
)

Parsed = TypeVar("Parsed", bound=Model)
Choice = TypeVar("Choice", bound=StrEnum)

EXAMPLES: dict[str, Any] = {
    "deployment": "airbyte",
    "operator": {"identityFile": "~/.ssh/id_ed25519", "knownHostsFile": "~/.ssh/known_hosts"},
    "hosts": {"prod": {"address": "192.0.2.10"}},
    "prod": {"mode": "adopt", "host": "prod", "version": "0.63.15"},
    "coreWorker": {
        "kind": "container",
        "host": "core-worker-01",
        "adminEndpoint": {"host": "192.0.2.20", "port": 5432},
    },
    "replica": {"host": "replica"},
    "intermediary": {
        "kind": "container",
        "host": "intermediary",
        "adminEndpoint": {"host": "192.0.2.30", "port": 5432},
    },
    "prodAbctl": {"host": "prod", "port": 8100},
    "drain": {"policy": "abort", "seconds": 300},
    "abctlSha256": {"amd64": "0" * 64},
    "schedules": {"runningAtMost": 5, "touchEverySeconds": 15},
    "feeds": [{"name": "prod-to-core-worker-01", "source": "prod", "target": "core-worker-01"}],
}


class Reader:
    """The values of one stack, and what was found wrong with them so far."""

    def __init__(self, values: Mapping[str, Any], sealed: Set[str]) -> None:
        """Take the values by key; those in `sealed` are secrets and are never shown."""
        self.values = {k: v for k, v in values.items() if v not in ("", "{}", "[]", None)}
        self.sealed = sealed
        self.problems: list[Problem] = []

    def add(self, key: str, found: str, needed: str, mend: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(key=key, found=found, needed=needed, mend=mend))

    def shown(self, key: str, value: object) -> str:
        """Return the value as a message may show it."""
        return "a value that is sealed" if key in self.sealed else shown(value)

    def refuse_sealed(self, keys: Iterable[str]) -> None:
        """Note a problem for each that is a secret: outputs and hosts would show it in clear."""
        for key in sorted(self.sealed & set(keys) & set(self.values)):
            needed = "the value in clear: passwords have keys of their own"
            self.add(key, "a value that is sealed", needed, remove_command(key) + ", set it anew")

    def text(self, key: str) -> str | None:
        """Return a plain value."""
        value = None if key in self.sealed else self.values.get(key)
        return None if value is None else str(value)

    def name(self, key: str) -> str:
        """Return a name; empty when it is none."""
        value = self.values.get(key)
        if key in self.sealed:
            return ""
        try:
            return str(TypeAdapter(Name).validate_python(value, strict=True))
        except ValidationError:
            needed = "a name: small letters, digits and `-`, at most 39 characters"
            self.add(key, self.shown(key, value), needed, set_command(key, EXAMPLES[key]))
            return ""

    def choice(self, key: str, choices: type[Choice]) -> Choice | None:
        """Return one of a few words that must be there; the first is the careful one."""
        value = None if key in self.sealed else self.values.get(key)
        names = [choice.value for choice in choices]
        if value in names:
            return choices(value)
        if key not in self.sealed:
            needed = " or ".join(f"`{name}`" for name in names)
            self.add(key, shown(value), needed, set_command(key, names[0]))
        return None

    def one(self, key: str, model: type[Parsed]) -> Parsed | None:
        """Return a structured value that must be there."""
        value = self._structure(key, dict)
        return None if value is None else self._model(key, value, model)

    def optional(self, key: str, model: type[Parsed]) -> Parsed | None:
        """Return a structured value; its defaults when it is absent."""
        return self.one(key, model) if key in self.values else model()

    def by_name(self, key: str, model: type[Parsed]) -> dict[str, Parsed]:
        """Return a mapping of names to models that must be there."""
        parsed: dict[str, Parsed] = {}
        for name, value in (self._structure(key, dict) or {}).items():
            try:
                TypeAdapter(Name).validate_python(name, strict=True)
            except ValidationError:
                needed = "a name: small letters, digits and `-`, at most 39 characters"
                self.add(below(key, name), name, needed, remove_command(below(key, name)))
                continue
            entry = self._model(f"{key}.{name}", value, model)
            if entry is not None:
                parsed[name] = entry
        return parsed

    def names(self, key: str) -> list[str]:
        """Return the names in a mapping, also those whose values have a mistake."""
        try:
            return list(dict(json.loads(self.values.get(key, "{}"))))
        except (TypeError, ValueError):
            return []

    def several(self, key: str, model: type[Parsed]) -> list[Parsed]:
        """Return a list of models that must be there."""
        entries = self._structure(key, list) or []
        parsed = [self._model(f"{key}[{n}]", entry, model) for n, entry in enumerate(entries)]
        return [entry for entry in parsed if entry is not None]

    def mapping(self, key: str) -> dict[str, Any] | None:
        """Return a mapping that may be absent."""
        return self._structure(key, dict) if key in self.values else None

    def refuse(self, key: str, needed: str) -> None:
        """Note a problem when the key is there."""
        if key in self.values:
            self.add(key, self.shown(key, self.values[key]), needed, remove_command(key))

    def _model(self, key: str, value: object, model: type[Parsed]) -> Parsed | None:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            self.problems += translate.problems(key, error, model)
            return None

    def _structure(self, key: str, kind: type) -> Any:  # noqa: ANN401 - JSON
        if key in self.sealed:
            return None
        value = self.values.get(key)
        example = EXAMPLES.get(key, {"KEY": "VALUE"})
        if value is None:
            self.add(key, NOTHING, f"for example {json.dumps(example)}", set_command(key, example))
            return None
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except json.JSONDecodeError:
                value = self.values[key]
        if isinstance(value, kind):
            return value
        needed = "a mapping" if kind is dict else "a list"
        self.add(key, self.shown(key, value), needed, anew_command(key, example))
        return None
