"""Runs the program, or a part of it, against an engine that only writes down what it is told."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc
from pulumi.runtime.settings import set_root_resource

PROJECT = "airbyte-migration"
STACK_TYPE = "pulumi:pulumi:Stack"
SECRET_SIGNATURE = rpc._special_sig_key
PUBLIC_KEY = "ssh-ed25519 AAAAmade airbyte-migration"
STATUS = {
    "deployment": "lab",
    "feeds": [
        {
            "name": "prod-to-core-worker-01",
            "state": "following",
            "mode": "logical",
            "verified": {"at": "2026-11-22T12:00:00Z", "tables": 48, "rows": 7, "equal": True},
            "working_database": {"name": "airbyte", "made_at": "2026-11-22T12:00:01Z"},
            "next": "nothing: the copy follows",
        }
    ],
}


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource as the program registered it."""

    type: str
    name: str
    urn: str
    parent: str
    provider: str
    inputs: dict[str, Any]
    """Without the wrappers of secrets."""
    sealed: dict[str, Any]
    """With every secret replaced by `[secret]`."""
    protect: bool
    retain_on_delete: bool
    delete_before_replace: bool
    ignore_changes: tuple[str, ...]
    dependencies: tuple[str, ...]


@dataclass
class Recorder(mocks.Mocks):
    """The recording mock: answers as the providers would and keeps everything in order."""

    preview: bool = False
    stdout: Mapping[str, str] = field(default_factory=dict)
    """Stdout of commands by resource name, where the default will not do."""
    resources: list[Registered] = field(default_factory=list)
    outputs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What components registered as outputs: URN and values with secrets sealed."""
    exports: dict[str, Any] = field(default_factory=dict)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        """No function of a provider is called by this program."""
        raise AssertionError(args.token)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Return the inputs, and what only a real run would tell."""
        known = dict(args.inputs)
        if not self.preview:
            known |= _computed(args, self.stdout)
        return f"{args.name}-id", known

    def of(self, *types: str) -> list[Registered]:
        """Return the resources whose type ends with one of `types`."""
        return [r for r in self.resources if r.type.rpartition(":")[2] in types]

    def outputs_of(self, name: str) -> dict[str, Any]:
        """Return what the component called `name` registered as its outputs.

        By name, for components register in no fixed order.
        """
        return next(values for urn, values in self.outputs if urn.endswith(f"::{name}"))

    def named(self, name: str) -> Registered:
        """Return the one resource called `name`."""
        (found,) = [resource for resource in self.resources if resource.name == name]
        return found

    def by_urn(self, urn: str) -> Registered:
        """Return the resource with this URN."""
        (found,) = [resource for resource in self.resources if resource.urn == urn]
        return found

    def children(self, name: str) -> set[str]:
        """Return the names of the direct children of `name`."""
        urn = self.named(name).urn
        return {resource.name for resource in self.resources if resource.parent == urn}

    @property
    def urns(self) -> list[str]:
        """Return `type::name` of all resources, sorted."""
        return sorted(f"{resource.type}::{resource.name}" for resource in self.resources)


class RecordingMonitor(mocks.MockMonitor):
    """Keeps what the SDK's mock drops: parents, options, secret wrappers, component outputs."""

    def __init__(self, recorder: Recorder) -> None:
        """Write down into `recorder`."""
        super().__init__(recorder)
        self.recorder = recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802, ANN401 - the SDK's names
        """Write the request down, then answer as the mock does."""
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != STACK_TYPE:
            raw = json_format.MessageToDict(request.object)
            self.recorder.resources.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    urn=response.urn,
                    parent=request.parent,
                    provider=request.provider,
                    inputs=unwrapped(raw),
                    sealed=sealed(raw),
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    delete_before_replace=request.deleteBeforeReplace,
                    ignore_changes=tuple(request.ignoreChanges),
                    dependencies=tuple(request.dependencies),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802, ANN401
        """Write the outputs down."""
        values = sealed(json_format.MessageToDict(request.outputs))
        self.recorder.outputs.append((request.urn, values))


def _computed(args: mocks.MockResourceArgs, stdout: Mapping[str, str]) -> dict[str, Any]:
    if args.typ.endswith(":RemoteImage"):
        return {"imageId": f"sha256:{args.name}"}
    if args.typ == "command:remote:Command":
        text = PUBLIC_KEY if " keys ensure " in args.inputs["create"] else ""
        text = json.dumps(STATUS) if " status --json " in args.inputs["create"] else text
        text = stdout.get(args.name, text)
        # The engine seals what a resource with a sealed input tells.
        tainted = rpc.is_rpc_secret(args.inputs.get("stdin"))
        return {"stdout": rpc.wrap_rpc_secret(text) if tainted else text, "stderr": ""}
    return {}


def is_secret(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Tell whether a serialized value is wrapped as a secret."""
    return isinstance(value, dict) and value.get(SECRET_SIGNATURE) == rpc._special_secret_sig


def sealed(value: Any) -> Any:  # noqa: ANN401
    """Return a serialized value with `[secret]` in place of every secret."""
    if is_secret(value):
        return "[secret]"
    if isinstance(value, dict):
        return {key: sealed(entry) for key, entry in value.items()}
    return [sealed(entry) for entry in value] if isinstance(value, list) else value


def unwrapped(value: Any) -> Any:  # noqa: ANN401
    """Return a serialized value without the wrappers of secrets."""
    if is_secret(value):
        return unwrapped(value.get("value"))
    if isinstance(value, dict):
        return {key: unwrapped(entry) for key, entry in value.items()}
    return [unwrapped(entry) for entry in value] if isinstance(value, list) else value


def texts(value: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield every text in a JSON value, keys too."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield key
            yield from texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts(entry)
    elif isinstance(value, str):
        yield value


def declare(
    build: Callable[[], object],
    *,
    config: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    stack: str = "v1",
    recorder: Recorder | None = None,
) -> Recorder:
    """Run `build` as a Pulumi program would be run; return what it registered."""
    recorder = recorder or Recorder()
    with _own_loops():
        # The SDK keeps one root for a process: its exports would be those of all runs together.
        set_root_resource(None)  # type: ignore[arg-type]
        mocks.set_mocks(
            recorder,
            project=PROJECT,
            stack=stack,
            preview=recorder.preview,
            monitor=RecordingMonitor(recorder),
        )
        pulumi.runtime.set_all_config({**(config or {}), **(secrets or {})}, list(secrets or {}))
        pulumi.runtime.test(lambda: _built(build, recorder))()  # type: ignore[no-untyped-call]
    return recorder


@contextmanager
def _own_loops() -> Iterator[None]:
    """Give the run an event loop of its own, and close that and those the SDK makes in threads."""
    made: list[asyncio.AbstractEventLoop] = []
    original = asyncio.new_event_loop

    def tracked() -> asyncio.AbstractEventLoop:
        made.append(original())
        return made[-1]

    asyncio.new_event_loop = tracked
    asyncio.set_event_loop(tracked())
    try:
        yield
    finally:
        asyncio.new_event_loop = original
        for loop in made:
            if not loop.is_closed():
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()
        asyncio.set_event_loop(None)


def _built(build: Callable[[], object], recorder: Recorder) -> pulumi.Output[None]:
    build()
    exports = getattr(pulumi.runtime.get_root_resource(), "outputs", {})
    shown = pulumi.Output.from_input(dict(exports))

    async def keep() -> None:
        recorder.exports = await shown.future() or {}
        assert not await shown.is_secret(), "a stack output is a secret"

    return pulumi.Output.from_input(keep())
