"""A world in miniature: what each step of the plan does, effect by effect, and what must hold.

`position` stands for the content of a database: the point of the source's log up to which it is
complete. A subscription that starts anywhere else than at its database's position has lost changes
or applies them twice, and the model says so at once.
"""

# size: one model of one world; cut in two, each step would be read in two places

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf

from db_migration.agent import state
from db_migration.agent.plan import Step
from db_migration.effects import Effect


@dataclass
class Db:
    """A database of the target."""

    position: int = -1
    mark: state.Mark | None = None
    content: str = "empty"


@dataclass
class World:
    """Both servers, the host and the journal's intents."""

    lsn: int = 100
    wal_level: str = "replica"
    wal_configured: str = "replica"
    source_up: bool = True
    target_up: bool = True
    role: bool = False
    wal_bounded: bool = False
    publication: bool = False
    tables: dict[str, state.SourceTable] = field(
        default_factory=lambda: {
            "public.jobs": state.SourceTable("a"),
            "public.stream_reset": state.SourceTable("b", has_identity=False),
        }
    )
    types: str = "t"
    quiet: bool = True
    slot: int | None = None
    slot_lost: bool = False
    retained: int = 0
    mirror: Db = field(default_factory=Db)
    seed: Db | None = None
    old_mirror: Db | None = None
    subscribed: Db | None = None
    enabled: bool = False
    stalled: bool = False
    stuck: bool = False
    sequences_behind: bool = True
    working: Db | None = field(default_factory=Db)
    next_working: Db | None = None
    old_working: Db | None = None
    due: bool = True
    connected: int = 0
    mirror_held_by: str = ""
    admission_due: bool = False
    reader_stopped: bool = False
    intents: set[str] = field(default_factory=set)
    verified: bool = False
    rest: float = 0.0
    clone_rest: float = 0.0
    policy: state.Policy = field(
        default_factory=lambda: state.Policy(allow_source_restart=True, schema_quiet_seconds=5)
    )
    memory: dict[str, object] = field(default_factory=dict)
    dropped: list[Db] = field(default_factory=list)

    def crash(self) -> None:
        """Lose what only the process knew, the exported snapshot too."""
        self.memory = {}

    def tick(self) -> None:
        """Let prod write and the subscription apply."""
        self.lsn += 1
        if self.subscribed is not None and self.enabled and self.source_up:
            assert not (
                self.subscribed is not self.mirror and self.subscribed is not self.old_mirror
            ), "a subscription applies to a database that is no mirror"
            if self.slot is not None and not self.slot_lost:
                assert self.subscribed.position == self.slot, (
                    f"stream starts at {self.slot}, copy ends at {self.subscribed.position}"
                )
                self.slot = self.subscribed.position = self.lsn

    def check(self) -> None:
        """Invariant 1."""
        for name, table in self.tables.items():
            assert not (table.published and not table.has_identity), (
                f"{name} is published without an identity"
            )

    def observe(self) -> state.Observed:
        return state.Observed(
            source=self._source() if self.source_up else None,
            target=self._target() if self.target_up else None,
            policy=self.policy,
            intent=state.Intent(
                released="released" in self.intents,
                restarting_source="restart_source" in self.intents,
                prepared="prepared" in self.intents,
                reader_stopped="reader_stopped" in self.intents,
            ),
            verify_due=not self.verified,
            quiet_seconds=inf if self.quiet else 1.0,
            rest_seconds=self.rest,
            clone_rest_seconds=self.clone_rest,
        )

    def _source(self) -> state.Source:
        slot = None
        if self.slot is not None:
            slot = state.Slot(str(self.slot), self.slot_lost, self.retained)
        return state.Source(
            wal_level=self.wal_level,
            wal_level_configured=self.wal_configured,
            role_ready=self.role,
            role_exists=self.role,
            wal_bounded=self.wal_bounded,
            publication=self.publication,
            tables=dict(self.tables),
            types=self.types,
            slot=slot,
        )

    def _target(self) -> state.Target:
        def seen(db: Db | None) -> state.Database:
            if db is None:
                return state.Database()
            return state.Database(True, db.mark, db.mark is None and db.content == "empty")

        working = self.working
        return state.Target(
            mirror=seen(self.mirror),
            seed=seen(self.seed),
            old_mirror=seen(self.old_mirror),
            subscription=state.Subscription(self.enabled, self.stalled, self.stuck)
            if self.subscribed is self.mirror
            else None,
            sequences_behind=self.sequences_behind,
            working=state.Working(
                exists=working is not None,
                ours=working is not None and working.content == "working",
                empty=working is not None and working.content == "empty",
                due=self.due,
                connected=self.connected,
                mirror_held_by=self.mirror_held_by,
                next_exists=self.next_working is not None,
                next_complete=self.next_working is not None
                and self.next_working.content == "working",
                old_exists=self.old_working is not None,
                admission_due=self.admission_due,
            ),
        )


Apply = Callable[[World], None]
Effects = list[tuple[Effect, Apply]]


def _create_slot(w: World) -> None:
    assert not (w.subscribed is not None), "a slot is made while a subscription names it"
    assert not (w.slot is not None), "the slot is there already"
    assert w.quiet, "a copy is begun while the schema moves"
    w.slot, w.slot_lost, w.retained = w.lsn, False, 0
    w.memory["start"] = w.lsn
    w.memory["tables"] = {n: t.fingerprint for n, t in w.tables.items() if t.published}
    w.memory["types"] = w.types


def _create_seed(w: World) -> None:
    assert not (w.seed is not None), "the seed database is there already"
    w.seed = Db(content="partial")


def _mark_seeded(w: World) -> None:
    assert w.seed is not None
    start, tables = w.memory["start"], w.memory["tables"]
    assert isinstance(start, int)
    assert isinstance(tables, dict)
    w.seed.position, w.seed.content = start, "mirror"
    w.seed.mark = state.Mark(str(start), tables, str(w.memory["types"]))


def _swap_mirror(w: World) -> None:
    assert w.subscribed is not w.mirror, "a subscribed mirror is swapped out"
    assert w.old_mirror is None, "no name to swap out to"
    assert w.seed is not None, "nothing to swap in"
    assert w.seed.content == "mirror", "swapped in before it was complete"
    w.mirror, w.seed, w.old_mirror = w.seed, None, w.mirror


def _drop(name: str) -> Apply:
    def apply(w: World) -> None:
        database = getattr(w, name)
        assert not (database is not None and database.content == "foreign"), (
            f"{name} is dropped and was not ours"
        )
        setattr(w, name, None)

    return apply


def _create_subscription(w: World) -> None:
    assert w.slot is not None, "subscribed without a slot"
    assert w.mirror.content == "mirror", "subscribed in a database that is no copy"
    assert w.subscribed is None, "subscribed twice"
    w.subscribed, w.enabled = w.mirror, False


def _set(**values: object) -> Apply:
    def apply(w: World) -> None:
        for name, value in values.items():
            setattr(w, name, value)

    return apply


def _publish(w: World) -> None:
    w.publication = True
    w.tables = {n: replace(t, has_identity=True, published=True) for n, t in w.tables.items()}


def _note_followed(w: World) -> None:
    if w.mirror.mark is not None:
        w.mirror.mark = replace(w.mirror.mark, followed=True)


def _enable(w: World) -> None:
    _note_followed(w)
    w.enabled = True


def _drop_subscription(w: World) -> None:
    _note_followed(w)
    w.subscribed, w.enabled, w.stuck = None, False, False


def _drop_slot(w: World) -> None:
    w.slot, w.slot_lost, w.retained = None, False, 0


def _mark_tables(w: World) -> None:
    mark = w.mirror.mark
    assert mark is not None
    tables = {name: table.fingerprint for name, table in w.tables.items()}
    w.mirror.mark = replace(mark, tables=tables, begun={})


def _begin_tables(w: World) -> None:
    mark = w.mirror.mark
    assert mark is not None
    late = {name: t.fingerprint for name, t in w.tables.items() if name not in mark.tables}
    w.mirror.mark = replace(mark, begun=late)


def _clone(w: World) -> None:
    assert not (w.enabled), "the mirror is cloned while the feed writes to it"
    assert not (w.next_working is not None), "the clone's name is taken"
    w.next_working = Db(content="partial")


def _mark_working(w: World) -> None:
    assert w.next_working is not None
    w.next_working.content = "working"


def _swap_working(w: World) -> None:
    assert not (w.connected and not w.reader_stopped), "swapped under a connected Airbyte"
    assert not (w.working is not None and w.working.content == "foreign"), (
        "a foreign working database is replaced"
    )
    assert w.next_working is not None, "nothing to swap in"
    assert w.next_working.content == "working", "swapped in before it was complete"
    assert w.old_working is None, "no name to swap out to"
    w.working, w.next_working, w.old_working = w.next_working, None, w.working
    w.due = False


def _intend(name: str, *, on: bool) -> Apply:
    return lambda w: w.intents.add(name) if on else w.intents.discard(name)


def _stop_reader(w: World) -> None:
    w.reader_stopped = True


def _start(w: World) -> None:
    w.source_up, w.wal_level = True, w.wal_configured


def _nothing(_: World) -> None:
    return


def effects(step: Step, world: World) -> Effects:  # size: a table, one entry a step
    """Return what `step` does, one effect after the other."""
    start_source: Effects = [
        (Effect.START_SOURCE, _start),
        (Effect.SAVE_INTENT, _intend("restart_source", on=False)),
    ]
    start_reader: Effects = [
        (Effect.START_READER, _set(reader_stopped=False)),
        (Effect.SAVE_INTENT, _intend("reader_stopped", on=False)),
    ]
    swap_working: Effects = [(Effect.SWAP_WORKING, _swap_working)]
    if world.policy.can_stop_reader:
        stop: Effects = [
            (Effect.SAVE_INTENT, _intend("reader_stopped", on=True)),
            (Effect.STOP_READER, _stop_reader),
        ]
        swap_working = [*stop, *swap_working, *start_reader]
    table: dict[Step, Effects] = {
        Step.CREATE_ROLE: [
            (Effect.CREATE_ROLE, _set(role=True)),
            (Effect.SAVE_INTENT, _intend("prepared", on=True)),
        ],
        Step.BOUND_WAL: [(Effect.BOUND_WAL, _set(wal_bounded=True))],
        Step.SET_WAL_LEVEL: [(Effect.SET_WAL_LEVEL, _set(wal_configured="logical"))],
        Step.RESTART_SOURCE: [
            (Effect.SAVE_INTENT, _intend("restart_source", on=True)),
            (Effect.STOP_SOURCE, _set(source_up=False)),
            *start_source,
        ],
        Step.START_SOURCE: start_source,
        Step.FORGET_RESTART: [(Effect.SAVE_INTENT, _intend("restart_source", on=False))],
        Step.PUBLISH: [(Effect.PUBLISH, _publish)],
        Step.SEED: [
            (Effect.CREATE_SLOT, _create_slot),
            (Effect.CREATE_SEED, _create_seed),
            (Effect.RESTORE_SCHEMA, _nothing),
            (Effect.COPY_TABLE, _nothing),
            (Effect.BUILD_INDEX, _nothing),
            (Effect.ADD_CONSTRAINTS, _nothing),
            (Effect.ADVANCE_SEQUENCES, _nothing),
            (Effect.MARK_SEEDED, _mark_seeded),
        ],
        Step.SWAP_MIRROR: [(Effect.SWAP_MIRROR, _swap_mirror)],
        Step.DROP_OLD_MIRROR: [(Effect.DROP_OLD_MIRROR, _drop("old_mirror"))],
        Step.SUBSCRIBE: [(Effect.CREATE_SUBSCRIPTION, _create_subscription)],
        Step.ENABLE: [(Effect.ENABLE_SUBSCRIPTION, _enable)],
        Step.RECONNECT: [(Effect.RECONNECT, _set(stalled=False))],
        Step.DROP_SUBSCRIPTION: [(Effect.DROP_SUBSCRIPTION, _drop_subscription)],
        Step.DROP_SLOT: [(Effect.DROP_SLOT, _drop_slot)],
        Step.DROP_SEED: [(Effect.DROP_SEED, _drop("seed"))],
        Step.ADD_TABLES: [
            (Effect.MARK_TABLES, _begin_tables),
            (Effect.CREATE_LATE_TABLES, _nothing),
            (Effect.PUBLISH_LATE_TABLES, _publish),
            (Effect.MARK_TABLES, _nothing),
            (Effect.REFRESH_SUBSCRIPTION, _nothing),
            (Effect.ADD_LATE_KEYS, _nothing),
            (Effect.MARK_TABLES, _mark_tables),
        ],
        Step.ADVANCE_SEQUENCES: [(Effect.ADVANCE_SEQUENCES, _set(sequences_behind=False))],
        Step.CLONE_WORKING: [
            (Effect.DISABLE_SUBSCRIPTION, _set(enabled=False)),
            (Effect.CLONE_WORKING, _clone),
            (Effect.ENABLE_SUBSCRIPTION, _enable),
            (Effect.PREPARE_WORKING, _nothing),
            (Effect.MARK_WORKING, _mark_working),
        ],
        Step.SWAP_WORKING: swap_working,
        Step.ADMIT_READER: [(Effect.ADMIT, _set(admission_due=False))],
        Step.START_READER: start_reader,
        Step.DROP_OLD_WORKING: [(Effect.DROP_OLD_WORKING, _drop("old_working"))],
        Step.DROP_NEXT_WORKING: [(Effect.DROP_NEXT_WORKING, _drop("next_working"))],
        Step.VERIFY: [
            (Effect.ADVANCE_SEQUENCES, _set(sequences_behind=False)),
            (Effect.WRITE_JOURNAL, _set(verified=True)),
        ],
    }
    return table[step]
