"""Prove that source and mirror are equal, or name every difference.

*Continuous*: no lock on the source. Every table is hashed on both sides; of a table that differs
the rows are read again until the mirror has passed the source's LSN of the first reading. What
persists is a real difference.

*Exact*: every row of both sides at one LSN, for which prod's writers wait less than 50 ms.

Both read every row: a sample is no verification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog

from db_migration import catalog
from db_migration.catalog import Table
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.errors import BlockedError
from db_migration.journal import Journal
from db_migration.snapshots import verify as snapshot_verify
from db_migration.verification import compare
from db_migration.verification import rows as verify_rows
from db_migration.verification import settle as verify_settle
from db_migration.verification import sums as verify_sums
from db_migration.verification.pause import Pause, same_lsn
from db_migration.verification.rows import Difference, Shape, Sides

NAMED_ROWS = 20
MOVING_SECONDS = 3.0
"""And two looks of the agent: for how long a sequence may be behind where the source's stood."""
SAID = 3
"""Differences that the audit trail names; all of them stand beside it."""
UNREAD = "table {}: its rows can not be read on both sides"
log = structlog.get_logger()
Settled = tuple[dict[str, verify_rows.Pair], int, int]


class Strength(StrEnum):
    """How a verification was made."""

    CONTINUOUS = "continuous"
    SNAPSHOT = "snapshot"
    """Of a mirror in snapshot mode: against what was read in its snapshot."""
    EXACT = "exact"


@dataclass
class Result:
    """What a verification found; `differences` are for people, without values of rows."""

    strength: Strength = Strength.CONTINUOUS
    tables: int = 0
    rows: int = 0
    bytes: int = 0
    target_bytes: int = 0
    differences: list[str] = field(default_factory=list)
    different_rows: list[Difference] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """How many rows differ, of each table in which some do; `different_rows` has the first ones."""
    pause: Pause | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the journal keeps it: without values of rows."""
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "strength": self.strength.value,
            "tables": self.tables,
            "rows": self.rows,
            "bytes": self.bytes,
            "source_bytes": self.bytes,
            "target_bytes": self.target_bytes,
            "equal": not self.differences,
            "differences": self.differences,
            "different_rows_by_table": self.counts,
            "pause": asdict(self.pause) if self.pause else None,
        }

    def in_words(self) -> str:
        """Return the result as the audit trail has it: without values of rows."""
        number = len(self.differences)
        word = f"DIFFERENT: {'; '.join(self.differences[:SAID])}" if number else "equal"
        more = f"; {number - SAID} more" if number > SAID else ""
        return f"{word}{more}, {self.strength}, {self.tables} tables"

    def with_values(self) -> dict[str, Any]:
        """Return the result as the one who asked sees it: with the values that may be shown."""
        return {**self.as_dict(), "different_rows": [row.as_dict() for row in self.different_rows]}


def verify_and_record(
    context: Context,
    journal: Journal,
    *,
    exact: bool = False,
    named: int = NAMED_ROWS,
    move: Callable[[], object] | None = None,
) -> dict[str, Any]:
    """Verify, and keep the result and a line of it; values of rows are returned, not kept.

    `move`: as in `verify`.
    """
    if (held := snapshot_verify.of_mirror(context, exact=exact)) is not None:
        result = Result(Strength.SNAPSHOT, held.tables, held.rows, held.bytes, held.bytes)
        result.differences += held.differences
    else:
        result = (
            verify_exactly(context, named=named)
            if exact
            else verify(context, named=named, move=move)
        )
    record(journal, result)
    if result.differences:
        log.warning("source and mirror differ", feed=context.feed.name, found=result.in_words())
    return result.with_values()


def record(journal: Journal, result: Result) -> None:
    """Keep a result and a line of it, by whose place in the trail it is known of which copy."""
    journal.save_verification(result.as_dict())
    journal.event("verify", "result", result.in_words())


def verify(
    context: Context, *, named: int = NAMED_ROWS, move: Callable[[], object] | None = None
) -> Result:
    """Compare definitions, rights, sequences and every row, while prod goes on writing.

    Names at most `named` rows of a table. `move` moves the mirror's sequences, where the caller is
    who does that and can not do it meanwhile. Raises BlockedError when rows look different and the
    mirror does not follow.
    """
    result = Result()
    with context.reader.connect() as source, context.mirror.connect() as mirror:
        sides = Sides(context, source, mirror)
        sides.pin()
        _compare(sides, _common(sides, result), result, named, move)
    return result


def verify_exactly(context: Context, *, named: int = NAMED_ROWS) -> Result:
    """Compare everything at one LSN; raises BlockedError if prod would have to wait too long."""
    result = Result(Strength.EXACT)
    with context.reader.connect() as source, context.mirror.connect() as mirror:
        tables = _common(Sides(context, source, mirror), result)
    with same_lsn(context, tables) as (sides, result.pause):
        _compare(sides, tables, result, named)
        _refuse_moved(sides)
    return result


def _refuse_moved(sides: Sides) -> None:
    """Raise BlockedError when prod has emptied or rewritten a table since the snapshot.

    The snapshot shows such a table empty: equal to a mirror that was emptied too, whatever it
    held, and different from one that was read before.
    """
    with sides.there([]) as source:
        shown = catalog.tables(source)
    if moved := catalog.moved(shown, catalog.tables(sides.source)):
        raise BlockedError(
            found=f"prod has emptied or rewritten {', '.join(moved)} during the verification",
            needed="a while in which no table is emptied by TRUNCATE or rewritten by ALTER TABLE",
            way_out="repeat; if the schema was changed, after the new copy",
        )


def _common(sides: Sides, result: Result) -> list[Table]:
    """Return the tables that both sides have; `compare` names the others."""
    found = {table.full_name: table for table in catalog.tables(sides.source, PUBLICATION)}
    here = {table.full_name: table.bytes for table in catalog.tables(sides.mirror)}
    result.target_bytes = sum(here.values())
    return [table for name, table in found.items() if name in here]


def _compare(
    sides: Sides,
    tables: list[Table],
    result: Result,
    named: int,
    move: Callable[[], object] | None = None,
) -> None:
    """Compare what is not rows, then hash all tables, then look closer at what differs."""
    there = catalog.sequences(sides.source)
    if move is not None:
        move()
    found = compare.definitions_and_rights(sides.source, sides.mirror, sides.context)
    seconds = MOVING_SECONDS + 2 * sides.context.config.poll_seconds
    result.differences += found + compare.sequences_behind(there, sides.mirror, seconds)
    shapes = verify_rows.shapes(sides.source, tables)
    sums, copies = verify_sums.of_both(sides, shapes)
    for of in shapes:
        name = of.table.full_name
        result.tables += 1
        result.bytes += of.table.bytes
        if sums[name] is None or copies[name] is None:
            result.differences.append(UNREAD.format(name))
            continue
        result.rows += sums[name][0]
        if sums[name] != copies[name]:
            try:
                _look_closer(sides, of, result, named)
            except verify_rows.UNREADABLE:  # it was altered since it was hashed
                result.differences.append(UNREAD.format(name))


def _look_closer(sides: Sides, of: Shape, result: Result, named: int) -> None:
    """Name the rows of one table that differ."""
    exact = result.strength is Strength.EXACT
    pairs, count, unsettled = (_at_one_lsn if exact else _over_time)(sides, of, named)
    found = verify_rows.describe(of, pairs, count, named)
    result.differences += found.lines
    result.different_rows += found.rows
    if count:
        result.counts[of.table.full_name] = count
    if unsettled:
        result.differences.append(
            f"table {of.table.full_name}: {unsettled} rows changed at every one of "
            f"{verify_settle.ROUNDS} readings, so they are not proven equal"
        )


def _at_one_lsn(sides: Sides, of: Shape, named: int) -> Settled:
    with sides.there([of.table]) as source:
        names, count = verify_rows.suspects(sides, of, keep=named)
        there, here = (verify_rows.read(each, of, names) for each in (source, sides.mirror))
    return {name: (there.get(name), here.get(name)) for name in names}, count, 0


def _over_time(sides: Sides, of: Shape, _: int) -> Settled:
    """Settle what looked different.

    More than is kept in memory is looked at again, for it may be prod's last big transaction; once
    a row is proven to differ it is counted as it looked.
    """
    for _ in range(verify_settle.ROUNDS):
        names, count = verify_rows.suspects(sides, of, verify_rows.KEPT_NAMES)
        proven, unsettled = verify_settle.settle(sides, of, names)
        if proven or count == len(names):
            return proven, len(proven) + count - len(names), unsettled
    return {}, 0, unsettled + count - len(names)
