"""Serves a set of resources to the Pulumi engine over gRPC."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent import futures
from typing import NoReturn

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import proto
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

from engine.plugins.resource import Context, PluginError, Properties, Resource, Severity
from engine.plugins.wire import Plain, plain_map, wire

# A waiting remote command holds a thread; Pulumi itself defaults to 4 x cores at a time.
WORKERS = 64

SEVERITIES = {
    Severity.DEBUG: engine_pb2.DEBUG,
    Severity.INFO: engine_pb2.INFO,
    Severity.WARNING: engine_pb2.WARNING,
    Severity.ERROR: engine_pb2.ERROR,
}


def _type_and_name(urn: str) -> tuple[str, str]:
    parts = urn.split("::", 3)
    return parts[2].rsplit("$", 1)[-1], parts[3]


def _kept(olds: Properties, news: Properties, ignored: Iterable[str]) -> Properties:
    """Return the inputs with what is ignored as it is: the engine restores only given inputs."""
    return {**{key: olds[key] for key in ignored if key in olds}, **news}


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine's calls by handing them to the resource of that type."""

    def __init__(self, version: str, resources: Sequence[Resource], engine_address: str) -> None:
        """Connect to the engine's log at ``engine_address`` (host:port); nothing is dialled yet."""
        self._version = version
        self._resources: Mapping[str, Resource] = {r.token: r for r in resources}
        self._cancelled = threading.Event()
        self._config: Properties = {}
        channel = grpc.insecure_channel(engine_address, options=_GRPC_CHANNEL_OPTIONS)
        self._engine = engine_pb2_grpc.EngineStub(channel)

    # Names of the methods and of the fields are Pulumi's protocol.
    # ruff: noqa: N802

    def GetPluginInfo(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> proto.PluginInfo:
        """Say which version this is."""
        return proto.PluginInfo(version=self._version)

    def Attach(self, request: proto.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Accept an engine."""
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Stop waiting in every operation that runs."""
        self._cancelled.set()
        return empty_pb2.Empty()

    def CheckConfig(
        self, request: proto.CheckRequest, context: grpc.ServicerContext
    ) -> proto.CheckResponse:
        """Take the provider's configuration as it is."""
        return proto.CheckResponse(inputs=request.news)

    def DiffConfig(
        self, request: proto.DiffRequest, context: grpc.ServicerContext
    ) -> proto.DiffResponse:
        """Leave the comparison to the engine; a changed configuration replaces nothing."""
        return proto.DiffResponse(changes=proto.DiffResponse.DIFF_UNKNOWN)

    def Configure(
        self, request: proto.ConfigureRequest, context: grpc.ServicerContext
    ) -> proto.ConfigureResponse:
        """Keep the configuration; nothing is connected before a resource needs it."""
        self._config = plain_map(request.args)
        return proto.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(
        self, request: proto.CheckRequest, context: grpc.ServicerContext
    ) -> proto.CheckResponse:
        """Complete the inputs and name what can not be right."""
        resource, name = self._resource(request.urn, context)
        news = struct_pb2.Struct()
        news.CopyFrom(request.news)
        resource.complete(name, plain_map(request.olds), news)
        failures = [
            proto.CheckFailure(property=key, reason=reason)
            for key, reason in resource.refuse(plain_map(news))
        ]
        return proto.CheckResponse(inputs=news, failures=failures)

    def Diff(self, request: proto.DiffRequest, context: grpc.ServicerContext) -> proto.DiffResponse:
        """Compare the last state with the new inputs."""
        resource, _ = self._resource(request.urn, context)
        olds = plain_map(request.olds)
        news = _kept(olds, plain_map(request.news), request.ignoreChanges)
        changes = resource.changes(olds, news)
        kinds = {False: proto.PropertyDiff.UPDATE, True: proto.PropertyDiff.UPDATE_REPLACE}
        some = proto.DiffResponse.DIFF_SOME if changes else proto.DiffResponse.DIFF_NONE
        return proto.DiffResponse(
            changes=some,
            replaces=[path for path, replaces in changes.items() if replaces],
            diffs=sorted({path.split("[")[0].split(".")[0] for path in changes}),
            detailedDiff={
                path: proto.PropertyDiff(kind=kinds[replaces]) for path, replaces in changes.items()
            },
            hasDetailedDiff=True,
        )

    def Create(
        self, request: proto.CreateRequest, context: grpc.ServicerContext
    ) -> proto.CreateResponse:
        """Make the resource; in a preview nothing runs and what is computed is unknown."""
        resource, name = self._resource(request.urn, context)
        if request.preview:
            foreseen = resource.foreseen({}, plain_map(request.properties))
            return proto.CreateResponse(properties=_state(resource, request.properties, foreseen))
        try:
            resource_id, outputs = resource.create(
                self._context(request.urn), name, plain_map(request.properties)
            )
        except PluginError as error:
            _abort(context, error)
        return proto.CreateResponse(
            id=resource_id, properties=_state(resource, request.properties, outputs)
        )

    def Update(
        self, request: proto.UpdateRequest, context: grpc.ServicerContext
    ) -> proto.UpdateResponse:
        """Change the resource; in a preview nothing runs and what is computed is unknown."""
        resource, _ = self._resource(request.urn, context)
        olds = plain_map(request.olds)
        news = _kept(olds, plain_map(request.news), request.ignoreChanges)
        if request.preview:
            outputs = resource.foreseen(olds, news)
        else:
            try:
                outputs = resource.update(self._context(request.urn), request.id, olds, news)
            except PluginError as error:
                _abort(context, error)
        return proto.UpdateResponse(properties=_state(resource, request.news, outputs))

    def Delete(
        self, request: proto.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Remove the resource, by what its state says."""
        resource, _ = self._resource(request.urn, context)
        try:
            resource.delete(self._context(request.urn), request.id, plain_map(request.properties))
        except PluginError as error:
            _abort(context, error)
        return empty_pb2.Empty()

    def Read(self, request: proto.ReadRequest, context: grpc.ServicerContext) -> proto.ReadResponse:
        """Read the resource back: drift shows in outputs, and in the inputs that were given."""
        resource, _ = self._resource(request.urn, context)
        olds = plain_map(request.properties)
        try:
            found = resource.read(self._context(request.urn), request.id, olds)
        except PluginError as error:
            _abort(context, error)
        if found is None:
            return proto.ReadResponse()
        properties = struct_pb2.Struct()
        properties.CopyFrom(request.properties)
        inputs = struct_pb2.Struct()
        inputs.CopyFrom(request.inputs)
        for key, value in found.items():
            if olds.get(key) == value:
                continue
            properties.fields[key].CopyFrom(wire(value))
            if key in inputs.fields:
                inputs.fields[key].CopyFrom(wire(value))
        return proto.ReadResponse(id=request.id, properties=properties, inputs=inputs)

    def _resource(self, urn: str, context: grpc.ServicerContext) -> tuple[Resource, str]:
        token, name = _type_and_name(urn)
        if token not in self._resources:
            known = ", ".join(sorted(self._resources))
            _abort(context, PluginError(f"the local stand-in plugin has no {token}, only {known}"))
        return self._resources[token], name

    def _context(self, urn: str) -> Context:
        def log(severity: Severity, message: str, *, ephemeral: bool = False) -> None:
            self._engine.Log(
                engine_pb2.LogRequest(
                    severity=SEVERITIES[severity], message=message, urn=urn, ephemeral=ephemeral
                )
            )

        return Context(
            log=log,
            status=lambda message: log(Severity.INFO, message, ephemeral=True),
            config=self._config,
            cancelled=self._cancelled,
        )


def _abort(context: grpc.ServicerContext, error: PluginError) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, str(error))
    raise error  # abort never returns; this line tells so to the type checker


def _state(
    resource: Resource, inputs: struct_pb2.Struct, outputs: Mapping[str, Plain]
) -> struct_pb2.Struct:
    state = struct_pb2.Struct()
    state.CopyFrom(inputs)
    given = plain_map(inputs)
    sealed = resource.secret_outputs(inputs.fields)
    for key, value in outputs.items():
        # What equals the input keeps the input's own form, with its seal and its hash.
        if key not in given or given[key] != value:
            state.fields[key].CopyFrom(wire(value, secret=key in sealed))
    return state


def serve(version: str, resources: Sequence[Resource]) -> None:
    """Run until the engine ends us; prints the port, as Pulumi's plugin protocol asks."""
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    plugin = Plugin(version, resources, addresses[0])
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=WORKERS), options=_GRPC_CHANNEL_OPTIONS
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(plugin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()
