"""A host: how it is reached, and that the guard comes before everything."""

import pulumi_command as command

import components
from components import GuardArgs, guard
from tests.support import mocks
from tests.unit.components import hosts


def test_docker_and_commands_check_the_same_key() -> None:
    recorded = mocks.declare(lambda: hosts.host("prod", 1))
    provider = recorded.named("prod-docker")
    assert provider.inputs["host"] == "ssh://root@192.0.2.1:2201"
    connection = recorded.named("prod-hostctl").inputs["connection"]
    assert connection["hostKey"] == f"{hosts.KEY}1"
    assert (connection["host"], connection["port"]) == ("192.0.2.1", 2201)
    assert recorded.named("prod-hostctl").sealed["connection"] == "[secret]"


def test_hostctl_is_replaced_whole_or_not_at_all() -> None:
    hostctl = mocks.declare(lambda: hosts.host("prod", 1)).named("prod-hostctl")
    script = hostctl.inputs["create"]
    assert script == hostctl.inputs["update"]
    assert script.index("hostctl.new") < script.index("mv ")
    assert hostctl.inputs["stdin"].startswith("#!/usr/bin/env bash")
    assert hostctl.inputs["addPreviousOutputInEnv"] is False
    assert recorded_children() == {"prod-docker", "prod-hostctl"}


def recorded_children() -> set[str]:
    return mocks.declare(lambda: hosts.host("prod", 1)).children("prod")


def test_the_guard_asks_one_host_after_the_other_and_changes_nothing_else() -> None:
    def build() -> None:
        ways = {"prod": hosts.ssh(1), "replica": hosts.ssh(2)}
        commands = command.Provider("command")
        guard("guard", GuardArgs(deployment="lab", stage="v1", hosts=ways, commands=commands))

    recorded = mocks.declare(build)
    first, second = recorded.named("guard-prod"), recorded.named("guard-replica")
    assert first.urn in second.dependencies
    assert first.inputs["create"] == first.inputs["update"] == "bash -s -- marker claim lab v1"
    assert first.inputs["delete"] == "bash -s -- marker release lab v1"
    assert "marker()" in first.inputs["stdin"]
    # No component around them: a refused stack must stay empty, or it could not be promoted to.
    assert {r.type for r in recorded.resources} == {
        "command:remote:Command",
        "pulumi:providers:command",
    }


def test_the_package_exports_what_it_says_in_order() -> None:
    assert list(components.__all__) == sorted(components.__all__)
    assert all(hasattr(components, name) for name in components.__all__)


def test_type_tokens_are_unique_and_have_three_parts() -> None:
    tokens = [
        member.TYPE
        for name in components.__all__
        if isinstance(member := getattr(components, name), type) and hasattr(member, "TYPE")
    ]
    assert len(tokens) == len(set(tokens)) >= 6
    assert all(token.startswith("airbyte-migration:index:") for token in tokens)
    assert all(token.count(":") == 2 for token in tokens)
