from __future__ import annotations

from typing import ClassVar

import pytest

from engine.plugins.command.remote import RemoteCommand
from engine.plugins.postgresql.database import Database
from engine.plugins.postgresql.grant import Grant
from engine.plugins.postgresql.role import Role
from engine.plugins.resource import Properties, differences
from engine.plugins.wire import Asset, Plain, Unknown, holds_secret, plain, wire


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ("a", "a", []),
        ("a", "b", ["p"]),
        (None, "a", ["p"]),
        (True, 1.0, ["p"]),
        ({"k": "a"}, {"k": "b", "l": "c"}, ["p.k", "p.l"]),
        ({"a.b": "x"}, {}, ['p["a.b"]']),
        (["a", "b"], ["a", "c", "d"], ["p[1]", "p[2]"]),
        ("a", Unknown(), ["p"]),
        (Asset(hash="1", path="f"), Asset(hash="2", path="f"), ["p"]),
        (Asset(hash="1", path="f"), Asset(hash="1", path="moved"), []),
        (Asset(hash="", text="a"), Asset(hash="", text="b"), ["p"]),
    ],
)
def test_differences_name_the_path(old: Plain, new: Plain, paths: list[str]) -> None:
    assert differences("p", old, new) == paths


@pytest.mark.parametrize(
    "value",
    [True, 2.0, "x", ["a", {"b": "c"}], {"d": []}, Asset(hash="h", text="t"), Unknown()],
)
def test_wire_round_trip(value: Plain) -> None:
    assert plain(wire(value)) == value
    assert plain(wire(value, secret=True)) == value


def test_a_secret_is_seen_at_any_depth() -> None:
    sealed = wire("x", secret=True)
    outer = wire({"a": ["b"]})
    assert not holds_secret(outer)
    outer.struct_value.fields["a"].list_value.values.add().CopyFrom(sealed)
    assert holds_secret(outer)


class TestCommand:
    OLD: ClassVar[Properties] = {"connection": {"host": "h"}, "create": "a", "triggers": ["1"]}

    def test_changed_inputs_update(self) -> None:
        news: Properties = {**self.OLD, "create": "b", "connection": {"host": "i"}}
        changes = RemoteCommand().changes({**self.OLD, "stdout": "x"}, news)
        assert changes == {"create": False, "connection.host": False}

    def test_changed_triggers_replace(self) -> None:
        news: Properties = {**self.OLD, "triggers": ["2"]}
        assert RemoteCommand().changes(self.OLD, news) == {"triggers[0]": True}

    def test_a_command_that_went_in_secret_seals_its_output_but_the_connection_does_not(
        self,
    ) -> None:
        fields = {"connection": wire({"host": "h"}, secret=True), "create": wire("a")}
        assert RemoteCommand().secret_outputs(fields) == frozenset()
        fields["stdin"] = wire("s", secret=True)
        assert RemoteCommand().secret_outputs(fields) == {"stdout", "stderr"}


class TestPostgres:
    def test_defaults_are_no_change_and_sets_have_no_order(self) -> None:
        state: Properties = {"name": "r", "login": False, "roles": ["a", "b"], "inherit": True}
        assert Role().changes(state, {"name": "r", "roles": ["b", "a"]}) == {}

    def test_drift_shows(self) -> None:
        changes = Role().changes({"name": "r", "login": False}, {"name": "r", "login": True})
        assert changes == {"login": False}

    def test_what_the_server_chose_stands(self) -> None:
        state: Properties = {"name": "d", "owner": "x", "lcCollate": "C"}
        assert Database().changes(state, {"name": "d"}) == {}
        assert Database().changes(state, {"name": "d", "lcCollate": "en"}) == {"lcCollate": True}

    def test_check_keeps_an_automatic_name(self) -> None:
        from google.protobuf import struct_pb2

        made, again = struct_pb2.Struct(), struct_pb2.Struct()
        Role().complete("writer", {}, made)
        name = made.fields["name"].string_value
        assert name.startswith("writer-")
        Role().complete("writer", {"name": name}, again)
        assert again.fields["name"].string_value == name

    @pytest.mark.parametrize(
        ("inputs", "named"),
        [
            ({"objectType": "table"}, "schema"),
            ({"objectType": "tabel", "schema": "s"}, "objectType"),
            ({"objectType": "database", "objects": ["x"]}, "objects"),
            ({"objectType": "column", "schema": "s"}, "objects"),
            ({"objectType": "database", "privileges": ["SELECT"]}, "privileges"),
            ({"objectType": "database", "nonsense": "x"}, "nonsense"),
        ],
    )
    def test_impossible_grants_are_refused(self, inputs: Properties, named: str) -> None:
        base: Properties = {"role": "r", "database": "d", "privileges": []}
        assert named in [name for name, _ in Grant().refuse({**base, **inputs})]
