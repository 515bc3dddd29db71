"""What the planner may know: both servers as observed, what is allowed, what was begun. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from db_migration.config import Mode


@dataclass(frozen=True)
class Policy:
    """What the configuration allows."""

    allow_source_restart: bool = False
    max_retained_bytes: int = 8 * 1024**3
    mode: Mode = Mode.AUTO
    can_stop_reader: bool = False
    schema_quiet_seconds: float = 0.0
    """How long the source's schema must have stood before a new copy is begun."""


@dataclass(frozen=True)
class Intent:
    """What the script had begun and can not see in a catalog: it must be ended, not begun again."""

    released: bool = False
    restarting_source: bool = False
    prepared: bool = False
    """Whether the feed's role has been made on the source since the last `prepare`."""
    reader_stopped: bool = False
    cutting_over: bool = False


@dataclass(frozen=True)
class SourceTable:
    """A table of the source; `fingerprint` changes with its definition."""

    fingerprint: str
    has_identity: bool = True
    published: bool = False
    body: str = ""
    """Changes with rows that DDL has made: see `catalog.Table`."""
    listing: str = ""
    """Changes when the publication has left the table out for a while: see `catalog.Table`."""


@dataclass(frozen=True)
class Slot:
    """Our slot on the source."""

    confirmed_lsn: str
    lost: bool = False
    retained_bytes: int = 0
    active: bool = False
    """Whether a worker reads from it."""
    beyond_log: bool = False
    """Whether it stands behind the end of the source's log, which was set back, then."""
    reader: str | None = None
    """From where somebody reads it who is alive; None also where the owner may not see that."""


def position(lsn: str) -> int:
    """Return a place in a log (`16/B374D848`) in bytes; 0 of an empty text."""
    high, _, low = lsn.rpartition("/")
    return (int(high or "0", 16) << 32) + int(low or "0", 16)


@dataclass(frozen=True)
class Log:
    """How far a server's log (WAL) is on its disk."""

    server: str = ""
    """Its system identifier."""
    timeline: int = 0
    """Another one since a standby was promoted, or a backup recovered from an archive."""
    lsn: int = 0
    """In bytes."""


@dataclass(frozen=True)
class Logs:
    """How far both logs were when a note was made of it: see following/log_watch.py."""

    source: Log
    target: Log


@dataclass(frozen=True)
class Source:
    """What the source's catalogs say."""

    wal_level: str
    wal_level_configured: str
    wal_level_fixed: bool = False
    role_ready: bool = False
    role_exists: bool = True
    partly_read: tuple[str, ...] = ()
    """Tables whose row security hides rows from the feed's role, or is forced."""
    wal_bounded: bool = True
    """Whether the server itself gives up a slot before its WAL fills the disk."""
    publication: bool = False
    publication_faults: tuple[str, ...] = ()
    """What makes the publication of our name another one than we make."""
    tables: Mapping[str, SourceTable] = field(default_factory=dict)
    types: str = ""
    slot: Slot | None = None
    log: Log = Log()
    noted: Logs | None = None
    """What is noted of the reader of our slot."""


@dataclass(frozen=True)
class Snapshot:
    """What a copy that nothing follows shows: one moment of the source, proven equal to it."""

    taken_at: str
    """The target's time just before the snapshot, ISO 8601."""
    source: str
    sums: Mapping[str, str]
    """Rows and hash of every table, read in the snapshot."""
    numbers: Mapping[str, int] = field(default_factory=dict)
    """Where each used sequence stood then; earlier versions noted none."""


@dataclass(frozen=True)
class Mark:
    """Our comment on a complete copy: where its stream starts, and what it was made from."""

    lsn: str
    tables: Mapping[str, str]
    types: str
    snapshot: Snapshot | None = None
    """None where a slot stands at `lsn`, or stood there."""
    begun: Mapping[str, str] = field(default_factory=dict)
    """New tables that are being taken in, as they were described: some of them may be there."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """What makes each of their constraints that come last: by then their source may be dead."""
    bodies: Mapping[str, str] = field(default_factory=dict)
    """The tables' `body` on the source; earlier versions noted none."""
    listings: Mapping[str, str] = field(default_factory=dict)
    """Their `listing` where their changes begin to come; earlier versions noted none."""
    noted: tuple[Logs | None, ...] = ()
    """What the source may note of it: two while a note is being made. Earlier versions made none.
    """
    followed: bool = False
    """Whether it may hold more than was there at `lsn`. Earlier versions noted nothing: see
    `follow.drop_subscription`.
    """


@dataclass(frozen=True)
class Database:
    """A database that may or may not be there."""

    exists: bool = False
    mark: Mark | None = None
    empty: bool = False


@dataclass(frozen=True)
class Subscription:
    """Our subscription in the mirror; `stalled` when its worker does not stay alive."""

    enabled: bool
    stalled: bool = False
    stuck: bool = False
    """Whether its worker fails at the same change again and again."""


@dataclass(frozen=True)
class Working:
    """The working database, its successor (`next`) and its predecessor (`old`)."""

    exists: bool = False
    ours: bool = False
    empty: bool = False
    due: bool = False
    connected: int = 0
    mirror_held_by: str = ""
    """Who is in the mirror and can not be ended by us: it can not be cloned meanwhile."""
    next_exists: bool = False
    next_complete: bool = False
    old_exists: bool = False
    admission_due: bool = False
    """Whether the standby Airbyte is shut out, or another one may enter."""


@dataclass(frozen=True)
class Target:
    """What the target's catalogs say."""

    mirror: Database
    seed: Database = Database()
    old_mirror: Database = Database()
    subscription: Subscription | None = None
    sequences_behind: bool = False
    working: Working | None = None
    log: Log = Log()


@dataclass(frozen=True)
class Active:
    """The epoch, as the target's server knows it."""

    epoch: int
    database: str
    airbyte: str


@dataclass(frozen=True)
class Observed:
    """Everything the planner may know; `None` is a server that does not answer."""

    source: Source | None
    target: Target | None
    policy: Policy
    intent: Intent = Intent()
    verify_due: bool = False
    copy_due: bool = False
    """In snapshot mode: the next copy is to be taken."""
    active: Active | None = None
    """None in a deployment that keeps no epochs, or while none is known."""
    epoch_unknown: bool = False
    """Whether epochs are kept, and the target's server has not told one yet."""
    source_name: str = ""
    quiet_seconds: float = inf
    """Since when the source's schema has not been seen to change."""
    rest_seconds: float = 0.0
    """How long a copy that failed still waits for its next attempt."""
    clone_rest_seconds: float = 0.0
    """The same of a clone of the mirror."""
