"""What a seed consists of and in which order: jobs, what each waits for, which is next. Pure.

Longest way first: of the jobs that may start, the one with the most work behind it (its own and
that of all that waits for it) goes first. So big tables come before small ones, and an index starts
as soon as its table is loaded if a foreign key still waits for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from db_migration.catalog import Table
from db_migration.catalog_keys import Constraint, Index
from db_migration.seeding.dump import Item

SMALLEST_PART_BYTES = 32 * 1024**2
"""Below this the round trips of another part cost more than it saves."""

SMALL_BYTES = 4 * 1024**2
"""Below this a table is done in fewer, not in parallel, transactions."""

SHARE_OF_A_WORKER = 0.5
"""A table with more than this share of what a worker has to carry is split."""


class Kind(StrEnum):
    """What a job does."""

    COPY = "copy"
    INDEX = "index"
    KEY = "key"
    FOREIGN_KEY = "foreign key"
    ANALYZE = "analyze"
    HASH_SOURCE = "hash source"
    HASH_COPY = "hash copy"


@dataclass(frozen=True)
class Part:
    """The pages of a table from `first` up to, not including, `end`; None is the table's end."""

    first: int = 0
    end: int | None = None

    @property
    def whole(self) -> bool:
        """Whether this is the whole table."""
        return self.first == 0 and self.end is None


@dataclass(frozen=True, eq=False)
class Job:
    """One piece of work for one worker, in one transaction."""

    kind: Kind
    name: str
    tables: tuple[str, ...] = ()
    """What it touches, its own table first."""
    cost: float = 0
    """In bytes of a table that is copied."""
    after: frozenset[Job] = frozenset()
    exclusive: bool = False
    """Whether nobody else may touch its tables meanwhile: he would only wait for the lock."""
    table: Table | None = None
    part: Part = Part()
    text: str = ""


def split(tables: Sequence[Table], workers: int) -> dict[str, list[Part]]:
    """Return the parts of every table, whole but for those that would keep one worker to the end.

    At most one part for each worker: a source below 14 has no TID range scan and reads the table
    once for each part (measured on 13: 4.5 % of the time of its COPY; a list of TIDs doubles it).
    """
    whole = sum(table.bytes for table in tables)
    parts: dict[str, list[Part]] = {}
    for table in tables:
        fair = max(SHARE_OF_A_WORKER * whole / workers, SMALLEST_PART_BYTES)
        number = max(1, min(workers, round(table.bytes / fair), table.pages))
        edges = [table.pages * place // number for place in range(number)]
        ends: list[int | None] = [*edges[1:], None]
        parts[table.full_name] = [Part(*edge) for edge in zip(edges, ends, strict=True)]
    return parts


@dataclass(frozen=True)
class Definitions:
    """What follows the rows: the dump's objects, and what the catalogs know of them."""

    items: Sequence[Item]
    indexes: Sequence[Index] = ()
    constraints: Sequence[Constraint] = ()


def jobs(
    tables: Sequence[Table], definitions: Definitions, workers: int, *, verify: bool = False
) -> tuple[list[Job], str]:
    """Return the jobs of a seed, and the SQL of what is left when they are done."""
    parts = split(tables, workers)
    loads = {table.full_name: _loads(table, parts[table.full_name]) for table in tables}
    found = [job for copies in loads.values() for job in copies]
    if verify:
        found += [_hash(kind, table, loads) for table in tables for kind in HASHES]
    builds, rest = _builds(definitions, loads)
    found += builds
    small = [table for table in tables if table.bytes < SMALL_BYTES]
    alone = [[table] for table in tables if table.bytes >= SMALL_BYTES]
    found += [_analyze(some, loads, builds) for some in [*alone, small] if some]
    return found, rest


def _analyze(tables: list[Table], loads: dict[str, list[Job]], builds: list[Job]) -> Job:
    """Gather statistics once the indexes are there: an expression's index has some of its own."""
    names = [table.full_name for table in tables]
    mine = [job for job in builds if job.kind is not Kind.FOREIGN_KEY and job.tables[0] in names]
    after = frozenset([*mine, *(load for name in names for load in loads[name])])
    listed = ", ".join(quoted(table) for table in tables)
    cost = sum(min(table.bytes, SMALLEST_PART_BYTES) for table in tables) / 8
    label = names[0] if len(names) == 1 else f"{len(names)} small tables"
    return Job(
        Kind.ANALYZE, label, tuple(names), cost, after, exclusive=True, text=f"ANALYZE {listed}"
    )


def quoted(table: Table) -> str:
    """Return the name of a table for SQL."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in (table.schema, table.name))


HASHES = (Kind.HASH_SOURCE, Kind.HASH_COPY)


def _loads(table: Table, parts: list[Part]) -> list[Job]:
    name, cost = table.full_name, table.bytes / len(parts)
    label = [name if part.whole else f"{name} from page {part.first}" for part in parts]
    return [
        Job(Kind.COPY, label[place], (name,), cost, table=table, part=part)
        for place, part in enumerate(parts)
    ]


def _hash(kind: Kind, table: Table, loads: dict[str, list[Job]]) -> Job:
    """Hash the source at any time, the copy once it is loaded."""
    name = table.full_name
    after = frozenset(loads[name] if kind is Kind.HASH_COPY else ())
    return Job(kind, name, (name,) if after else (), table.bytes / 4, after, table=table)


def _builds(definitions: Definitions, loads: dict[str, list[Job]]) -> tuple[list[Job], str]:
    """Return indexes, keys and foreign keys, and the SQL of all else in the dump's order."""
    indexes = {(index.schema, index.name): index for index in definitions.indexes}
    constraints = {(one.schema, one.label): one for one in definitions.constraints}
    built: dict[str, list[Job]] = {}
    foreign: list[tuple[Item, Constraint]] = []
    rest = []
    for item in definitions.items:
        index = indexes.get((item.schema, item.name))
        constraint = constraints.get((item.schema, item.name))
        if item.kind == "INDEX" and index is not None and index.table in loads:
            job = _index(index, item.text, loads)
            built.setdefault(index.table, []).append(job)
        elif item.kind == "CONSTRAINT" and constraint is not None and constraint.table in loads:
            built.setdefault(constraint.table, []).extend(
                _key(item, constraint, indexes.get((item.schema, constraint.name)), loads)
            )
        elif (
            item.kind == "FK CONSTRAINT"
            and constraint is not None
            and ({constraint.table, constraint.other} <= loads.keys())
        ):
            foreign.append((item, constraint))
        else:
            rest.append(item.text)
    builds = [job for mine in built.values() for job in mine]
    builds += [_foreign_key(item, one, loads, built) for item, one in foreign]
    return builds, "\n".join(rest)


def _index(index: Index, text: str, loads: dict[str, list[Job]]) -> Job:
    table = loads[index.table][0].table
    cost = index.bytes + (table.bytes if table else 0) / 8
    after = frozenset(loads[index.table])
    return Job(Kind.INDEX, f"{index.schema}.{index.name}", (index.table,), cost, after, text=text)


def _key(
    item: Item, one: Constraint, index: Index | None, loads: dict[str, list[Job]]
) -> list[Job]:
    """Build the index of a key beside others of its table, then make it the key.

    Where the dump says more than one statement, or the key is no plain one, the dump is followed;
    and in a small table, where two transactions take longer than one.
    """
    name, tables = f"{one.table} {one.name}", (one.table,)
    whole = sum(load.cost for load in loads[one.table])
    plain = index is not None and one.using and len(statements(item.text)) == 1
    if index is None or not plain or whole < SMALL_BYTES:
        after = frozenset(loads[one.table])
        cost = whole / 4
        return [Job(Kind.KEY, name, tables, cost, after, exclusive=True, text=item.text)]
    built = _index(index, index.definition, loads)
    key = Job(Kind.KEY, name, tables, after=frozenset([built]), exclusive=True, text=one.using)
    return [built, key]


def statements(text: str) -> list[str]:
    """Return the lines that end a statement of a dump's object."""
    return [line for line in text.splitlines() if line.rstrip().endswith(";")]


def _foreign_key(
    item: Item, one: Constraint, loads: dict[str, list[Job]], built: dict[str, list[Job]]
) -> Job:
    tables = (one.table, one.other)
    after = frozenset([*loads[one.table], *loads[one.other], *built.get(one.other, [])])
    cost = sum(load.cost for name in tables for load in loads[name]) / 8
    return Job(
        Kind.FOREIGN_KEY,
        f"{one.table} {one.name}",
        tables,
        cost,
        after,
        exclusive=True,
        text=item.text,
    )


class Schedule:
    """The jobs that are left; not safe for threads, its user holds a lock."""

    def __init__(self, found: Iterable[Job]) -> None:
        """Take all jobs; each must name only jobs among them in `after`."""
        self._left = list(found)
        self._behind = _work_behind(self._left)
        self._left.sort(key=lambda job: -self._behind[job])
        self._done: set[Job] = set()
        self._users: Counter[str] = Counter()
        self._owned: set[str] = set()
        self.whole = sum(job.cost for job in self._left) or 1.0
        self.running: dict[Job, None] = {}

    def take(self) -> Job | None:
        """Return the next job, None while none may start."""
        found = next((job for job in self._left if self._may_start(job)), None)
        if found is not None:
            self._left.remove(found)
            self.running[found] = None
            self._users.update(found.tables)
            self._owned.update(found.tables if found.exclusive else ())
        return found

    def done(self, job: Job) -> None:
        """Note that a job has ended; what waited for it may start."""
        del self.running[job]
        self._done.add(job)
        self._users.subtract(job.tables)
        self._owned.difference_update(job.tables if job.exclusive else ())

    @property
    def finished(self) -> bool:
        """Whether no job is left, and none runs."""
        return not self._left and not self.running

    @property
    def uncopied(self) -> set[str]:
        """The tables of which rows are missing."""
        jobs = [*self._left, *self.running]
        return {job.tables[0] for job in jobs if job.kind is Kind.COPY}

    @property
    def spent(self) -> float:
        """The cost of what is done."""
        return sum(job.cost for job in self._done)

    def _may_start(self, job: Job) -> bool:
        if not job.after <= self._done or self._owned.intersection(job.tables):
            return False
        return not (job.exclusive and any(self._users[table] for table in job.tables))


def _work_behind(found: list[Job]) -> dict[Job, float]:
    """Return for each job its cost and that of the longest way through what waits for it."""
    waiting: dict[Job, list[Job]] = {}
    for job in found:
        for earlier in job.after:
            waiting.setdefault(earlier, []).append(job)
    behind: dict[Job, float] = {}

    def of(job: Job) -> float:
        if job not in behind:
            behind[job] = job.cost + max((of(later) for later in waiting.get(job, [])), default=0)
        return behind[job]

    for job in found:
        of(job)
    return behind
