"""Sequences: replication does not carry them, so the mirror's are kept ahead of the source's."""

from __future__ import annotations

from psycopg import sql

from db_migration import catalog
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.postgres import Endpoint, become, run


def behind(
    there: list[catalog.Sequence], here: list[catalog.Sequence], margin: int
) -> dict[str, tuple[catalog.Sequence, int]]:
    """Return the sequences of the copy that are not at least half the margin ahead, and their
    new value.

    Half, so that a busy sequence is moved now and then and not at every look. A sequence that
    counts
    down, or was never used, is left where it is.
    """
    mine = {sequence.full_name: sequence for sequence in here}
    late: dict[str, tuple[catalog.Sequence, int]] = {}
    for sequence in there:
        copy = mine.get(sequence.full_name)
        if copy is None or sequence.last_value is None or sequence.increment < 0:
            continue
        step, most = margin * sequence.increment, sequence.max_value
        enough = min(sequence.last_value + step // 2, most)
        if copy.last_value is None or copy.last_value < enough:
            late[sequence.full_name] = (sequence, min(sequence.last_value + step, most))
    return late


@effect(Effect.ADVANCE_SEQUENCES)
def advance(context: Context, endpoint: Endpoint) -> int:
    """Move the sequences of the copy in `endpoint` ahead of the source's; return how many moved."""
    with context.reader.connect() as source:
        there = catalog.sequences(source)
    with endpoint.connect() as copy:
        late = behind(there, catalog.sequences(copy), context.feed.sequence_margin)
        with copy.transaction(), become(copy, context.feed.target.owner_role):
            for sequence, needed in late.values():
                name = sql.Literal(sql.Identifier(sequence.schema, sequence.name).as_string(copy))
                run(
                    copy,
                    sql.SQL("SELECT setval({}::regclass, {})").format(name, sql.Literal(needed)),
                )
    return len(late)
