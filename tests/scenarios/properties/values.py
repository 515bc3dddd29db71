"""Strategies for values of every type that a table may have, as SQL expressions."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hypothesis import strategies as st
from psycopg import sql

Value = st.SearchStrategy[sql.Composable]

SETUP = """
CREATE TYPE "odd mood" AS ENUM ('good', 'it''s "odd"', 'ünï 💾', ',{}');
CREATE TYPE "odd pair" AS (one int, "two words" text);
CREATE DOMAIN limited AS text CHECK (VALUE <> 'never');
"""

CHARACTERS = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")
ODD_TEXTS = (
    *("", " ", "\\N", "\\.", "\t\n\r\v", "'", '"', "{a,NULL}", "%s %% %(x)s", "NULL", "\\x41"),
    *("e\u0301", "\ufeff", "💾" * 20, "$$", "--", "a" * 3000),
)
TEXTS = st.one_of(st.sampled_from(ODD_TEXTS), st.text(CHARACTERS, max_size=30))
INT4, INT8 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats().map(repr)
JSON = st.recursive(
    st.none() | st.booleans() | INT8 | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
).map(json.dumps)
DATES = st.one_of(
    st.dates().map(str), st.sampled_from(["infinity", "4713-01-02 BC", "5874897-12-31"])
)
MOMENTS = st.one_of(
    st.datetimes().map(str),
    st.sampled_from(["-infinity", "4713-01-02 03:04:05.000001 BC", "294276-12-31 23:59:59.999999"]),
)
TIMES = st.one_of(st.times().map(str), st.just("24:00:00"))
NUMERICS = st.one_of(
    st.builds("{}e-{}".format, st.integers(-(10**60), 10**60), st.integers(0, 40)),
    st.sampled_from(["NaN", "0", "0.00", "-0.0", "1e500", "1e-500"]),
)
INTERVALS = st.builds(
    "{} years {} mons {} days {} secs".format,
    st.integers(-1000, 1000), st.integers(-12, 12), st.integers(-40, 40),
    st.decimals(-90000, 90000, places=6),
)  # fmt: skip


def ranges(bounds: Iterable[st.SearchStrategy[str]]) -> st.SearchStrategy[str]:
    lower, upper = bounds
    closed = st.builds("[{},{})".format, lower, upper)
    return st.one_of(closed, st.sampled_from(["empty", "(,)"]), st.builds("({},)".format, lower))


TEXTUAL: dict[str, st.SearchStrategy[object]] = {
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": INT4,
    "bigint": st.one_of(INT8, st.sampled_from([1, 2**32, 2**63 - 1, -(2**63)])),
    "numeric": NUMERICS,
    "numeric(20,5)": st.decimals(-(10**14), 10**14, places=5),
    "real": st.floats(width=32).map(repr),
    "double precision": FLOATS,
    "money": st.decimals(-(10**12), 10**12, places=2),
    "boolean": st.booleans(),
    "text": TEXTS,
    "varchar(40)": st.text(CHARACTERS, max_size=40),
    "char(7)": st.text(CHARACTERS, max_size=7),
    "bytea": st.binary(max_size=40).map(lambda raw: "\\x" + raw.hex()),
    "date": DATES,
    "time": TIMES,
    "timetz": st.builds("{}{}".format, TIMES, st.sampled_from(["+00", "-15:59", "+05:30:15"])),
    "timestamp": MOMENTS,
    "timestamptz": MOMENTS,
    "interval": INTERVALS,
    "uuid": st.uuids(),
    "jsonb": st.one_of(JSON, st.just('{"big": 1e400, "a": 1.50}')),
    "json": st.one_of(JSON, st.just('{"b":1,  "a" :2, "b": 3}')),
    "inet": st.ip_addresses(),
    "cidr": st.ip_addresses(),
    "macaddr": st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":")),
    "varbit": st.text("01", max_size=12),
    "point": st.builds("({},{})".format, FLOATS, FLOATS),
    "int4range": ranges((st.integers(-9, 9).map(str), st.integers(10, 99).map(str))),
    "tstzrange": ranges((st.just("0044-03-15 12:00+01 BC"), st.datetimes().map(str))),
    "tsvector": st.lists(st.text("abc", min_size=1), max_size=4).map(" ".join),
    "xml": st.text("abc ü", max_size=9).map("<a>{}</a>".format),
    "limited": TEXTS,
    '"odd mood"': st.sampled_from(["good", 'it\'s "odd"', "ünï 💾", ",{}"]),
    "text[]": st.lists(st.none() | TEXTS, max_size=3),
    "integer[]": st.lists(st.none() | INT4, max_size=3),
    '"odd mood"[]': st.lists(st.sampled_from(["good", ",{}"]), max_size=2),
}

WITHOUT_EQUALITY = frozenset({"json", "xml", "point"})
"""A table without a key can not have these: its rows are found by comparing all columns."""

KEYS = (
    "bigint",
    "text",
    "uuid",
    "timestamptz",
    "numeric",
    "bytea",
    "date",
    '"odd mood"',
    "limited",
)
NUMERIC_INFINITIES_SINCE = 14


def _literal(kind: str, value: object) -> sql.Composable:
    plain = value if isinstance(value, list) else str(value)
    return sql.SQL("{}::{}").format(sql.Literal(plain), sql.SQL(kind))


def _pair(one: int, two: str) -> sql.Composable:
    return sql.SQL('ROW({}, {})::"odd pair"').format(sql.Literal(one), sql.Literal(two))


def of_type(kind: str, major: int) -> Value:
    """Return the strategy for values of a type on a version of the server."""
    if kind == '"odd pair"':
        return st.builds(_pair, INT4, TEXTS)
    found = TEXTUAL[kind]
    if kind == "numeric" and major >= NUMERIC_INFINITIES_SINCE:
        found = st.one_of(found, st.sampled_from(["Infinity", "-Infinity"]))
    return found.map(lambda value: _literal(kind, value))


def nullable(kind: str, major: int) -> Value:
    return st.one_of(st.just(sql.NULL), of_type(kind, major), of_type(kind, major))


TYPES = (*TEXTUAL, '"odd pair"')
