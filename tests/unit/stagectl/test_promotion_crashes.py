"""Every prefix of every promotion and undo is a crash point."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stages.stagectl.errors import StagectlError, UndoneError
from stages.stagectl.journal import Promotion
from stages.stagectl.markers import Activation
from stages.stagectl.promote import Promoter
from stages.stagectl.report import Reporter
from stages.stagectl.state import State
from stages.stagectl.undo import Undo
from tests.unit.stagectl.worlds import (
    FakeEngine,
    FakeMarkers,
    KilledError,
    Killer,
    deployment,
    document,
    links,
    resource,
)

MOST_POINTS = 200


class Quiet(Reporter):
    def say(self, text: str) -> None:
        pass


@dataclass(frozen=True)
class DyingPromotion(Promotion):
    """A journal whose writer may die before or after a line is on the disk."""

    killer: Killer = field(default_factory=Killer)

    def write(self, event: str, **facts: object) -> None:
        self.killer.point()
        super().write(event, **facts)
        self.killer.point()


@dataclass
class World:
    root: Path
    engine: FakeEngine
    markers: FakeMarkers
    before: State
    dest_before: State | None

    def promotion(self, killer: Killer) -> Promotion:
        folders = sorted(self.root.iterdir()) if self.root.exists() else []
        if not folders:
            Promotion.begin(self.root, source="v0", dest="v1", backend="memory")
            folders = list(self.root.iterdir())
        self.engine.killer = self.markers.killer = killer
        return DyingPromotion(folders[-1], killer=killer)

    def promote(self, killer: Killer) -> None:
        Promoter(
            pulumi=self.engine,
            markers=self.markers,
            reporter=Quiet(),
            promotion=self.promotion(killer),
            deployment="lab",
        ).run()

    def undo(self, killer: Killer) -> None:
        Undo(
            pulumi=self.engine,
            markers=self.markers,
            reporter=Quiet(),
            promotion=self.promotion(killer),
        ).run()

    def check_nothing_is_lost(self) -> None:
        tracked = self.engine.held["v0"].keys | self.engine.held.get("v1", document([])).keys
        assert tracked == self.before.keys
        if self.engine.held["v0"] != self.before:
            assert self.promotion(Killer()).backup_of("v0") == self.before

    def check_promoted(self) -> None:
        held = self.engine.held["v1"]
        assert links(held) == links(self.before)
        assert [r["type"] for r in held.resources] == [r["type"] for r in self.before.resources]
        assert "of-v1" in str(held.document)
        assert "of-v0" not in str(held.document)
        assert self.engine.held["v0"].resources == []
        assert self.markers.stages == {"prod": "v1", "replica": "v2"}
        assert self.promotion(Killer()).state == "finished"

    def check_as_before(self) -> None:
        assert self.engine.held["v0"].digest == self.before.digest
        if self.dest_before is None:
            assert "v1" not in self.engine.held
        else:
            assert not self.engine.held["v1"].resources
        assert self.markers.stages == {"prod": "v0", "replica": "v2"}
        assert self.promotion(Killer()).state == "undone"


def left_behind() -> State:
    root = resource("v1", "pulumi:pulumi:Stack", "toy-v1", parent=None)
    return document(
        [root, resource("v1", "pulumi:providers:docker", "old", parent="root", id="x")], salt="v1"
    )


DESTINATIONS: dict[str, Callable[[], State | None]] = {
    "no stack": lambda: None,
    "empty stack": lambda: document([], salt="v1"),
    "left-behind provider": left_behind,
}


@pytest.fixture(autouse=True)
def memory_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses no page cache; test_promotion_journal.py proves the fsync."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture(params=list(DESTINATIONS))
def make_world(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], World]:
    numbers: Iterator[int] = iter(range(1_000_000))

    def make() -> World:
        dest = DESTINATIONS[request.param]()
        held = {"v0": deployment()} | ({"v1": dest} if dest else {})
        markers = FakeMarkers({"prod": "v0", "replica": "v2"})
        world = World(tmp_path / str(next(numbers)), FakeEngine(held), markers, deployment(), dest)
        world.engine.watch = world.check_nothing_is_lost
        return world

    return make


def points_of(act: Callable[[Killer], None]) -> int:
    killer = Killer()
    act(killer)
    assert 0 < killer.points < MOST_POINTS
    return killer.points


def kill(act: Callable[[Killer], None], point: int) -> None:
    with pytest.raises(KilledError):
        act(Killer(point))


def test_a_promotion_moves_all_and_restores_every_link(make_world: Callable[[], World]) -> None:
    world = make_world()
    world.promote(Killer())
    world.check_promoted()
    assert world.engine.moves_refused == 0


def test_promotion_killed_anywhere_goes_on(make_world: Callable[[], World]) -> None:
    for point in range(1, points_of(make_world().promote) + 1):
        world = make_world()
        kill(world.promote, point)
        world.check_nothing_is_lost()
        world.promote(Killer())
        world.check_promoted()


def test_promotion_killed_anywhere_can_be_undone(make_world: Callable[[], World]) -> None:
    for point in range(1, points_of(make_world().promote) + 1):
        world = make_world()
        kill(world.promote, point)
        world.undo(Killer())
        world.check_as_before()


def test_undo_killed_anywhere_goes_on(make_world: Callable[[], World]) -> None:
    world = make_world()
    world.promote(Killer())
    for point in range(1, points_of(world.undo) + 1):
        world = make_world()
        world.promote(Killer())
        kill(world.undo, point)
        world.check_nothing_is_lost()
        world.undo(Killer())
        world.check_as_before()


def test_promotion_killed_twice_goes_on(tmp_path: Path) -> None:
    def make(name: str) -> World:
        held = {"v0": deployment()}
        markers = FakeMarkers({"prod": "v0", "replica": "v2"})
        return World(tmp_path / name, FakeEngine(held), markers, deployment(), None)

    total = points_of(make("count").promote)
    for first in range(1, total + 1, 3):
        for second in range(1, total - first + 1, 5):
            world = make(f"{first}-{second}")
            kill(world.promote, first)
            with suppress(KilledError):
                world.promote(Killer(second))
            world.promote(Killer())
            world.check_promoted()


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([{"op": "replace", "urn": "urn:pulumi:v1::toy::docker:x:Container::db"}], ""),
        ([{"op": "delete", "urn": "urn:pulumi:v1::toy::docker:x:Container::db"}], ""),
        ([{"op": "some-new-operation", "urn": "urn:pulumi:v1::toy::docker:x:C::db"}], ""),
        ([], "the program has an error"),
    ],
)
def test_a_preview_that_violates_undoes_everything(
    make_world: Callable[[], World], steps: list[dict[str, object]], error: str
) -> None:
    world = make_world()
    world.engine.steps, world.engine.preview_error = steps, error
    with pytest.raises(UndoneError, match="v0 holds the deployment as before"):
        world.promote(Killer())
    world.check_as_before()


def test_a_violating_promotion_killed_anywhere_ends_undone(
    make_world: Callable[[], World],
) -> None:
    violating = [{"op": "replace", "urn": "urn:pulumi:v1::toy::docker:x:Container::db"}]

    def make() -> World:
        world = make_world()
        world.engine.steps = list(violating)
        return world

    killer = Killer()
    with pytest.raises(UndoneError):
        make().promote(killer)
    for point in range(1, killer.points + 1):
        world = make()
        kill(world.promote, point)
        world.check_nothing_is_lost()
        if world.promotion(Killer()).state == "open":
            with pytest.raises(UndoneError):
                world.promote(Killer())
        elif world.promotion(Killer()).state == "undoing":
            world.undo(Killer())
        world.check_as_before()


def test_a_source_changed_after_its_backup_is_backed_up_again(tmp_path: Path) -> None:
    world = killed_right_after_its_backup(tmp_path)
    changed = deployment()
    changed.resources[-1]["id"] = "c2"
    world.engine.held["v0"] = changed
    world.promote(Killer())
    assert [r.get("id") for r in world.engine.held["v1"].resources][-1] == "c2"
    assert world.promotion(Killer()).backup_of("v0") == changed


def killed_right_after_its_backup(root: Path) -> World:
    for point in range(1, MOST_POINTS):
        engine = FakeEngine({"v0": deployment()})
        world = World(root / str(point), engine, FakeMarkers({}), deployment(), None)
        kill(world.promote, point)
        if world.promotion(Killer()).happened("backup"):
            return world
    raise AssertionError


def test_undo_is_refused_after_a_pulumi_up_on_the_destination(tmp_path: Path) -> None:
    held = {"v0": deployment()}
    world = World(tmp_path, FakeEngine(held), FakeMarkers({"prod": "v0"}), deployment(), None)
    world.promote(Killer())
    world.engine.watch = lambda: None
    grown = world.engine.export("v1")
    grown.resources.append(resource("v1", "docker:x:Container", "new", parent="root", id="n"))
    world.engine.held["v1"] = grown
    with pytest.raises(StagectlError, match="was changed after its promotion"):
        world.undo(Killer())
    stopped = Activation("replica", 1, "stopped")
    world.markers.activations = {"prod": (stopped, Activation("abctl", 1, "active-intermediary"))}
    moved = r"Airbyte has moved since: abctl active-intermediary, epoch 1 \(on prod\)"
    with pytest.raises(StagectlError, match=moved):
        world.undo(Killer())
    assert world.markers.stages == {"prod": "v1"}
    assert world.engine.held["v1"] == grown
