"""The lag of a copy, measured: a beat goes into the source's WAL and is met at the subscriber.

A beat is a logical message (`pg_logical_emit_message`) in a transaction of its own: some hundred
bytes of WAL and one transaction number a second, and nothing in prod's schema. Its LSN is behind
everything that had been committed before. The subscriber's worker takes what it receives in the
order of the commits and in one thread, so once its `received_lsn` has reached the beat, all of that
is in the copy: whether the source's plugin passes empty transactions on (13, 14) or a keepalive
takes their place (15 and later).

`seconds` is the time from before the beat was sent until it was met. It can only be too long, by
`resolution_seconds`: the round trip to the source and the last pause between two looks at the
target, about 2 ms on one machine. A beat that is not met yet counts with its age. `bytes` is the
WAL written on the source up to the beat that the worker had not reached when it was sent; without a
worker, what the slot does not know to have arrived.

While source or target is silent nothing is measured: `seconds` is the age of the last beat, so it
grows as long as the outage lasts, and the rest is unknown.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import psycopg
import structlog
from psycopg import sql

from db_migration.context import Context
from db_migration.errors import MigrationError
from db_migration.following import schema_watch, worker
from db_migration.postgres import Connection, row, value

BEAT_SECONDS = 1.0
SILENT_SECONDS = 3 * BEAT_SECONDS
"""After how long without an answer from both servers nothing counts as measured any more."""
FIRST_PAUSE_SECONDS = 0.0005
LONGEST_PAUSE_SECONDS = 0.25
EMIT = "SELECT pg_logical_emit_message(true, 'airbyte_migration', '')::text"
WRITTEN = "SELECT pg_current_wal_insert_lsn()::text"
MISSING = sql.SQL("""
SELECT pg_wal_lsn_diff(%s::pg_lsn, received_lsn)::float8 FROM pg_stat_subscription w
WHERE subname = %s AND {} AND received_lsn IS NOT NULL
""").format(worker.APPLIES)
NOT_CONFIRMED = """
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), confirmed_flush_lsn)::float8
FROM pg_replication_slots WHERE slot_name = %s
"""
log = structlog.get_logger()


@dataclass(frozen=True)
class Lag:
    """How far the copy was behind when it was last measured; None is what nobody knows."""

    bytes: float | None
    seconds: float
    resolution_seconds: float | None
    measured_at: str


@dataclass
class Beat:
    """A message on its way."""

    lsn: str
    sent: float
    round_trip: float
    bytes: float | None = None


class Heartbeat:
    """A thread beside the agent, so that a long step does not keep the lag from being measured.

    It also looks at the stamp of the source's catalog once a beat, and says `moved` when that has
    changed. It is idle until it is told to follow, and holds no connection while it is idle.
    """

    def __init__(self, context: Context) -> None:
        """Take a feed; nothing is opened before the first beat."""
        self.moved = threading.Event()
        self.beats = 0
        self._context = context
        self._end, self._following = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="heartbeat", daemon=True)
        self._lag: Lag | None = None
        self._beat: Beat | None = None
        self._sent = 0.0
        self._heard: tuple[float, str] | None = None
        """When both servers last answered."""
        self._stamp: str | None = None

    def start(self) -> None:
        """Begin to listen to `follow`."""
        self._thread.start()

    def stop(self) -> None:
        """End, closing what is open; who waits for a frozen server ends with the process."""
        self._end.set()
        self._following.set()
        if self._thread.is_alive():
            self._thread.join(SILENT_SECONDS)

    def follow(self, *, on: bool) -> None:
        """Measure while a subscription is enabled; forget what was measured when it is not."""
        if on == self._following.is_set():
            return
        self._lag = self._beat = self._heard = None
        if on:
            self._following.set()
        else:
            self._following.clear()

    def lag(self) -> dict[str, object] | None:
        """Return the last measurement; of a beat that is not met yet, its age, and so of the last
        one while a server is silent.
        """
        lag, beat, heard, now = self._lag, self._beat, self._heard, time.monotonic()
        if heard is None or not self._following.is_set():
            return None
        if now - heard[0] > SILENT_SECONDS:
            return asdict(Lag(None, now - self._sent, None, heard[1]))
        age = now - beat.sent if beat is not None else 0.0
        if beat is None or age <= (BEAT_SECONDS if beat.bytes is not None else SILENT_SECONDS):
            return asdict(lag) if lag is not None else None
        return asdict(Lag(beat.bytes, age, beat.round_trip + LONGEST_PAUSE_SECONDS, _now()))

    def _work(self) -> None:
        due = 0
        while not self._end.is_set():
            self._following.wait()
            try:
                with ExitStack() as opened:
                    source = opened.enter_context(self._context.reader.connect())
                    target = opened.enter_context(self._context.control.connect())
                    while self._following.is_set() and not self._end.is_set():
                        self._once(source, target)
            except (MigrationError, psycopg.Error, OSError) as error:
                if self.beats >= due:  # once an outage
                    due = self.beats + 1
                    name = self._context.feed.name
                    log.debug("no heartbeat", feed=name, error=type(error).__name__)
            self._end.wait(BEAT_SECONDS)

    def _once(self, source: Connection, target: Connection) -> None:
        """Send a beat unless one is on its way, wait for it, and look at the catalog."""
        begun = time.monotonic()
        beat = self._beat or self._send(source)
        self._beat = beat
        self._meet(beat, target, until=begun + BEAT_SECONDS)
        if self._beat is not None:
            beat.bytes = self._behind(source, target)
        stamp = schema_watch.stamp(source)
        if self._stamp not in {None, stamp}:
            self.moved.set()
        self._stamp = stamp
        self._heard = time.monotonic(), _now()
        self.beats += 1
        self._end.wait(max(0.0, begun + BEAT_SECONDS - time.monotonic()))

    def _send(self, source: Connection) -> Beat:
        sent = time.monotonic()
        lsn = str(value(source, EMIT))
        self._sent = sent
        return Beat(lsn, sent, time.monotonic() - sent)

    def _meet(self, beat: Beat, target: Connection, until: float) -> None:
        """Look more and more seldom whether the subscriber has met the beat."""
        pause = FIRST_PAUSE_SECONDS
        while self._following.is_set() and not self._end.is_set():
            found = row(target, MISSING, (beat.lsn, self._context.feed.slot))
            now = time.monotonic()
            if found is not None and beat.bytes is None:
                beat.bytes = max(0.0, found[0])
            if found is not None and found[0] <= 0:
                resolution = beat.round_trip + pause
                self._lag = Lag(beat.bytes or 0.0, now - beat.sent, resolution, _now())
                self._beat, self._heard = None, (now, _now())
                return
            if now >= until:
                return
            self._end.wait(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)

    def _behind(self, source: Connection, target: Connection) -> float | None:
        """Say how much the source has written by now that the subscriber has not received."""
        slot = self._context.feed.slot
        found = row(target, MISSING, (value(source, WRITTEN), slot))
        found = found or row(source, NOT_CONFIRMED, (slot,))
        return max(0.0, found[0]) if found is not None and found[0] is not None else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
