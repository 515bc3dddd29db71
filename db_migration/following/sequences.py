"""Sequences: replication does not carry them, so the mirror's are kept ahead of the source's.

Ahead by a margin of numbers, from before the first use on: numbers that the source hands out
between two looks, and dies with, are not handed out again. `pg_sequences.last_value` counts what
sessions keep in their caches (CACHE) as used, so the margin begins behind that.
"""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from db_migration import catalog
from db_migration.catalog import Sequence
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.postgres import Connection, Endpoint, become, rows, run


def behind(
    there: list[Sequence], here: list[Sequence], margin: int
) -> dict[str, tuple[Sequence, int]]:
    """Return the sequences of the copy that are not at least half the margin ahead, and their
    new value.

    Half, so that a busy sequence is moved now and then and not at every look.
    """
    mine = {sequence.full_name: sequence for sequence in here}
    return {
        sequence.full_name: (sequence, ahead(sequence, margin))
        for sequence in there
        if sequence.full_name in mine
        and lead(sequence, mine[sequence.full_name]) < _lead_of(sequence, margin) / 2
    }


def late(there: list[Sequence], here: list[Sequence]) -> list[str]:
    """Name every sequence of the copy that would hand out a number the source has used."""
    mine = {sequence.full_name: sequence for sequence in here}
    found = []
    for sequence in there:
        copy = mine.get(sequence.full_name)
        if not sequence.readable:
            found.append(f"sequence {sequence.full_name}: can not be read on the source")
        elif copy is not None and sequence.last_value is not None and lead(sequence, copy) < 0:
            found.append(
                f"sequence {sequence.full_name}: stands at {copy.last_value} on the mirror, "
                f"behind {sequence.last_value} on the source"
            )
    return found


def numbers(connection: Connection) -> dict[str, int]:
    """Return the last number that each used sequence may have handed out."""
    found = catalog.sequences(connection)
    return {each.full_name: each.last_value for each in found if each.last_value is not None}


def lead(there: Sequence, here: Sequence) -> int:
    """Return by how many numbers the copy is ahead; negative when it is behind, or unused.

    A cycle has no order: up to half a round counts as ahead, the rest as behind.
    """
    if here.last_value is None:
        return -1
    numbers = (here.last_value - _stands_at(there)) * _sign(there) // abs(there.increment)
    if not there.cycle:
        return numbers
    numbers %= _round(there)
    return numbers if numbers <= _round(there) // 2 else numbers - _round(there)


def ahead(there: Sequence, margin: int) -> int:
    """Return where the copy should stand."""
    value = _stands_at(there) + _lead_of(there, margin) * there.increment
    if there.cycle and not there.min_value <= value <= there.max_value:
        value -= _round(there) * there.increment
    return max(there.min_value, min(value, there.max_value))


def _lead_of(there: Sequence, margin: int) -> int:
    """Return the margin in numbers, or what is left of it where the sequence is short.

    At most half of what is left to hand out, or the copy's sequence would be used up before the
    source's is.
    """
    if there.cycle:
        return min(margin, _round(there) // 4)
    return min(margin, abs(_end(there) - _stands_at(there)) // abs(there.increment) // 2)


def _stands_at(there: Sequence) -> int:
    """Return the last number that may have been handed out; of an unused one, its start."""
    return there.start if there.last_value is None else there.last_value


def _end(there: Sequence) -> int:
    return there.max_value if there.increment > 0 else there.min_value


def _round(there: Sequence) -> int:
    return (there.max_value - there.min_value) // abs(there.increment) + 1


def _sign(there: Sequence) -> int:
    return 1 if there.increment > 0 else -1


@effect(Effect.ADVANCE_SEQUENCES)
def advance(context: Context, endpoint: Endpoint) -> int:
    """Move the sequences of the copy in `endpoint` ahead of the source's; return how many moved."""
    with context.reader.connect() as source:
        there = catalog.sequences(source)
    with endpoint.connect() as copy:
        moved = behind(there, catalog.sequences(copy), context.feed.sequence_margin)
        with copy.transaction(), become(copy, context.feed.target.owner_role):
            for sequence, needed in moved.values():
                set_value(copy, sequence, needed)
    return len(moved)


def set_value(connection: Connection, sequence: Sequence, number: int) -> None:
    """Have the sequence hand out what comes after `number`."""
    name = sql.Literal(sql.Identifier(sequence.schema, sequence.name).as_string(connection))
    run(connection, sql.SQL("SELECT setval({}::regclass, {})").format(name, sql.Literal(number)))


USES = """
SELECT n.nspname, c.relname, tn.nspname, t.relname, a.attname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (
    SELECT d.refobjid, d.refobjsubid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
        AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    UNION
    SELECT f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjid = c.oid) AS used (relation, number)
JOIN pg_class t ON t.oid = used.relation JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = used.number
WHERE c.relkind = 'S' AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
ORDER BY 1, 2
"""
"""The columns that a sequence fills: those that own it, and those whose default takes from it."""


def go_past_rows(connection: Connection, margin: int) -> None:
    """Move every sequence a margin past where it stands, and past every number in its columns.

    For a copy whose source may be dead: between the last look at it and its death it may have
    handed out more than the margin that the sequences were kept ahead. A row with a sequence's very
    last number was made by hand, most likely: to go past it would leave prod without any.
    """
    uses: dict[tuple[str, str], list[dict[str, sql.Identifier]]] = {}
    for schema, name, *column in rows(connection, USES):
        where = {"column": sql.Identifier(column[2]), "table": sql.Identifier(*column[:2])}
        uses.setdefault((schema, name), []).append(where)
    query = sql.SQL("SELECT min({column}), max({column}) FROM {table} WHERE {column} <> {end}")
    for sequence in catalog.sequences(connection):
        last = sql.Literal(_end(sequence))
        columns = uses.get((sequence.schema, sequence.name), [])
        queries = [query.format(**where, end=last) for where in columns]
        ends = [end for one in queries for end in rows(connection, one)[0]]
        used = _furthest(sequence, [end for end in ends if end is not None])
        set_value(connection, used, ahead(used, margin))


def _furthest(sequence: Sequence, numbers: list[int]) -> Sequence:
    """Return the sequence as if it stood at the furthest of these; a cycle comes back to them."""
    possible = [number for number in numbers if sequence.min_value <= number <= sequence.max_value]
    if sequence.cycle or not possible:
        return sequence
    pick = max if sequence.increment > 0 else min
    return replace(sequence, last_value=pick([_stands_at(sequence), *possible]))
