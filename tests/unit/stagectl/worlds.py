"""A world in memory for promotions: a strict engine, hosts, and sudden death."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from stages.stagectl.errors import EngineError
from stages.stagectl.markers import Activation, Reading
from stages.stagectl.state import (
    Json,
    State,
    blocked_providers,
    is_provider,
    is_root,
    key_of,
    rename,
)

PROJECT = "toy"
KINDS = "airbyte-migration:index:Host"


class KilledError(BaseException):
    """SIGKILL, as far as a unit test can have it: no handler of the program may catch it."""


@dataclass
class Killer:
    """Kills at the n-th point where the world may change; counts the points otherwise."""

    at: int | None = None
    points: int = 0

    def point(self) -> None:
        self.points += 1
        if self.points == self.at:
            raise KilledError


@dataclass
class FakeEngine:
    """Stacks in memory. `watch` is called after every change."""

    held: dict[str, State]
    killer: Killer = field(default_factory=Killer)
    watch: Callable[[], None] = lambda: None
    steps: list[Json] = field(default_factory=list)
    preview_error: str = ""
    moves_refused: int = 0

    def stacks(self) -> frozenset[str]:
        return frozenset(self.held)

    def export(self, stack: str) -> State:
        return State(copy.deepcopy(self.held[stack].document))

    def write(self, stack: str, state: State) -> None:
        assert stack in self.held
        self._become({stack: state})

    def create(self, stack: str) -> None:
        assert stack not in self.held
        self._become({stack: document([])})

    def remove(self, stack: str) -> None:
        assert not self.held[stack].resources
        self.killer.point()
        del self.held[stack]
        self.killer.point()

    def move(self, source: str, dest: str, urns: list[str]) -> None:
        if blocked_providers(self.held[source]):
            self.moves_refused += 1
            raise EngineError(found="parent comes after it", needed="integrity", way_out="-")
        staying = [r for r in self.held[source].resources if r["urn"] not in urns]
        moving = [r for r in self.held[source].resources if r["urn"] in urns]
        root = resource(dest, "pulumi:pulumi:Stack", f"{PROJECT}-{dest}", parent=None)
        copies = [_in(dest, r) for r in staying if is_provider(r)]
        copies = [{**c, "urn": _flat(c["urn"])} for c in copies]
        moved = [_pointing_to(copies, _in(dest, r)) for r in moving]
        self._become({dest: document([root, *copies, *moved], salt=dest)})
        self._become({source: document(staying, salt=source)})

    def preview(self, stack: str) -> Json:
        if self.preview_error:
            raise EngineError(found=self.preview_error, needed="success", way_out="-")
        return {"steps": self.steps, "changeSummary": {"same": len(self.held[stack].resources)}}

    def _become(self, states: dict[str, State]) -> None:
        self.killer.point()
        self.held.update(states)
        self.watch()
        self.killer.point()


@dataclass
class FakeMarkers:
    """Markers of hosts in memory."""

    stages: dict[str, str]
    killer: Killer = field(default_factory=Killer)
    activations: dict[str, tuple[Activation, ...]] = field(default_factory=dict)

    def read(self) -> list[Reading]:
        return [
            Reading(h, s, "lab", activations=self.activations.get(h, ()))
            for h, s in sorted(self.stages.items())
        ]

    def move(self, host: str, from_stage: str, to_stage: str) -> None:
        self.killer.point()
        assert self.stages[host] in {from_stage, to_stage}
        self.stages[host] = to_stage
        self.killer.point()


def resource(stack: str, kind: str, name: str, *, parent: str | None, **more: object) -> Json:
    """One resource; `parent` is a URN, or "root", or None for the root itself."""
    root = f"urn:pulumi:{stack}::{PROJECT}::pulumi:pulumi:Stack::{PROJECT}-{stack}"
    above = root if parent == "root" else parent
    kinds = kind
    if above and above != root:
        kinds = above.split("::")[2] + "$" + kind
    found: Json = {"urn": f"urn:pulumi:{stack}::{PROJECT}::{kinds}::{name}", "type": kind}
    found |= {"custom": kind != KINDS, **more}
    return {**found, "parent": above} if above else found


def document(resources: list[Json], salt: str = "v0") -> State:
    return State(
        {
            "version": 3,
            "deployment": {
                "manifest": {"version": "v3.252.0"},
                "secrets_providers": {"type": "passphrase", "state": {"salt": salt}},
                "resources": resources,
            },
        }
    )


def deployment(stack: str = "v0") -> State:
    """A deployment with a component, its own provider, one on a resource, and a left-over."""
    root = resource(stack, "pulumi:pulumi:Stack", f"{PROJECT}-{stack}", parent=None)
    plain = resource(stack, "pulumi:providers:command", "default", parent="root", id="p1")
    host = resource(stack, KINDS, "prod", parent="root")
    guard = resource(
        stack, "command:remote:Command", "guard", parent=host["urn"], provider=_ref(plain), id="g"
    )
    docker = resource(
        stack,
        "pulumi:providers:docker",
        "prod",
        parent=host["urn"],
        id="p2",
        dependencies=[guard["urn"]],
    )
    database = resource(
        stack,
        "docker:index/container:Container",
        "db",
        parent=host["urn"],
        provider=_ref(docker),
        id="c1",
        dependencies=[guard["urn"]],
        propertyDependencies={"envs": [guard["urn"]]},
        inputs={"envs": {"4dabf18193072939515e22adb298388d": "1b", "ciphertext": f"of-{stack}"}},
        protect=True,
    )
    return document([root, plain, host, guard, docker, database], salt=stack)


def _ref(provider: Json) -> str:
    return f"{provider['urn']}::{provider['id']}"


def _flat(urn: str) -> str:
    stack, project, kinds, name = urn.split("::")
    return "::".join([stack, project, kinds.rsplit("$", 1)[-1], name])


def _in(dest: str, old: Json) -> Json:
    assert not is_root(old)
    text = {k: v for k, v in old.items() if isinstance(v, str) and v.startswith("urn:")}
    new = {**copy.deepcopy(old), **{k: rename(v, dest) for k, v in text.items()}}
    if "dependencies" in old:
        new["dependencies"] = [rename(u, dest) for u in old["dependencies"]]
    if "propertyDependencies" in old:
        new["propertyDependencies"] = {
            k: [rename(u, dest) for u in urns] for k, urns in old["propertyDependencies"].items()
        }
    if "inputs" in old:
        new["inputs"]["envs"]["ciphertext"] = f"of-{dest}"
    return new


def _pointing_to(copies: list[Json], new: Json) -> Json:
    for provider in copies:
        if new.get("provider", "").endswith(f"::{provider['id']}"):
            return {**new, "provider": _ref(provider)}
    return new


def links(state: State) -> dict[str, object]:
    """Order, names and links of a state without its stack's name."""
    return {
        key_of(r["urn"]): [
            r.get("id"),
            [key_of(u) for u in r.get("dependencies") or []],
            key_of(r["provider"]) if "provider" in r else None,
            r.get("protect"),
        ]
        for r in state.resources
        if not is_root(r)
    }
