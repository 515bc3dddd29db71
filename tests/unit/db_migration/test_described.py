"""What verification compares is what a fingerprint is of, and what the stamp looks at."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest

from db_migration import catalog_described, catalog_grants, catalog_texts, catalog_types
from db_migration.catalog import Table
from db_migration.catalog_described import Described
from db_migration.catalog_grants import PUBLIC, Grant
from db_migration.following import schema_watch
from db_migration.verification import compare

TABLES = [Table("public", name, "d", True, True, 0) for name in ("jobs", "other")]
GRANT = Grant("public", "seen", is_sequence=False, column="", grantee=PUBLIC, privilege="SELECT")
WHOLE = Described(
    tables={"public.jobs": ["column id"], "public.other": ["column id"]},
    others=["enum public.mood"],
    views={"view public.seen": "SELECT 1;"},
    extensions=["plpgsql"],
    grants=[GRANT],
)
CHANGED: dict[str, Any] = {
    "tables": {**WHOLE.tables, "public.jobs": ["column id", "rule"]},
    "others": ["enum public.mood", "domain public.short"],
    "views": {"view public.seen": "SELECT 2;"},
    "extensions": ["plpgsql", "citext"],
    "grants": [GRANT, replace(GRANT, relation="jobs", table="public.jobs")],
}
OF_ONE_TABLE = {"tables", "grants"}


def fingerprints(of: Described) -> tuple[dict[str, str], str]:
    return of.fingerprints(TABLES), of.types


@pytest.mark.parametrize("field", [field.name for field in fields(Described)])
def test_all_that_is_described_is_compared_and_has_a_fingerprint(field: str) -> None:
    changed = replace(WHOLE, **{field: CHANGED[field]})
    assert compare.differences(WHOLE, WHOLE) == []
    assert compare.differences(changed, WHOLE) != []
    (before, types), (after, types_after) = fingerprints(WHOLE), fingerprints(changed)
    assert after["public.other"] == before["public.other"]
    assert (after["public.jobs"] != before["public.jobs"]) is (field in OF_ONE_TABLE)
    assert (types_after != types) is (field not in OF_ONE_TABLE)


def test_what_a_single_role_may_do_is_no_change() -> None:
    more = replace(WHOLE, grants=[GRANT, replace(GRANT, grantee="airbyte_migration")])
    assert fingerprints(more) == fingerprints(WHOLE)
    assert compare.differences(more, WHOLE) == []


def test_the_order_in_which_a_server_says_it_is_no_change() -> None:
    one, other = (replace(WHOLE, others=lines) for lines in (["a", "b"], ["b", "a"]))
    assert fingerprints(one) == fingerprints(other)


def test_the_stamp_is_of_every_catalog_that_is_read() -> None:
    others = catalog_types.VIEWS, catalog_types.ATOMIC_FUNCTIONS, catalog_types.EXTENSIONS
    queries = [*catalog_described.QUERIES, *others, catalog_grants.GRANTS]
    read = set(re.findall(r"(?:FROM|JOIN) (pg_\w+)", " ".join(queries)))
    assert "pg_policy" in read
    assert read <= schema_watch.CATALOGS.keys()


WITH_NAMES = ' SELECT t.id,\n    t.b AS "x.y"\n   FROM s.t\n  WHERE (t.a > 1.5);'
JOINED = " SELECT t.id FROM (s.t JOIN s.u ON (t.id = u.id));"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (WITH_NAMES, WITH_NAMES, True),
        (WITH_NAMES, ' SELECT id, b AS "x.y"\n FROM s.t\n WHERE (a > 1.5);', True),
        (WITH_NAMES, ' SELECT id, b AS "x.y" FROM s.t WHERE (a > 2.5);', False),
        (WITH_NAMES, ' SELECT id, b AS "y" FROM s.t WHERE (a > 1.5);', False),
        (WITH_NAMES, ' SELECT id, b AS "x.y" FROM r.t WHERE (a > 1.5);', False),
        (WITH_NAMES, ' SELECT id, b AS "x.y" FROM s.t WHERE (a > 1.5) LIMIT 1;', False),
        (WITH_NAMES, ' SELECT u.id, t.b AS "x.y" FROM s.t WHERE (t.a > 1.5);', False),
        (WITH_NAMES, "", False),
        (JOINED, JOINED.replace("SELECT t.id", "SELECT u.id"), False),
        (JOINED, JOINED.replace("SELECT t.id", "SELECT id"), False),
        (" SELECT t.id FROM s.t, s.u;", " SELECT u.id FROM s.t, s.u;", False),
        (" SELECT 'a.b' AS c FROM s.t;", " SELECT 'b' AS c FROM s.t;", False),
        (" SELECT x.id FROM s.t x LIMIT 1;", " SELECT id FROM s.t x LIMIT 1;", True),
    ],
)
def test_views_are_the_same_but_for_one_name_before_columns(
    one: str, other: str, same: bool
) -> None:
    assert (catalog_texts.view(one) == catalog_texts.view(other)) is same


def test_a_list_of_varchar_is_the_same_however_it_is_cast() -> None:
    items = "'a'::character varying", "'b''('::character varying", "NULL::character varying"
    older = f"CHECK (((v)::text = ANY ((ARRAY[{', '.join(items)}])::text[])))"
    casts = ", ".join(f"({item})::text" for item in items)
    newer = f"CHECK (((v)::text = ANY (ARRAY[{casts}])))"
    assert catalog_texts.plain(older) == catalog_texts.plain(newer) == newer
