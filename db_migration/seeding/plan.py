"""What a seed consists of: jobs, and what each waits for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from psycopg import sql

from db_migration.catalog import Table
from db_migration.catalog_keys import Constraint, Index
from db_migration.errors import BlockedError
from db_migration.seeding.dump import Item

SMALLEST_PART_BYTES = 32 * 1024**2
"""Below this the round trips of another part cost more than it saves."""

SMALL_BYTES = 4 * 1024**2
"""Below this a table is done in fewer, not in parallel, transactions."""

SHARE_OF_A_WORKER = 0.5
"""A table with more than this share of what a worker has to carry is split."""


CHECK_MEMORY = "SET LOCAL maintenance_work_mem = '8MB'"
"""For the check of a foreign key. With more the planner hashes a big table, where walking both
indexes side by side takes a third of the time (measured on 2.5 million rows: 0.6 s, not 1.7 s).
"""


class Kind(StrEnum):
    """What a job does."""

    COPY = "copy"
    INDEX = "index"
    KEY = "key"
    FOREIGN_KEY = "foreign key"
    ANALYZE = "analyze"
    READ_BACK = "read back"
    """What was loaded, to be compared with what was sent."""
    COMPARE = "compare"
    """The values of both sides, where the bytes differ."""


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


def refuse_same_names(tables: Sequence[Table]) -> None:
    """Refuse tables that marks, jobs and reports could not tell apart: a."b.c" and "a.b".c."""
    number = Counter(table.full_name for table in tables)
    if twice := [table for table in tables if number[table.full_name] > 1]:
        raise BlockedError(
            found=f"tables of the same name, but for the quotes: {', '.join(map(quoted, twice))}",
            needed="a `schema.table` of its own for each table, also without quotes",
            way_out="rename one of them on the source: ALTER TABLE ... RENAME TO ...",
        )


def refuse_hidden(tables: Sequence[Table], role: str) -> None:
    """Refuse tables of which row security shows the feed's role a part of the rows at most."""
    name = sql.Identifier(role).as_string(None)
    if hidden := [quoted(table) for table in tables if table.hidden]:
        raise BlockedError(
            found=f"row security hides rows from `{role}` on the source: {', '.join(hidden)}",
            needed="a role that reads every row of each table",
            way_out=f"ALTER ROLE {name} BYPASSRLS there, as a superuser, or ALTER TABLE ... "
            "DISABLE ROW LEVEL SECURITY; this is tried again by itself",
        )


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
        found += [job for copies in loads.values() for job in _proofs(copies)]
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


def _loads(table: Table, parts: list[Part]) -> list[Job]:
    name, cost = table.full_name, table.bytes / len(parts)
    label = [name if part.whole else f"{name} from page {part.first}" for part in parts]
    return [
        Job(Kind.COPY, label[place], (name,), cost, table=table, part=part)
        for place, part in enumerate(parts)
    ]


def _proofs(copies: list[Job]) -> list[Job]:
    """Read back what was loaded, by the same pages: other rows than the source's are on them, but
    each row is on one page.
    """
    after = frozenset(copies)
    return [replace(job, kind=Kind.READ_BACK, cost=job.cost / 3, after=after) for job in copies]


def comparisons(tables: Iterable[Table]) -> list[Job]:
    """Return the jobs that hash the values of both sides."""
    return [
        Job(Kind.COMPARE, table.full_name, (table.full_name,), table.bytes / 2, table=table)
        for table in tables
    ]


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
    """Build an index beside others of its table, unless the dump says more than that.

    CLUSTER ON and REPLICA IDENTITY USING INDEX come with their index, and lock the whole table.
    """
    table = loads[index.table][0].table
    return Job(
        Kind.INDEX,
        f"{index.schema}.{index.name}",
        (index.table,),
        index.bytes + (table.bytes if table else 0) / 8,
        frozenset(loads[index.table]),
        exclusive=len(statements(text)) > 1,
        text=text,
    )


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
    after = frozenset(job for name in tables for job in [*loads[name], *built.get(name, [])])
    cost = sum(load.cost for name in tables for load in loads[name]) / 8
    return Job(
        Kind.FOREIGN_KEY,
        f"{one.table} {one.name}",
        tables,
        cost,
        after,
        exclusive=True,
        text=f"{CHECK_MEMORY};\n{item.text}",
    )
