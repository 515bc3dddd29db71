"""The pure parts of a verification: hashing's SQL, and what of a row may be shown."""

from __future__ import annotations

from itertools import accumulate

import pytest

from db_migration.catalog import Column, Table
from db_migration.verification import hashing, masking
from db_migration.verification import rows as verify_rows
from db_migration.verification.rows import Row, Shape

JOBS = Table("public", 'odd"name', "d", True, True, 0)


def test_every_column_counts_with_its_position() -> None:
    columns = [Column("a", "text", "text"), Column("b", "bigint", "int8")]
    text = hashing.table_sum(JOBS, columns).as_string()
    assert '"odd""name"' in text
    a, b = text.index('"a"::text'), text.index('"b" >> 32')
    assert text.index("hashint8extended") < text.index("hashtextextended"), (
        "a is hashed inside of b"
    )
    assert b < text.index('"b", 1905') < a


def test_the_widest_table_there_can_be() -> None:
    columns = [Column(f"c{number}", "integer", "int4") for number in range(1600)]
    assert hashing.row_hash(columns).as_string().count("hashfloat8extended") == 1600


@pytest.mark.parametrize("number", [1, 400, 401, 1600])
def test_columns_are_not_hashed_too_deep_inside_each_other(number: int) -> None:
    columns = [Column(f"c{place}", "bigint", "int8") for place in range(number)]
    text = hashing.row_hash(columns).as_string()
    depths = list(accumulate({"(": 1, ")": -1}.get(letter, 0) for letter in text))
    assert depths[-1] == 0
    assert max(depths) <= 2 * 400 + 2


@pytest.mark.parametrize(
    ("type_", "base", "by_text"),
    [
        ("uuid", "uuid", False),
        ("public.uuid", "uuid", True),
        ("timestamp(3) without time zone", "timestamp", False),
        ('public."timestamp"', "timestamp", True),
    ],
)
def test_a_type_of_theirs_is_hashed_by_its_text_whatever_its_name(
    type_: str, base: str, by_text: bool
) -> None:
    text = hashing.row_hash([Column("a", type_, base)]).as_string()
    assert ('"a"::text' in text) is by_text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, None),
        ("", ""),
        ("scope 12", "scope 12"),
        ("8d3f3b1e-5f0c-4a53-9d70-3a1fbe6a6a11", "8d3f3b1e-5f0c-4a53-9d70-3a1fbe6a6a11"),
        ("2024-01-01 00:00:00.000001+00", "2024-01-01 00:00:00.000001+00"),
        ("x" * 90, "x" * 80 + "…"),
        ("my password is x", "(masked, 16 characters)"),
        ("postgres://me:x@db.example.com/a", "(masked, 32 characters)"),
        ("Zm9vYmFyYmF6MTIzNDU2Nzg5MA", "(masked, 26 characters)"),
        ('{"a": 1}', "(masked, 8 characters)"),
        (r'(mysql,"{""pw_"": ""x""}")', "(masked, 26 characters)"),
        (r'(1,"\\x00ff")', "(masked, 13 characters)"),
        (r"\x00ff", "(masked, 6 characters)"),
        ('"a"=>"b"', "(masked, 8 characters)"),
        ('(1,"")', '(1,"")'),
        ("((0,0),(1,1))", "((0,0),(1,1))"),
        ("[1,4)", "[1,4)"),
        ("-----BEGIN CERTIFICATE", "(masked, 22 characters)"),
        ("host=x pwd=hunter2", "(masked, 18 characters)"),
        ("{--pw,hunter2}", "(masked, 14 characters)"),
        ("dsn: x", "(masked, 6 characters)"),
        ("AccountKey=x", "(masked, 12 characters)"),
        ("connection string", "(masked, 17 characters)"),
        ("pinned to a pin", "pinned to a pin"),
        ("primary_key", "primary_key"),
    ],
)
def test_values_that_look_like_secrets_are_masked(text: str | None, said: str | None) -> None:
    assert masking.shown(text) == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("column a text default 'x'::text", "column a text default 'x'::text"),
        (
            "column a text default 'postgres://u:x@db/x'::text",
            "column a text default '(masked, 19 characters)'::text",
        ),
        (
            "column api_key text default 'x'::text",
            "column api_key text default '(masked, 1 characters)'::text",
        ),
        ("column api_key text default ''::text", "column api_key text default ''::text"),
        ("SELECT 'it''s', 'Bearer x' AS a", "SELECT 'it''s', '(masked, 8 characters)' AS a"),
        ("column it's text default 'Bearer x'::text", "(masked, 41 characters)"),
        ("index secrets_token ON secrets (token)", "index secrets_token ON secrets (token)"),
    ],
)
def test_definitions_are_said_without_texts_that_look_like_secrets(line: str, said: str) -> None:
    assert masking.definition(line) == said


@pytest.mark.parametrize(
    ("table", "column", "base", "hidden"),
    [
        ("secrets", "payload", "text", True),
        ("secrets", "coordinate", "text", False),
        ("actor", "configuration", "jsonb", True),
        ("jobs", "config", "jsonb", True),
        ("jobs", "configs", "_jsonb", True),
        ("anything", "api_key", "text", True),
        ("anything", "client_secret", "varchar", True),
        ("auth_refresh_token", "value", "varchar", True),
        ("anything", "pwd", "text", True),
        ("anything", "db_pw", "text", True),
        ("anything", "access_key", "text", True),
        ("anything", "accessKey", "text", True),
        ("anything", "ssh_key", "text", True),
        ("anything", "connection_string", "text", True),
        ("anything", "dsn", "text", True),
        ("anything", "pin", "text", True),
        ("anything", "primary_key", "int8", False),
        ("anything", "key", "text", False),
        ("anything", "pinned", "bool", False),
        ("anything", "spawn_window", "text", False),
        ("workspace", "name", "text", False),
        ("jobs", "created_at", "timestamptz", False),
    ],
)
def test_columns_that_never_leave_the_server(
    table: str, column: str, base: str, hidden: bool
) -> None:
    of = Table("public", table, "d", True, True, 0)
    found = masking.hidden(of, [Column(column, base, base)])
    assert (column in found) == hidden


def test_keys_that_are_secrets_tell_rows_apart_only() -> None:
    first, again, other = (
        masking.key(f"{{{value}}}", ["value"], {"value"}) for value in ("a", "a", "b")
    )
    assert first == again != other
    assert first.startswith("(masked #")
    assert masking.key("{1}", ["id"], {"value"}) == "{1}"
    name = "{8d3f3b1e-5f0c-4a53-9d70-3a1fbe6a6a11,stream}"
    assert masking.key(name, ["id", "stream"], set()) == name


def test_total_is_true_however_few_rows_are_named() -> None:
    of = Shape(JOBS, [Column("a", "text", "text")], ["a"], set())
    pairs: dict[str, verify_rows.Pair] = {
        f"{{{number}}}": (Row(1, "1", (1,), ("x",)), None) for number in range(30)
    }
    found = verify_rows.describe(of, pairs, 1000, 20)
    assert (found.count, len(found.rows), len(found.lines)) == (1000, 20, 21)
    assert found.lines[-1].endswith("980 more rows differ")
