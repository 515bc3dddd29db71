"""What a seed consists of, and in which order workers take it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db_migration.catalog import Table
from db_migration.catalog_keys import Constraint, Index
from db_migration.errors import BlockedError
from db_migration.seeding import plan as seed_plan
from db_migration.seeding.dump import Item, items
from db_migration.seeding.plan import Definitions, Job, Kind, Part
from db_migration.seeding.schedule import Schedule

GB = 1024**3
PAGE = 8192


def table(name: str, size: int) -> Table:
    return Table("public", name, "d", True, True, size, size // PAGE)


BIG, SMALL, CHILD = table("big", GB), table("small", GB // 100), table("child", GB // 4)


def key(name: str) -> tuple[Item, Index, Constraint]:
    text = (
        f"\nALTER TABLE ONLY public.{name}\n    ADD CONSTRAINT {name}_pkey PRIMARY KEY (id);\n\n--"
    )
    made = f"CREATE UNIQUE INDEX {name}_pkey ON public.{name} USING btree (id)"
    return (
        Item("CONSTRAINT", f"{name} {name}_pkey", text, "public"),
        Index("public", f"{name}_pkey", f"public.{name}", GB // 50, made),
        Constraint(
            "public", f"{name} {name}_pkey", f"{name}_pkey", f"public.{name}", "",
            f"ALTER TABLE ONLY public.{name} ADD CONSTRAINT {name}_pkey PRIMARY KEY "
            f"USING INDEX {name}_pkey",
        ),
    )  # fmt: skip


def definitions() -> Definitions:
    items, indexes, constraints = (
        list(found) for found in zip(*(key(name) for name in ("big", "child")), strict=True)
    )
    items.append(Item("INDEX", "by_job", "CREATE INDEX by_job ON public.child (job);", "public"))
    indexes.append(Index("public", "by_job", "public.child", GB // 60, ""))
    items.append(Item("FK CONSTRAINT", "child fk", "ALTER TABLE … ADD FOREIGN KEY …;", "public"))
    constraints.append(Constraint("public", "child fk", "fk", "public.child", "public.big"))
    items.append(Item("TRIGGER", "big touch", "CREATE TRIGGER touch …;", "public"))
    return Definitions(items, indexes, constraints)


def all_jobs(*, verify: bool = False) -> list[Job]:
    return seed_plan.jobs([SMALL, CHILD, BIG], definitions(), 2, verify=verify)[0]


def walk(jobs: list[Job], workers: int) -> list[list[Job]]:
    """Run the schedule with jobs that all take one turn; return what ran together."""
    schedule, turns = Schedule(jobs), []
    while not schedule.finished:
        turn = [job for _ in range(workers) if (job := schedule.take())]
        assert turn, "nobody can go on"
        for job in turn:
            schedule.done(job)
        turns.append(turn)
    return turns


def test_big_tables_come_first() -> None:
    order = [job for turn in walk(all_jobs(), 1) for job in turn]
    assert order[0].tables == ("public.big",)
    copies = [job.tables[0] for job in order if job.kind is Kind.COPY]
    assert copies[-1] == "public.small"


def test_an_index_starts_before_all_tables_are_loaded() -> None:
    order = [job.kind for turn in walk(all_jobs(), 1) for job in turn]
    assert order.index(Kind.INDEX) < len(order) - 1 - order[::-1].index(Kind.COPY)


@pytest.mark.parametrize(
    ("kind", "follows"),
    [
        (Kind.INDEX, {Kind.COPY}),
        (Kind.KEY, {Kind.COPY, Kind.INDEX}),
        (Kind.FOREIGN_KEY, {Kind.COPY, Kind.INDEX, Kind.KEY}),
        (Kind.READ_BACK, {Kind.COPY}),
    ],
)
def test_what_waits_for_what(kind: Kind, follows: set[Kind]) -> None:
    """A job of the referring table waits for what it needs of the referred one too."""

    def before(job: Job) -> set[Kind]:
        return {earlier.kind for earlier in job.after} | {
            kind for earlier in job.after for kind in before(earlier)
        }

    found = [job for job in all_jobs(verify=True) if job.kind is kind]
    assert found
    assert all(before(job) == follows for job in found)


def test_what_was_loaded_is_read_back_by_the_parts_in_which_it_came() -> None:
    """One big table would keep one worker at it to the end."""
    pages = {
        kind: sorted(
            (job.name, job.part.first) for job in all_jobs(verify=True) if job.kind is kind
        )
        for kind in (Kind.COPY, Kind.READ_BACK)
    }
    assert pages[Kind.READ_BACK] == pages[Kind.COPY]
    assert len(pages[Kind.COPY]) > 3


def test_a_foreign_key_is_checked_beside_both_indexes_and_in_little_memory() -> None:
    """With a lot of it the planner would hash the whole table, for three times the time."""
    (check,) = (job for job in all_jobs() if job.kind is Kind.FOREIGN_KEY)
    assert {"public.by_job", "public.big big_pkey"} <= {job.name for job in check.after}
    assert check.text.startswith("SET LOCAL maintenance_work_mem = ")


def test_a_key_is_an_index_that_was_built_beside_the_others() -> None:
    found = {job.name: job for job in all_jobs()}
    assert found["public.child child_pkey"].text.endswith("PRIMARY KEY USING INDEX child_pkey")
    assert found["public.child_pkey"].text.startswith("CREATE UNIQUE INDEX child_pkey")


def test_a_key_with_more_than_one_statement_is_made_as_the_dump_says() -> None:
    told = definitions()
    more = told.items[0].text + "\nALTER TABLE public.big CLUSTER ON big_pkey;\n"
    told = replace(told, items=[replace(told.items[0], text=more), *told.items[1:]])
    found = [job for job in seed_plan.jobs([BIG, CHILD], told, 2)[0] if "big_pkey" in job.name]
    assert [(job.kind, job.text) for job in found] == [(Kind.KEY, more)]


@pytest.mark.parametrize(
    ("more", "alone"),
    [
        ("", False),
        ("ALTER TABLE public.child CLUSTER ON by_job;\n", True),
        ("ALTER TABLE ONLY public.child REPLICA IDENTITY USING INDEX by_job;\n", True),
    ],
    ids=["nothing", "cluster", "identity"],
)
def test_an_index_is_built_alone_if_the_dump_says_more_of_its_table(more: str, alone: bool) -> None:
    told = definitions()
    texts = [item.text + f"\n\n{more}" * (item.name == "by_job") for item in told.items]
    items = [replace(item, text=text) for item, text in zip(told.items, texts, strict=True)]
    jobs, _ = seed_plan.jobs([BIG, CHILD], replace(told, items=items), 2)
    assert [job.exclusive for job in jobs if job.name == "public.by_job"] == [alone]


def test_what_belongs_to_no_copied_table_is_left_for_the_end() -> None:
    jobs, rest = seed_plan.jobs([BIG], definitions(), 2)
    assert {name for job in jobs for name in job.tables} == {"public.big"}
    for text in ("CREATE TRIGGER touch", "child_pkey", "CREATE INDEX by_job", "FOREIGN KEY"):
        assert text in rest


def test_nobody_waits_for_a_lock() -> None:
    for turn in walk(all_jobs(verify=True), 3):
        for one in (job for job in turn if job.exclusive):
            others = {name for job in turn if job is not one for name in job.tables}
            assert not others & set(one.tables)


@pytest.mark.parametrize(
    ("names", "twice"),
    [
        ([("a", "b"), ("a", "c"), ("b", "a")], False),
        ([("a", "b.c"), ("a.b", "c")], True),
    ],
)
def test_tables_that_one_name_stands_for_are_refused(
    names: list[tuple[str, str]], twice: bool
) -> None:
    tables = [Table(*name, "d", True, True, 0) for name in names]
    said = pytest.raises(BlockedError, match=r'"a"\."b\.c", "a\.b"\."c"')
    with said if twice else nullcontext():
        seed_plan.refuse_same_names(tables)


@pytest.mark.parametrize(
    ("sizes", "workers", "number"),
    [
        ([GB], 2, 2),
        ([9 * GB, GB], 2, 2),
        ([9 * GB, GB], 4, 4),
        ([GB] * 20, 2, 1),
        ([20 * 1024**2], 2, 1),
        ([0], 2, 1),
    ],
    ids=["alone", "most of all", "four workers", "many", "too small", "empty"],
)
def test_only_what_would_keep_one_worker_to_the_end_is_split(
    sizes: list[int], workers: int, number: int
) -> None:
    tables = [table(f"t{place}", size) for place, size in enumerate(sizes)]
    assert len(seed_plan.split(tables, workers)["public.t0"]) == number


@given(st.integers(0, 100 * GB), st.integers(1, 16))
def test_parts_are_the_whole_table_once(size: int, workers: int) -> None:
    one = table("one", size)
    parts = seed_plan.split([one], workers)["public.one"]
    assert parts[0].first == 0
    assert parts[-1].end is None
    assert [part.end for part in parts[:-1]] == [part.first for part in parts[1:]]
    assert all(part.end is None or part.first < part.end for part in parts)


def test_an_object_of_a_dump_knows_its_schema() -> None:
    text = "-- Name: odd; name jobs_pkey; Type: CONSTRAINT; Schema: other; Owner: -\n\nALTER …;\n"
    found = items(text)
    assert [(one.kind, one.schema, one.name) for one in found] == [
        ("CONSTRAINT", "other", "odd; name jobs_pkey")
    ]


def test_small_tables_are_analyzed_together() -> None:
    tiny = [table(name, 8192) for name in ("a", 'odd"b')]
    found, _ = seed_plan.jobs([*tiny, BIG], Definitions([]), 2)
    texts = {job.text for job in found if job.kind is Kind.ANALYZE}
    assert texts == {'ANALYZE "public"."big"', 'ANALYZE "public"."a", "public"."odd""b"'}


def test_a_whole_table_is_one_part() -> None:
    assert Part().whole
    assert not Part(0, 7).whole
    assert not Part(7).whole
