"""What local and remote commands have in common: inputs, environment, output, life."""

from __future__ import annotations

import secrets
import threading
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf import struct_pb2

from engine.plugins.resource import Context, Input, PluginError, Properties, Resource
from engine.plugins.wire import holds_secret

STDOUT_VARIABLE = "PULUMI_COMMAND_STDOUT"
STDERR_VARIABLE = "PULUMI_COMMAND_STDERR"

COMMAND_INPUTS: Mapping[str, Input] = {
    "addPreviousOutputInEnv": Input(),
    "create": Input(),
    "delete": Input(),
    "environment": Input(),
    "logging": Input(),
    "stdin": Input(),
    "triggers": Input(replaces=True),
    "update": Input(),
}

# Values of `logging`: which streams are shown while the command runs. Absent: both.
LOGGED_STREAMS = {
    "stdout": frozenset({"stdout"}),
    "stderr": frozenset({"stderr"}),
    "stdoutAndStderr": frozenset({"stdout", "stderr"}),
    "none": frozenset[str](),
}


def text(properties: Properties, key: str) -> str:
    """A string property, empty when absent."""
    value = properties.get(key)
    return value if isinstance(value, str) else ""


def new_id(name: str) -> str:
    """Id in the official form: the resource's name and eight hex digits."""
    return f"{name}{secrets.token_hex(4)}"


def environment(properties: Properties) -> dict[str, str]:
    """The variables that the program gives."""
    given = properties.get("environment")
    return {key: str(value) for key, value in given.items()} if isinstance(given, dict) else {}


def previous_output(properties: Properties, state: Properties) -> dict[str, str]:
    """The last run's output as variables, unless switched off; empty output is left out."""
    if properties.get("addPreviousOutputInEnv") is False:
        return {}
    pairs = {STDOUT_VARIABLE: text(state, "stdout"), STDERR_VARIABLE: text(state, "stderr")}
    return {key: value for key, value in pairs.items() if value}


@dataclass
class Output:
    """Collects what a command writes; lines of the logged streams go to Pulumi's status."""

    context: Context
    logged: frozenset[str]

    def __post_init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._streams: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._both: list[bytes] = []
        self._open_line: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def write(self, stream: str, chunk: bytes) -> None:
        """Take a chunk of ``stdout`` or ``stderr``, from any thread."""
        with self._lock:
            self._streams[stream].append(chunk)
            self._both.append(chunk)
            *lines, rest = (self._open_line[stream] + chunk).split(b"\n")
            self._open_line[stream] = rest
        if stream in self.logged:
            for line in lines:
                self.context.status(line.decode(errors="replace"))

    def finish(self) -> None:
        """Show a last line that has no line end."""
        for stream, rest in self._open_line.items():
            if rest and stream in self.logged:
                self.context.status(rest.decode(errors="replace"))

    def result(self) -> Properties:
        """Both outputs, each without one trailing line end, as the official plugin keeps them."""
        return {
            name: b"".join(chunks).decode(errors="replace").removesuffix("\n")
            for name, chunks in self._streams.items()
        }

    def everything(self) -> str:
        """Both streams in the order of their arrival, for an error message."""
        return b"".join(self._both).decode(errors="replace")


def failed(status: str, command: str, output: str) -> PluginError:
    """The error of a command that did not end with 0, in the official plugin's form."""
    return PluginError(f'{status}: running "{command}":\n{output}')


class CommandResource(Resource):
    """Life of a command: create, update (or create again), delete by the old state."""

    @abstractmethod
    def run(
        self, context: Context, command: str, properties: Properties, state: Properties
    ) -> Properties:
        """Run one command; ``state`` holds the previous run's output."""

    def create(self, context: Context, name: str, news: Properties) -> tuple[str, Properties]:
        """Run ``create``, if there is one."""
        command = text(news, "create")
        nothing: Properties = {"stdout": "", "stderr": ""}
        return new_id(name), self.run(context, command, news, {}) if command else nothing

    def update(
        self, context: Context, resource_id: str, olds: Properties, news: Properties
    ) -> Properties:
        """Run ``update``, or ``create`` again where there is none."""
        command = text(news, "update") if "update" in news else text(news, "create")
        kept: Properties = {key: olds[key] for key in self.outputs if key in olds}
        return self.run(context, command, news, olds) if command else kept

    def delete(self, context: Context, resource_id: str, olds: Properties) -> None:
        """Run the ``delete`` of the last state, over the connection of the last state."""
        command = text(olds, "delete")
        if command:
            self.run(context, command, olds, olds)

    def secret_outputs(self, inputs: Mapping[str, struct_pb2.Value]) -> frozenset[str]:
        """Seal all outputs when a secret went in; the connection, always sealed, apart."""
        given = any(holds_secret(value) for key, value in inputs.items() if key != "connection")
        return self.outputs if given else frozenset()


def logged_streams(properties: Properties) -> frozenset[str]:
    """Streams that ``logging`` asks to show."""
    chosen = text(properties, "logging")
    return LOGGED_STREAMS.get(chosen, LOGGED_STREAMS["stdoutAndStderr"])
