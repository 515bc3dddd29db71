"""Rewriting of states: nothing is lost, nothing is invented."""

from stages.stagectl import preview, state
from stages.stagectl.state import State
from tests.unit.stagectl.worlds import deployment, document, resource


def test_held_is_all_but_root_and_providers() -> None:
    names = [r["urn"].rsplit("::", 1)[-1] for r in deployment().held]
    assert names == ["prod", "guard", "db"]
    assert State({}).held == []


def test_same_name_with_another_id_is_another_resource() -> None:
    other = deployment()
    other.resources[-1]["id"] = "c2"
    assert other.keys != deployment().keys
    assert deployment("v1").keys == deployment("v0").keys


def test_rename_knows_that_the_root_is_named_after_its_stack() -> None:
    root, *others = deployment("v0").resources
    assert state.rename(root["urn"], "v1") == deployment("v1").resources[0]["urn"]
    for old, new in zip(others, deployment("v1").resources[1:], strict=True):
        assert state.rename(old["urn"], "v1") == new["urn"]
        if "provider" in old:
            assert state.rename(old["provider"], "v1") == new["provider"]


def test_blocked_are_providers_below_or_after_a_moved_resource() -> None:
    blocked = state.blocked_providers(deployment())
    assert [urn.rsplit("::", 1)[-1] for urn in blocked] == ["prod"]
    assert state.blocked_providers(state.loosen(deployment())) == []
    assert state.loosen(deployment()).keys == deployment().keys


def test_arrange_undoes_what_a_move_does_to_links_and_order() -> None:
    loosened = state.loosen(deployment("v1"))
    root, *rest = loosened.resources
    shuffled = document([root, *reversed(rest)], salt="v1")
    arranged = state.arrange(shuffled, deployment("v0"), "v1")
    assert arranged.resources == deployment("v1").resources
    assert not state.is_arranged(shuffled, deployment("v0"), "v1")
    assert state.is_arranged(arranged, deployment("v0"), "v1")


def test_digest_is_blind_to_encryption_and_sees_all_else() -> None:
    first, second = deployment(), deployment()
    second.resources[-1]["inputs"]["envs"]["ciphertext"] = "with another nonce"
    assert first.digest == second.digest
    second.resources[-1]["protect"] = False
    assert first.digest != second.digest


def test_emptied_remembers_how_to_encrypt() -> None:
    emptied = state.emptied(deployment())
    assert emptied.resources == []
    assert emptied.secrets_provider == "passphrase"
    assert deployment().resources, "the argument is left alone"


def test_pending_operations_and_writer_are_read() -> None:
    held = deployment()
    assert (held.pending, held.written_by) == ([], "3.252.0")
    held.deployment["pending_operations"] = [{"type": "creating", "resource": held.held[0]}]
    assert len(held.pending) == 1


def test_preview_tells_what_a_promotion_must_not_bring() -> None:
    new = resource("v1", "docker:x:Container", "db", parent="root")
    steps = [
        {"op": "same", "urn": new["urn"]},
        {"op": "update", "urn": new["urn"], "diffReasons": ["envs"]},
        {"op": "create", "urn": new["urn"].replace("::docker", "::a:b:C$docker")},
        {"op": "replace", "urn": new["urn"], "replaceReasons": ["image"], "diffReasons": ["a"]},
        {"op": "delete", "urn": new["urn"]},
    ]
    found = preview.read("v1", {"steps": steps, "changeSummary": {"same": 7}})
    assert [(c.op, c.type, c.name, c.reasons) for c in found.changes] == [
        ("update", "docker:x:Container", "db", ("envs",)),
        ("create", "docker:x:Container", "db", ()),
        ("replace", "docker:x:Container", "db", ("image",)),
        ("delete", "docker:x:Container", "db", ()),
    ]
    assert [c.op for c in found.violations] == ["replace", "delete"]
    assert found.as_json()["violations"] == 2
    assert found.as_table().row_count == 4
