"""No two rows of small, empty or missing values look alike, whatever column a value is in."""

from __future__ import annotations

import pytest
from psycopg import sql

from db_migration.catalog import Column
from db_migration.verification.hashing import row_hash
from tests.support.fix_postgres import PgServer

VALUES: dict[str, tuple[str | None, ...]] = {
    "bool": (None, "false", "true"),
    "int2": (None, "0", "1", "-1", "32767", "-32768"),
    "int4": (None, "0", "1", "-1", "2147483647", "-2147483648"),
    "int8": (None, "0", "1", "-1", "4294967296", "4294967297", "-4294967296"),
    "float8": (None, "0", "-0", "1", "NaN", "Infinity"),
    "numeric": (None, "0", "0.0", "1", "NaN"),
    "text": (None, "", " ", "0", "NULL"),
    "bpchar": (None, "", " ", "a", "a  "),
    "uuid": (None, "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"),
    "timestamp": (None, "1970-01-01", "1970-01-01 00:00:00.000001", "2000-01-01", "infinity"),
    "timestamptz": (None, "1970-01-01 00:00+00", "2000-01-01 00:00+00", "9999-12-31 00:00+00"),
    "jsonb": (None, "null", '""', "{}", "[]", "0", "[[1], 2]", "[[1, 2]]"),
    "text[]": (None, "{}", "{NULL}", '{""}', "{NULL,NULL}"),
    "bytea": (None, "", "\\x00"),
}
"""Of each type. 1970 is 0 seconds, and a double 0 is hashed to its seed."""


@pytest.mark.parametrize("kind", VALUES)
def test_rows_of_three_values_have_hashes_of_their_own(
    pg13: PgServer, pg17: PgServer, kind: str
) -> None:
    base = kind.replace("text[]", "_text")
    columns = [Column(name, kind, base) for name in ("a", "b", "c")]
    listed = sql.SQL(", ").join(sql.SQL("({})").format(value) for value in VALUES[kind])
    query = sql.SQL(
        "WITH v AS (SELECT x::{kind} FROM (VALUES {listed}) AS l (x)) SELECT {row_hash} "
        "FROM (SELECT a.x AS a, b.x AS b, c.x AS c FROM v a, v b, v c ORDER BY a.x, b.x, c.x) AS r"
    ).format(kind=sql.SQL(kind), listed=listed, row_hash=row_hash(columns))
    found = [server.sql(query.as_string(None)) for server in (pg13, pg17)]
    assert found[0] == found[1]
    assert len(set(found[0])) == len(VALUES[kind]) ** 3


@pytest.mark.parametrize("kind", ["bigint int8", "timestamptz timestamptz", "text text"])
def test_the_widest_row_can_be_hashed_and_every_column_counts(
    pg13: PgServer, pg17: PgServer, kind: str
) -> None:
    """1600 columns; the 1st, 401st and 1600th are told apart, and from none at all."""
    columns = [Column(f"c{place}", *kind.split()) for place in range(1600)]
    row = "SELECT {} FROM (SELECT {}) AS r"
    value = {"bigint": "7", "timestamptz": "'2000-01-01'", "text": "'x'"}[kind.split()[0]]

    def hashed(filled: int | None) -> list[list[tuple[object, ...]]]:
        listed = ", ".join(
            f"{value if place == filled else 'NULL'}::{kind.split()[0]} AS c{place}"
            for place in range(1600)
        )
        query = row.format(row_hash(columns).as_string(None), listed)
        return [server.sql(query) for server in (pg13, pg17)]

    found = [hashed(filled) for filled in (None, 0, 400, 1599)]
    assert all(there == here for there, here in found)
    assert len({there[0] for there, _ in found}) == len(found)
