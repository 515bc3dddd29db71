"""Tell a difference from a delay, without a lock on the source.

Rows that look different are read on the source, then on the mirror once it has passed the source's
LSN of that reading: what the mirror shows then must be a value that the source had meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from psycopg import sql

from db_migration.errors import BlockedError
from db_migration.following import worker
from db_migration.following.heartbeat import EMIT
from db_migration.postgres import Connection, until, value
from db_migration.verification import rows as verify_rows
from db_migration.verification.rows import Pair, Row, Shape, Sides

ROUNDS = 30
SETTLED_ROWS = 5000
SAMPLED_ROWS = 500
SAMPLE_SECONDS = 0.002

LOOK_SECONDS = 1.0
"""How often the subscription's worker is looked for, while the mirror is waited for."""
WORKERLESS_SECONDS = 10.0
"""For how long it may be gone: twice what a server waits by default before it starts a worker anew
(`wal_retrieve_retry_interval`).
"""

Values = dict[str, list[Row | None]]


def mark(source: Connection) -> str:
    """Return an LSN of the source after everything that was committed there before.

    It is that of a message in the WAL that concerns no table. Its commit flushes what is before it,
    whatever `synchronous_commit` prod has, and a subscriber surely comes past it.
    """
    return str(value(source, EMIT))


def passed(sides: Sides, lsn: str) -> bool:
    """Tell whether the mirror has applied all that the source had committed before `lsn`.

    One worker receives and applies, in the order of the commits: what it receives from `lsn` on
    comes after them.
    """
    query = sql.SQL(
        "SELECT received_lsn >= %s::pg_lsn FROM pg_stat_subscription w WHERE subname = %s AND {}"
    ).format(worker.APPLIES)
    return bool(value(sides.mirror, query, (lsn, sides.context.feed.slot)))


def settle(sides: Sides, of: Shape, suspects: list[str]) -> tuple[dict[str, Pair], int]:
    """Return the rows that are proven to differ, and how many changed too often to tell."""
    proven: dict[str, Pair] = {}
    unsettled = 0
    for start in range(0, len(suspects), SETTLED_ROWS):
        sides.context.breathe()
        unsettled += _settle_some(sides, of, set(suspects[start : start + SETTLED_ROWS]), proven)
    return proven, unsettled


def _settle_some(sides: Sides, of: Shape, names: set[str], proven: dict[str, Pair]) -> int:
    """Read some rows again and again until each is equal or proven to differ.

    Each round goes on reading the source until the mirror has passed the first reading. A row
    differs if it had only one value meanwhile, and the mirror another: in two rounds the same, for
    a row that went to and fro between two readings may look like it once.
    """
    before: dict[str, Pair] = {}
    for _ in range(ROUNDS):
        if not names:
            break
        values = _read_until_passed(sides, of, names)
        copy = verify_rows.read(sides.mirror, of, names)
        _add(values, names, verify_rows.read(sides.source, of, names))
        for name in list(names):
            pair = (values[name][0], copy.get(name))
            if pair[1] in values[name]:
                names.discard(name)
            elif len(values[name]) == 1 and before.get(name) == pair:
                proven[name] = pair
                names.discard(name)
            else:
                before[name] = pair
    return len(names)


def _read_until_passed(sides: Sides, of: Shape, names: set[str]) -> Values:
    """Collect the values of the rows on the source until the mirror has applied the first ones."""
    values: Values = {}
    _add(values, names, verify_rows.read(sides.source, of, names))
    now = mark(sides.source)

    def caught_up() -> bool:
        sides.context.breathe()
        if len(names) <= SAMPLED_ROWS:
            _add(values, names, verify_rows.read(sides.source, of, names))
        return passed(sides, now)

    await_mirror(sides, caught_up, now, every=SAMPLE_SECONDS)
    return values


def await_mirror(sides: Sides, condition: Callable[[], bool], lsn: str, every: float) -> None:
    """Wait until the condition holds; raise BlockedError for a mirror that does not follow."""
    seconds = sides.context.config.catch_up_seconds
    begun = seen = monotonic()
    while not until(condition, min(LOOK_SECONDS, begun + seconds - monotonic()), every=every):
        now = monotonic()
        seen = now if worker.works(sides.mirror, sides.context.feed.slot) else seen
        if now - seen >= WORKERLESS_SECONDS:
            raise _late(lsn, f": its subscription has had no worker for {now - seen:.0f} s")
        if now - begun >= seconds:
            raise _late(lsn, f" within {seconds:g} s")


def _late(lsn: str, how: str) -> BlockedError:
    return BlockedError(
        found=f"the mirror has not reached {lsn} of the source{how}",
        needed="a mirror that follows, so that a difference can be told from a delay",
        way_out="look at `db-migration status`; verify again when the feed is `following`",
    )


def _add(values: Values, names: set[str], found: dict[str, Row]) -> None:
    for name in names:
        known = values.setdefault(name, [])
        if found.get(name) not in known:
            known.append(found.get(name))
