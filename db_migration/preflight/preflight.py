"""Whether a feed can work and what a move would endanger, looked at before anything is changed.

Reading is apart from judging: `preflight_facts` and `preflight_try` ask, the others decide.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import TypeVar

import psycopg

from db_migration import catalog
from db_migration.agent.state import Policy
from db_migration.config import PUBLICATION, Mode
from db_migration.context import Context
from db_migration.errors import MigrationError
from db_migration.postgres import Connection, Endpoint
from db_migration.preflight import airbyte_side as preflight_airbyte
from db_migration.preflight import definitions as preflight_definitions
from db_migration.preflight import facts as preflight_facts
from db_migration.preflight import flush as preflight_flush
from db_migration.preflight import names as preflight_names
from db_migration.preflight import source as preflight_source
from db_migration.preflight import target as preflight_target
from db_migration.preflight import travel as preflight_travel
from db_migration.preflight import trial as preflight_try
from db_migration.preflight.checklist import Check, Result
from db_migration.preflight.facts import LONG_TRANSACTION_SECONDS, Locale, SourceFacts, TargetFacts
from db_migration.reporting.error_text import of_person
from db_migration.seeding import dump
from db_migration.sides import epoch, hosts
from db_migration.snapshots import plan as snapshot_plan

R = TypeVar("R")


def preflight(context: Context) -> list[Check]:
    """Run all checks; those that need a server that does not answer are left out.

    Nothing is asked of a feed that is not live: its source may be gone for good.
    """
    config, feed = context.config, context.feed
    if config.servers and feed not in epoch.live_feeds(config):
        now = epoch.current(config)
        return [_waits(f"the active database is {now.database} (epoch {now.epoch})")]
    return list(_examine(context))


def _examine(context: Context) -> Iterator[Check]:
    checks: list[Check] = []
    source = _ask("source", context.owner, lambda there: read_source(context, there), checks)
    target = _ask("target", context.control, lambda there: read_target(context, there), checks)
    yield from checks
    newest = max((facts.version for facts in (source, target) if facts is not None), default=None)
    found = clients(context)
    yield from preflight_target.clients(found, newest)
    mode = Mode.LOGICAL
    if source is not None:
        permitted = _allowed(context, source)
        mode = permitted.mode
        yield from preflight_source.checks(source, permitted)
    if target is not None:
        copies = preflight_target.copies(mode, working=context.feed.working_database is not None)
        yield from preflight_target.checks(source, target, found, copies)
        yield from preflight_names.target(context, target, source)
    if source is not None and target is not None:
        yield from preflight_try.checks(context, mode)
    if source is not None:
        with context.owner.connect() as connection:
            yield from preflight_names.source(context, connection)
            yield from _of_airbyte(context, connection)


def _of_airbyte(context: Context, connection: Connection) -> Iterator[Check]:
    """Judge the Airbyte; nothing of a database of anybody's that no Airbyte is to run on."""
    config, airbyte = context.config, preflight_airbyte.read(connection)
    if airbyte.version is None and not config.here:
        yield preflight_airbyte.none_there()
        return
    compose = config.server(context.feed.source.name) is None
    accepted = config.accepted_versions
    yield from preflight_airbyte.checks(airbyte, compose=compose, accepted=accepted)
    yield from preflight_travel.checks(preflight_travel.read(connection))


def _ask(
    side: str, endpoint: Endpoint, read: Callable[[Connection], R], checks: list[Check]
) -> R | None:
    """Read one side; a server that does not answer is a failed check, and None."""
    said, result, way_out, facts = "it answers", Result.PASS, "nothing to do", None
    try:
        with endpoint.connect() as connection:
            said = f"PostgreSQL {connection.info.parameter_status('server_version')}"
            facts = read(connection)
    except MigrationError as error:
        said, result, way_out = error.found, Result.FAIL, of_person(error.way_out)
    except psycopg.Error as error:
        said, result = error.diag.message_primary or type(error).__name__, Result.FAIL
        way_out = "mend what the message says"
    checks.append(
        Check(
            id=f"{side}.reachable",
            title=f"The {side} answers",
            result=result,
            found=said,
            needed="an answer",
            why="everything else is read from it",
            way_out=way_out,
        )
    )
    return facts


def _waits(found: str) -> Check:
    return Check(
        id="feed.waits",
        title="The feed waits",
        result=Result.NOT_APPLICABLE,
        found=found,
        needed="nothing",
        why="only a live feed moves data",
    )


def read_source(context: Context, connection: Connection) -> SourceFacts:
    """Read the source as its owner."""
    args = {
        "slot": context.feed.slot,
        "reader": context.reader.login.user,
        "margin": context.feed.sequence_margin,
        "long": LONG_TRANSACTION_SECONDS,
    }
    found = preflight_facts.gathered(connection, preflight_facts.SOURCE, args)
    return SourceFacts(
        version=connection.info.server_version,
        clock=preflight_facts.clock(connection),
        locale=preflight_facts.locale(connection),
        keyless=_keyless(connection),
        search_path=preflight_definitions.needing_a_path(connection),
        **preflight_facts.only_known(SourceFacts, found),
    )


def _keyless(connection: Connection) -> list[str] | None:
    """Name the tables without a key; None while one of them is locked or its name no UTF-8."""
    try:
        tables = catalog.tables(connection, PUBLICATION)
    except (psycopg.errors.LockNotAvailable, UnicodeDecodeError):
        return None
    return [table.full_name for table in tables if not table.has_identity]


def read_target(context: Context, connection: Connection) -> TargetFacts:
    """Read the target from its control database."""
    args = {"slot": context.feed.slot, "mirror": context.feed.target.database}
    found = preflight_facts.gathered(connection, preflight_facts.TARGET, args)
    return TargetFacts(
        version=connection.info.server_version,
        clock=preflight_facts.clock(connection),
        locale=_locale(context.mirror),
        flush_ms=preflight_flush.measured(connection),
        **preflight_facts.only_known(TargetFacts, found),
    )


def _locale(mirror: Endpoint) -> Locale | None:
    try:
        with mirror.connect() as connection:
            return preflight_facts.locale(connection)
    except MigrationError:
        return None


def _allowed(context: Context, source: SourceFacts) -> preflight_source.Allowed:
    feed, free = context.feed, None
    if context.source_host is not None:
        try:
            free = hosts.status(context.source_host).free_bytes
        except MigrationError:
            free = None
    restart = feed.allow_source_restart and context.source_host is not None
    policy = Policy(allow_source_restart=restart, mode=feed.mode)
    choice = snapshot_plan.choose(policy, source.wal_level or "")
    return preflight_source.Allowed(
        mode=choice.mode,
        why=choice.why,
        restart=restart,
        retained_bytes=feed.max_retained_wal_bytes,
        interval_seconds=feed.snapshot_interval_seconds,
        host_free_bytes=free,
    )


def clients(context: Context) -> preflight_target.Clients:
    """Read what this process brings along.

    Docker keeps a container's own files and its volumes on one disk, so where the target's server
    runs beside this process, the free space of one is that of the other.
    """
    beside = context.config.here == context.feed.target.name
    disk = os.statvfs("/") if beside else None
    return preflight_target.Clients(
        pg_dump=_pg_dump(),
        libpq=psycopg.pq.version(),
        free_bytes=disk.f_bavail * disk.f_frsize if disk is not None else None,
    )


def _pg_dump() -> int | None:
    """Return the major version of pg_dump; None when it can not be run."""
    try:
        command = [dump.program(), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (MigrationError, OSError, subprocess.CalledProcessError):
        return None
    major = re.search(r"\) (\d+)", said)
    return int(major.group(1)) if major else None
