"""The local plugins, and the docker plugin's schema, against the official Python SDKs."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import warnings

import pulumi
import pulumi_command
import pulumi_docker
import pytest

from engine.cache import GO_SOURCES
from engine.plugins.command import main as command_main
from engine.plugins.command.ssh import Endpoint
from engine.plugins.postgresql import main as postgresql_main
from engine.plugins.postgresql.connection import CONFIG_KEYS
from engine.plugins.resource import Resource

with warnings.catch_warnings():
    # The SDKs warn about resources of their own while they are imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    pulumi_postgresql = importlib.import_module("pulumi_postgresql")
    CONNECTION_ARGS: type = importlib.import_module("pulumi_command.remote").ConnectionArgs

RESOURCES = [*command_main.resources(), *postgresql_main.resources()]
SDKS = {"command": pulumi_command, "postgresql": pulumi_postgresql}
SCHEMA = json.loads((GO_SOURCES / "docker" / "schema.json").read_text())


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def parameters(cls: type) -> set[str]:
    """Input names of an SDK's args class."""
    return {camel(name) for name in inspect.signature(cls).parameters}


def properties(cls: type) -> set[str]:
    """Output names of an SDK's resource class, inputs included."""
    base = dir(pulumi.CustomResource)
    found = inspect.getmembers(cls, lambda member: isinstance(member, property))
    return {camel(name) for name, _ in found if name not in base}


def sdk_class(resource: Resource) -> type[pulumi.CustomResource]:
    package, module, name = resource.token.split(":")
    holder = SDKS[package] if "/" in module else getattr(SDKS[package], module)
    found: type[pulumi.CustomResource] = getattr(holder, name)
    return found


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.token)
class TestStandIns:
    def test_token(self, resource: Resource) -> None:
        assert getattr(sdk_class(resource), "pulumi_type") == resource.token  # noqa: B009

    def test_inputs(self, resource: Resource) -> None:
        cls = sdk_class(resource)
        args = getattr(importlib.import_module(cls.__module__), f"{cls.__name__}Args")
        assert set(resource.inputs) == parameters(args)

    def test_outputs(self, resource: Resource) -> None:
        assert set(resource.inputs) | resource.outputs == properties(sdk_class(resource))


def test_provider_configuration_of_postgresql() -> None:
    assert parameters(pulumi_postgresql.ProviderArgs) == CONFIG_KEYS


def test_connection_options_are_all_read() -> None:
    text = inspect.getsource(Endpoint.read)
    missing = {n for n in parameters(CONNECTION_ARGS) if f'"{n}"' not in text}
    assert missing == set()


def test_postgresql_serves_what_the_project_uses() -> None:
    names = {resource.token.rsplit(":", 1)[-1] for resource in RESOURCES}
    assert {"Role", "Database", "Grant", "GrantRole", "Extension", "Schema"} <= names


class TestDockerSchema:
    @pytest.mark.parametrize("token", sorted(SCHEMA["resources"]))
    def test_inputs(self, token: str) -> None:
        args = getattr(pulumi_docker, f"{token.rsplit(':', 1)[-1]}Args")
        assert set(SCHEMA["resources"][token]["inputProperties"]) == parameters(args)

    @pytest.mark.parametrize("token", sorted(SCHEMA["resources"]))
    def test_outputs(self, token: str) -> None:
        cls = getattr(pulumi_docker, token.rsplit(":", 1)[-1])
        assert cls.pulumi_type == token
        assert set(SCHEMA["resources"][token]["properties"]) == properties(cls)

    def test_what_the_project_uses_is_there(self) -> None:
        names = {token.rsplit(":", 1)[-1] for token in SCHEMA["resources"]}
        assert {"Container", "RemoteImage", "Network", "Volume", "Tag"} <= names

    def test_nested_inputs(self) -> None:
        inputs = importlib.import_module("pulumi_docker._inputs")
        compared = 0
        for token, shape in SCHEMA["types"].items():
            args = getattr(inputs, f"{token.rsplit(':', 1)[-1]}Args", None)
            if args is not None:
                assert set(shape["properties"]) == parameters(args), token
                compared += 1
        assert compared > 20

    def test_provider_configuration(self) -> None:
        names = set(SCHEMA["provider"]["inputProperties"])
        assert names == parameters(pulumi_docker.ProviderArgs)

    def test_functions(self) -> None:
        for token, shape in SCHEMA["functions"].items():
            name = re.sub("([A-Z])", r"_\1", token.rsplit(":", 1)[-1]).lower()
            function = getattr(pulumi_docker, name, None)
            if function is not None:
                given = {camel(n) for n in inspect.signature(function).parameters if n != "opts"}
                assert set(shape["inputs"]["properties"]) == given, token
