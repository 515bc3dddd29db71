"""Sums of whole tables on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from db_migration.catalog import Table
from db_migration.context import Context
from db_migration.postgres import Connection, rows
from db_migration.verification import hashing
from db_migration.verification.rows import UNREADABLE, Shape, Sides

SMALL_BYTES = 1024**2
SMALL_TABLES = 50
Side: TypeAlias = Callable[[Sequence[Table]], AbstractContextManager[Connection]]


def of_both(sides: Sides, shapes: list[Shape]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return rows and sum of hashes of each table, None where they can not be read.

    Both sides are read at once, big tables first.
    """
    with ThreadPoolExecutor(2) as pool:
        there = pool.submit(_of, sides.context, sides.there, shapes)
        here = pool.submit(_of, sides.context, sides.here, shapes)
        return there.result(), here.result()


def _of(context: Context, side: Side, shapes: list[Shape]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in _groups(shapes):
        context.breathe()
        try:
            found |= _together(side, group)
        except (*UNREADABLE, psycopg.errors.LockNotAvailable):
            for each in group:
                context.breathe()
                found |= _alone(side, each)
    return found


def _groups(shapes: list[Shape]) -> list[list[Shape]]:
    """Put small tables together: a query for each would cost more than their rows."""
    ordered = sorted(shapes, key=lambda each: -each.table.bytes)
    big = [each for each in ordered if each.table.bytes > SMALL_BYTES]
    small = ordered[len(big) :]
    return [[each] for each in big] + [
        small[start : start + SMALL_TABLES] for start in range(0, len(small), SMALL_TABLES)
    ]


def _alone(side: Side, of: Shape) -> dict[str, Any]:
    """Hash one table; while it is waited for nothing else is held."""
    try:
        return _together(side, [of])
    except UNREADABLE:
        return {of.table.full_name: None}


def _together(side: Side, shapes: list[Shape]) -> dict[str, Any]:
    """Hash some tables by one query."""
    queries = [
        sql.SQL("SELECT {}, * FROM ({}) AS summed").format(
            sql.Literal(number), hashing.table_sum(each.table, each.columns)
        )
        for number, each in enumerate(shapes)
    ]
    with side([each.table for each in shapes]) as connection:
        found = rows(connection, sql.SQL(" UNION ALL ").join(queries))
    return {shapes[number].table.full_name: (count, total) for number, count, total in found}
