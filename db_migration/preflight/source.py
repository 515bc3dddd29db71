"""What the source must be, decided from what was read of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from db_migration.config import Mode
from db_migration.preflight import objects as preflight_objects
from db_migration.preflight import retained as preflight_retained
from db_migration.preflight.checklist import UNKNOWN, Check, Result, judged, named
from db_migration.preflight.facts import SourceFacts

OLDEST_SOURCE = 130000
SLOTS_NEEDED = 2


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What the configuration permits, and what the source's host says."""

    mode: Mode
    """The one that is chosen, never `auto`."""
    why: str
    restart: bool
    retained_bytes: int
    interval_seconds: float
    """Between two copies in snapshot mode."""
    host_free_bytes: int | None = None
    """Free on the disk of the source's host; None when nobody could say."""


def checks(facts: SourceFacts, permitted: Allowed) -> Iterator[Check]:
    """Judge the source."""
    yield _version(facts)
    yield _primary(facts)
    yield _mode(facts, permitted)
    yield _wal_level(facts, permitted)
    yield _free("slots", "max_replication_slots", facts, permitted)
    yield _free("senders", "max_wal_senders", facts, permitted)
    yield from preflight_retained.checks(
        facts,
        permitted.retained_bytes,
        permitted.host_free_bytes,
        follows=permitted.mode is not Mode.SNAPSHOT,
    )
    yield _identities(facts)
    yield from preflight_objects.checks(facts, permitted.mode)
    yield _sequences(facts)
    yield _transactions(facts)


SET_LEVEL = "ALTER SYSTEM SET wal_level = 'logical' on the source and restart it"


def _mode(facts: SourceFacts, permitted: Allowed) -> Check:
    to_logical = "" if facts.wal_level == "logical" else f"{SET_LEVEL}, or allow one restart: "
    to_logical += "`allow_source_restart: true` with `source.host_control`; " if to_logical else ""
    snapshot = permitted.mode is Mode.SNAPSHOT
    return Check(
        id="feed.mode",
        title="How the copy is kept in step",
        result=judged(not snapshot, Result.WARNING),
        found=f"{permitted.mode}: {permitted.why}",
        needed="`logical`, for a copy that is milliseconds behind",
        why=f"a copy is taken every {permitted.interval_seconds:g} s or less often; when prod's "
        "host dies, what was written since the last one is lost"
        if snapshot
        else "every change follows as it is committed",
        way_out=f"{to_logical}`mode: auto`, where another is configured"
        if snapshot
        else "nothing to do",
    )


def _version(facts: SourceFacts) -> Check:
    return Check(
        id="source.version",
        title="Version of the source's server",
        result=judged(facts.version >= OLDEST_SOURCE),
        found=str(facts.version // 10000),
        needed=f"{OLDEST_SOURCE // 10000} or newer",
        why="what is older was not tried",
        way_out="upgrade the source first",
    )


def _primary(facts: SourceFacts) -> Check:
    return Check(
        id="source.primary",
        title="The source takes writes",
        result=judged(None if facts.in_recovery is None else not facts.in_recovery),
        found="a standby in recovery" if facts.in_recovery else "a primary",
        needed="a primary",
        why="publication and slot are made on it",
        way_out="name the primary as the source",
    )


def _wal_level(facts: SourceFacts, permitted: Allowed) -> Check:
    logical = facts.wal_level == "logical"
    result, more = judged(logical), ""
    way_out = f"{SET_LEVEL}, or set `allow_source_restart: true` and `source.host_control`"
    if permitted.mode is Mode.SNAPSHOT:
        result, more = Result.NOT_APPLICABLE, "; snapshot mode reads no log"
    elif not logical and permitted.restart and not facts.wal_level_fixed:
        result, more = Result.PASS, "; one restart is allowed"
    elif not logical and facts.wal_level_fixed:
        more, way_out = ", set on the server's command line", "change it there and restart it"
    return Check(
        id="source.wal_level",
        title="The source writes a log that can be followed",
        result=result,
        found=f"{facts.wal_level}{more}",
        needed="`logical`, or leave to restart prod's database once",
        why="changes can only be followed from a log that holds them",
        way_out=f"{way_out}; or `mode: snapshot`, which needs no restart",
    )


def _free(what: str, setting: str, facts: SourceFacts, permitted: Allowed) -> Check:
    free: int | None = getattr(facts, f"{what}_free")
    most: int | None = getattr(facts, f"{what}_max")
    way_out = f"raise {setting} on the source and restart it"
    if facts.wal_level == "minimal":
        way_out = f"set wal_level to `logical` together with {setting}, and restart the source: "
        way_out += "with `wal_level = minimal` and walsenders it does not start"
    result = judged(None if free is None else free >= SLOTS_NEEDED)
    if permitted.mode is Mode.SNAPSHOT:
        result = Result.NOT_APPLICABLE
    return Check(
        id=f"source.{setting}",
        title=f"Room for replication {what} on the source",
        result=result,
        found=UNKNOWN if free is None else f"{free} of {most} free",
        needed=f"{SLOTS_NEEDED} free: one to follow, one to take in a new table",
        why="the feed and each new table need one",
        way_out=way_out,
    )


def _identities(facts: SourceFacts) -> Check:
    lacking = facts.keyless or []
    return Check(
        id="source.identities",
        title="Every table can say which row is meant",
        result=judged(None if facts.keyless is None else True),
        found=f"{len(lacking)} table(s) without a key: {', '.join(lacking) or 'none'}"
        if facts.keyless is not None
        else f"{UNKNOWN}: a table may be locked, see `source.transactions`",
        needed="an identity for each before it is published",
        why="a published table without one refuses prod's own DELETE",
        way_out="nothing to do: `prepare` sets REPLICA IDENTITY FULL on these, `release` takes it "
        "back",
    )


def _sequences(facts: SourceFacts) -> Check:
    ending = facts.ending_sequences
    return Check(
        id="source.sequences",
        title="Sequences have room to be kept ahead",
        result=judged(None if ending is None else not ending, Result.WARNING),
        found=f"{named(facts.sequences)}; near their end: {named(ending)}",
        needed="none near its end",
        why="the mirror's sequences stand a margin ahead of prod's, so that a failover never "
        "gives a number twice",
        way_out="ALTER SEQUENCE ... AS bigint on the source, with ALTER TABLE ... ALTER COLUMN ... "
        "TYPE bigint of the column that it fills; or lower `sequence_margin`",
    )


def _transactions(facts: SourceFacts) -> Check:
    found: Any = facts.long_transactions
    prepared = facts.prepared_transactions
    ok = None if found is None or prepared is None else not found and not prepared
    return Check(
        id="source.transactions",
        title="No long transaction on the source",
        result=judged(ok, Result.WARNING),
        found=f"{named(found)}; prepared: {named(prepared)}",
        needed="none older than a minute, none prepared, none that holds a table for itself",
        why="a new slot waits for every transaction that runs, and a lock for the one that holds "
        "the table",
        way_out="GRANT pg_read_all_stats TO the source's owner, who sees no others without it"
        if found is None
        else "let them end, or end them: SELECT pg_terminate_backend(pid); a prepared one by "
        "COMMIT PREPARED or ROLLBACK PREPARED with its name, in its database",
    )
