"""Snapshot mode in miniature: what each step does, effect by effect, and what must hold.

`rows` stands for the content of a database, a version a table; a database with a mark must hold
just what its mark says, at every moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from db_migration.agent import state
from db_migration.agent.plan import Step
from db_migration.config import Mode
from db_migration.effects import Effect
from db_migration.snapshots import plan as snapshot_plan
from db_migration.snapshots.plan import Origin


@dataclass
class Db:
    """A database of the target."""

    rows: dict[str, int] = field(default_factory=dict)
    mark: state.Mark | None = None
    foreign: bool = False
    followed: bool = False


@dataclass
class World:
    """Prod writes at every tick; what is read over the wire is counted."""

    rows: dict[str, int] = field(default_factory=lambda: {"public.jobs": 1, "public.workspace": 1})
    schema: str = "a"
    role: bool = False
    slot: bool = False
    subscribed: bool = False
    mirror: Db = field(default_factory=Db)
    seed: Db | None = None
    old: Db | None = None
    copy_due: bool = True
    rest_seconds: float = 0
    read: list[str] = field(default_factory=list)
    changed_on_source: set[str] = field(default_factory=set)
    policy: state.Policy = field(default_factory=lambda: state.Policy(mode=Mode.SNAPSHOT))

    def mark(self) -> state.Mark:
        sums = {name: str(version) for name, version in self.rows.items()}
        tables = dict.fromkeys(self.rows, self.schema)
        return state.Mark("0/1", tables, self.schema, state.Snapshot("now", "prod", sums))

    def check(self) -> None:
        """Invariants 1, 2 and 3."""
        assert self.changed_on_source <= {"role"}
        for database in (self.mirror, self.seed, self.old):
            if database is not None and database.mark is not None and database.mark.snapshot:
                sums = {name: str(version) for name, version in database.rows.items()}
                assert database.mark.snapshot.sums == sums, "a mark says what is not there"
        assert self.mirror.mark is not None or not self.mirror.rows or self.mirror.foreign

    def observe(self) -> state.Observed:
        def seen(db: Db | None) -> state.Database:
            if db is None:
                return state.Database()
            return state.Database(True, db.mark, empty=not db.rows and not db.foreign)

        tables = {name: state.SourceTable(self.schema) for name in self.rows}
        slot = state.Slot("0/1") if self.slot else None
        return state.Observed(
            source=state.Source(
                "replica", "replica", role_ready=self.role, wal_bounded=False,
                tables=tables, types=self.schema, slot=slot,
            ),
            target=state.Target(
                seen(self.mirror), seen(self.seed), seen(self.old),
                state.Subscription(enabled=True) if self.subscribed else None,
            ),
            policy=self.policy,
            copy_due=self.copy_due,
            rest_seconds=self.rest_seconds,
        )  # fmt: skip


Apply = Callable[[World], None]
Effects = list[tuple[Effect, Apply]]


def effects(step: Step, world: World) -> Effects:
    """Return what `step` does, one effect after the other."""
    table: dict[Step, Effects] = {
        Step.CREATE_ROLE: [(Effect.CREATE_ROLE, _create_role)],
        Step.DROP_SUBSCRIPTION: [(Effect.DROP_SUBSCRIPTION, _set(subscribed=False))],
        Step.DROP_SLOT: [(Effect.DROP_SLOT, _set(slot=False))],
        Step.DROP_SEED: [(Effect.DROP_SEED, _set(seed=None))],
        Step.DROP_OLD_MIRROR: [(Effect.DROP_OLD_MIRROR, _set(old=None))],
        Step.SWAP_SNAPSHOT: [(Effect.SWAP_MIRROR, _swap)],
    }
    return table[step] if step is not Step.SNAPSHOT else _snapshot(world)


def _snapshot(world: World) -> Effects:
    """The snapshot is that of this moment; what prod writes afterwards is not in it."""
    mark, rows = world.mark(), dict(world.rows)

    def same(db: Db | None) -> bool:
        found = db.mark if db is not None else None
        return found is not None and found.snapshot is not None and found.types == mark.types

    if same(world.mirror) and world.mirror.rows == rows:
        return [(Effect.ADVANCE_SEQUENCES, _nothing), (Effect.MARK_SNAPSHOT, _remark(mark))]
    usable = same(world.old)
    begin: Effects = [(Effect.CREATE_SEED, _create), (Effect.RESTORE_SCHEMA, _nothing)]
    build: Effects = [(Effect.ADD_CONSTRAINTS, _nothing)]
    if usable:
        begin = [(Effect.ADOPT_SHADOW, _adopt), (Effect.DROP_KEYS, _nothing)]
        build = []
    shadow = sums(world.old) if usable else {}
    mirror = sums(world.mirror) if same(world.mirror) else {}
    assert mark.snapshot is not None
    whence = snapshot_plan.origins(mark.snapshot.sums, shadow, mirror)
    fill: Effects = [
        (Effect.REPLACE_TABLE, _replace(name, rows[name], origin))
        for name, origin in whence.items()
        if origin is not Origin.SHADOW
    ]
    end: Effects = [
        (Effect.ADD_KEYS, _nothing),
        (Effect.ADVANCE_SEQUENCES, _nothing),
        (Effect.MARK_SNAPSHOT, _mark(mark)),
    ]
    return [*begin, *fill, *build, *end]


def sums(db: Db | None) -> dict[str, str]:
    assert db is not None
    return {name: str(version) for name, version in db.rows.items()}


def _create_role(w: World) -> None:
    w.role = True
    w.changed_on_source.add("role")


def _create(w: World) -> None:
    assert w.seed is None, "the shadow is there already"
    w.seed = Db()


def _adopt(w: World) -> None:
    assert w.seed is None, "the shadow is there already"
    assert w.old is not None
    w.seed, w.old = replace(w.old, mark=None), None


def _replace(name: str, version: int, origin: Origin) -> Apply:
    def apply(w: World) -> None:
        assert w.seed is not None
        assert w.seed.mark is None, "a marked database is written to"
        w.seed.rows = {**w.seed.rows, name: version}
        if origin is Origin.SOURCE:
            w.read.append(name)

    return apply


def _mark(mark: state.Mark) -> Apply:
    def apply(w: World) -> None:
        assert w.seed is not None
        w.seed.mark, w.copy_due = mark, False

    return apply


def _remark(mark: state.Mark) -> Apply:
    def apply(w: World) -> None:
        w.mirror.mark, w.copy_due = mark, False

    return apply


def _swap(w: World) -> None:
    assert w.seed is not None
    assert w.seed.mark is not None, "swapped in before it was proven"
    assert w.old is None, "no name to swap out to"
    assert not w.mirror.foreign, "a foreign mirror is replaced"
    w.mirror, w.seed, w.old = w.seed, None, w.mirror


def _set(**values: object) -> Apply:
    def apply(w: World) -> None:
        for name, value in values.items():
            setattr(w, name, value)

    return apply


def _nothing(_: World) -> None:
    return
