"""Runs the program, or a part of it, against a Pulumi engine that only writes down what it is told."""

import asyncio
import base64
import json
import runpy
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "airbyte-migration"
STACK_TYPE = "pulumi:pulumi:Stack"
SECRET_SIGNATURE = rpc._special_sig_key
PRIVATE_KEY = "planted-private-key"
LAB = Path(".cache/airbyte-migration/lab")
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
    registered_so_far: list[int] = field(default_factory=list)
    """How many resources there were at each entry of `outputs`."""
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
        response = super().RegisterResource(request)
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
        self.recorder.registered_so_far.append(len(self.recorder.resources))
        return super().RegisterResourceOutputs(request)


def _computed(args: mocks.MockResourceArgs, stdout: Mapping[str, str]) -> dict[str, Any]:
    if args.typ.endswith(":RemoteImage"):
        return {"imageId": f"sha256:{args.name}"}
    if args.typ == "command:remote:Command":
        text = PUBLIC_KEY if " keys ensure " in args.inputs["create"] else ""
        text = json.dumps(STATUS) if " status --json " in args.inputs["create"] else text
        return {"stdout": stdout.get(args.name, text), "stderr": ""}
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
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        mocks.set_mocks(
            recorder,
            project=PROJECT,
            stack=stack,
            preview=recorder.preview,
            monitor=RecordingMonitor(recorder),
        )
        pulumi.runtime.set_all_config({**(config or {}), **(secrets or {})}, list(secrets or {}))
        pulumi.runtime.test(lambda: _built(build, recorder))()
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    return recorder


def _built(build: Callable[[], object], recorder: Recorder) -> pulumi.Output[None]:
    build()
    root = pulumi.runtime.get_root_resource()
    shown = pulumi.Output.from_input(dict(root.outputs)) if root is not None else None

    async def keep() -> None:
        if shown is not None:
            recorder.exports = await shown.future() or {}
            assert not await shown.is_secret(), "a stack output is a secret"

    return pulumi.Output.from_input(keep())


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """A committed stack file with its secrets replaced by planted ones."""

    stack: str
    plain: dict[str, str]
    secrets: dict[str, str]

    @property
    def planted(self) -> set[str]:
        """Every secret value that must not show."""
        return {*self.secrets.values(), PRIVATE_KEY}


def stack_file(stack: str) -> StackFile:
    """Read `Pulumi.<stack>.yaml`, and the defaults of the schema, as the engine passes them on."""
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    plain = {f"{PROJECT}:{key}": _as_config(entry["default"]) for key, entry in schema.items()}
    secrets: dict[str, str] = {}
    for key, value in yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"].items():
        if isinstance(value, dict) and "secure" in value:
            secrets[key] = f"planted-{key.partition(':')[2]}"
            del plain[key]
        else:
            plain[key] = _as_config(value)
    return StackFile(stack=stack, plain=plain, secrets=secrets)


def _as_config(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def run_program(file: StackFile, *, preview: bool = False) -> Recorder:
    """Run the real `__main__.py` with the settings of `file`."""
    return declare(
        lambda: runpy.run_path(str(ROOT / "__main__.py")),
        config=file.plain,
        secrets=file.secrets,
        stack=file.stack,
        recorder=Recorder(preview=preview),
    )


def lay_lab_files(home: Path) -> None:
    """Put the files of a lab, which the committed stack files name, below `home`."""
    from airbyte import images  # noqa: PLC0415 - only here

    folder = home / LAB
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "operator").write_text(PRIVATE_KEY)
    ports = (2211, 2212, 2213, 2214)
    (folder / "known_hosts").write_text(
        "".join(f"[127.0.0.1]:{port} {host_key(port)}\n" for port in ports)
    )
    references = {
        key: f"registry/{key}@sha256:{index:064x}" for index, key in enumerate(images.KNOWN)
    }
    (folder / "images.json").write_text(json.dumps(references))


def host_key(port: int) -> str:
    """Return a well-formed public key, another one for each port."""
    kind = b"ssh-ed25519"
    material = port.to_bytes(32, "big")
    blob = struct.pack(">I", len(kind)) + kind + struct.pack(">I", len(material)) + material
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"
