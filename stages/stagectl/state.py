"""Pulumi state as data: what a stack holds, and the rewritings a promotion needs. No I/O.

Works on the document of `pulumi stack export`, in which secrets stay encrypted.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

ROOT_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"
# What ties a resource to others. `pulumi state move` breaks or misorders some of these.
LINKS = ("parent", "provider", "dependencies", "propertyDependencies", "deletedWith", "replaceWith")


@dataclass(frozen=True)
class State:
    """One stack's exported state."""

    document: Json

    @property
    def deployment(self) -> Json:
        """The inner deployment; an unborn stack has none."""
        inner: Json = self.document.get("deployment") or {}
        return inner

    @property
    def resources(self) -> list[Json]:
        """All resources in the order of the state, root and providers included."""
        found: list[Json] = self.deployment.get("resources") or []
        return found

    @property
    def held(self) -> list[Json]:
        """What a promotion has to move: all but the root stack and the providers."""
        return [r for r in self.resources if not is_root(r) and not is_provider(r)]

    @property
    def providers(self) -> list[Json]:
        """Provider resources."""
        return [r for r in self.resources if is_provider(r)]

    @property
    def keys(self) -> frozenset[str]:
        """Identities of the held resources without the stack's name, to compare two stacks.

        With their ids: a resource of the same name that another stack made is another resource.
        """
        return frozenset(f"{key_of(r['urn'])}={r.get('id', '')}" for r in self.held)

    @property
    def pending(self) -> list[Json]:
        """Operations that an interrupted `pulumi up` left open."""
        found: list[Json] = self.deployment.get("pending_operations") or []
        return found

    @property
    def written_by(self) -> str:
        """Version of the engine that wrote the state, or an empty string."""
        return str((self.deployment.get("manifest") or {}).get("version") or "").lstrip("v")

    @property
    def secrets_provider(self) -> str:
        """Kind of the secrets provider that the state was encrypted with, or an empty string."""
        return str((self.deployment.get("secrets_providers") or {}).get("type") or "")

    @property
    def digest(self) -> str:
        """Hash over everything that matters; blind to re-encryption of unchanged secrets."""
        text = json.dumps(_comparable(self.resources), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def is_root(resource: Json) -> bool:
    """Whether this is the stack's own resource."""
    return str(resource["type"]) == ROOT_TYPE


def is_provider(resource: Json) -> bool:
    """Whether this is a provider, default or explicit."""
    return str(resource["type"]).startswith(PROVIDER_PREFIX)


def key_of(urn: str) -> str:
    """URN without its stack: `urn:pulumi:v0::project::type::name` -> `project::type::name`."""
    return urn.split("::", 1)[1]


def rename(urn: str, stack: str) -> str:
    """Give the same URN in another stack; works for provider references (URN::id) too."""
    project, kind, *rest = key_of(urn).split("::")
    if kind == ROOT_TYPE:
        return f"urn:pulumi:{stack}::{project}::{kind}::{project}-{stack}"
    return "::".join([f"urn:pulumi:{stack}", project, kind, *rest])


def emptied(state: State) -> State:
    """Give the state without any resource; it remembers how its stack encrypts."""
    return _with_resources(state, [])


def blocked_providers(state: State) -> list[str]:
    """Providers that `pulumi state move` can not carry along.

    It puts provider copies before everything it moves, so that a provider which is the child of
    a component, or depends on a resource, refers to something after it, and the move is refused.
    """
    held = {r["urn"] for r in state.held}
    return [r["urn"] for r in state.providers if held & set(_links_of(r))]


def loosen(state: State) -> State:
    """Cut the blocked providers' links, so that the move is accepted; `arrange` restores them."""
    blocked = set(blocked_providers(state))
    root = next((r["urn"] for r in state.resources if is_root(r)), None)
    loosened = []
    for resource in state.resources:
        if resource["urn"] in blocked:
            kept = {k: v for k, v in resource.items() if k not in LINKS}
            resource = {**kept, "parent": root} if root else kept  # noqa: PLW2901
        loosened.append(resource)
    return _with_resources(state, loosened)


def arrange(moved: State, backup: State, stack: str) -> State:
    """Give the moved state the order, names and links that the backup of the source had.

    Contents (inputs and outputs) stay as they are in `moved`, where the engine has encrypted
    them again for the new stack.
    """
    by_urn = {r["urn"]: r for r in moved.resources}
    providers = {r["id"]: r for r in moved.providers}
    arranged = [r for r in moved.resources if is_root(r)]
    for old in backup.resources:
        if is_root(old):
            continue
        new = by_urn.get(rename(old["urn"], stack))
        if new is None and is_provider(old):
            new = providers.get(old["id"])
        if new is not None:
            arranged.append(_relinked(new, old, stack))
    return _with_resources(moved, arranged)


def is_arranged(moved: State, backup: State, stack: str) -> bool:
    """Whether `arrange` would change nothing."""
    return arrange(moved, backup, stack).digest == moved.digest


def _relinked(new: Json, old: Json, stack: str) -> Json:
    kept = {k: v for k, v in new.items() if k not in LINKS}
    links = {k: _renamed(old[k], stack) for k in LINKS if k in old}
    return {**kept, "urn": rename(old["urn"], stack), **links}


def _renamed(value: object, stack: str) -> object:
    if isinstance(value, str):
        return rename(value, stack)
    if isinstance(value, list):
        return [_renamed(v, stack) for v in value]
    if isinstance(value, dict):
        return {k: _renamed(v, stack) for k, v in value.items()}
    return value


def _links_of(resource: Json) -> Iterator[str]:
    for link in ("parent", "deletedWith"):
        if resource.get(link):
            yield resource[link]
    yield from resource.get("dependencies") or []
    yield from resource.get("replaceWith") or []
    for urns in (resource.get("propertyDependencies") or {}).values():
        yield from urns or []


def _with_resources(state: State, resources: list[Json]) -> State:
    document = copy.deepcopy(state.document)
    document.setdefault("deployment", {})["resources"] = copy.deepcopy(resources)
    return State(document)


def _comparable(value: object) -> object:
    handlers: dict[type, Callable[[Any], object]] = {
        dict: lambda d: {
            k: "*" if k == "ciphertext" else _comparable(v)
            for k, v in d.items()
            if v not in (None, {}, [], "")
        },
        list: lambda items: [_comparable(v) for v in items],
        float: lambda number: int(number) if number.is_integer() else number,
    }
    handler = handlers.get(type(value))
    return handler(value) if handler else value
