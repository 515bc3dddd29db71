"""Tables that the source got after the copy was made, taken in one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from time import monotonic

from psycopg import sql

from db_migration import catalog, catalog_described, catalog_keys
from db_migration.agent.state import Mark
from db_migration.config import PUBLICATION
from db_migration.context import Context
from db_migration.effects import Effect, effect
from db_migration.errors import BlockedError
from db_migration.following import follow, marks, prepare
from db_migration.following.schema_watch import SchemaMemory
from db_migration.postgres import become, run, run_script
from db_migration.seeding import dump, seed

LOOK_SECONDS = 1.0
"""How often the source is asked whether tables that are copied are still as they were."""


def add_tables(context: Context) -> None:
    """Take in tables that the source got after the copy was made: first here, then published."""
    with context.reader.connect() as source:
        found = {table.full_name: table for table in catalog.tables(source, PUBLICATION)}
        described = catalog_described.read(source)
        mark = _mark(context)
        late = sorted(set(found) - set(mark.tables))
        keys = catalog_keys.last(source, late)
    tables = [found[name] for name in late]
    added = described.fingerprints(tables)
    bodies = {**mark.bodies, **{table.full_name: table.body for table in tables}}
    # What an earlier attempt has begun may have changed since the look that led here.
    begun = {**added, **mark.begun} == added and all(
        catalog.same_rows(noted, bodies[name]) for name, noted in mark.bodies.items()
    )
    if mark.types != described.types or not late or not begun:
        return
    # Who is killed now leaves tables in the mirror, and prod may change or drop them before the
    # next attempt: without this nobody would know of them.
    mark = replace(mark, begun=added, keys=keys, bodies=bodies)
    mark_tables(context, mark)
    create_late_tables(context, tables)
    prepare.publish_late(context, late)
    # Before anything is copied: read later, it would hide that a table was taken out meanwhile.
    mark = replace(mark, listings={**_listings(context, late), **mark.listings})
    mark_tables(context, mark)
    with _watched(context, added) as changed:
        if not follow.refresh(context, changed):
            return
    add_late_keys(context, keys, late)
    mark_tables(context, replace(mark, tables={**mark.tables, **added}, begun={}, keys={}))


@contextmanager
def _watched(context: Context, added: Mapping[str, str]) -> Iterator[Callable[[], bool]]:
    """Lend a look, once a second, at whether the source has changed or dropped these tables."""
    schema, asked = SchemaMemory(), -inf
    with context.reader.connect() as source:

        def changed() -> bool:
            nonlocal asked
            now = monotonic()
            if now - asked < LOOK_SECONDS:
                return False
            asked, tables = now, schema.look(source, now).tables
            return {name: tables[name].fingerprint for name in added if name in tables} != added

        yield changed


def _mark(context: Context) -> Mark:
    with context.control.connect() as connection:
        mark = marks.mirror_mark(marks.of_database(connection, context.feed.target.database))
    if mark is None:
        raise BlockedError(
            found="the mirror has lost its mark",
            needed="the mark",
            way_out="nothing to do: it is made anew",
        )
    return mark


def _listings(context: Context, names: Collection[str]) -> dict[str, str]:
    with context.reader.connect() as source:
        found = catalog.tables(source, PUBLICATION)
    return {table.full_name: table.listing for table in found if table.full_name in names}


@effect(Effect.CREATE_LATE_TABLES)
def create_late_tables(context: Context, tables: list[catalog.Table]) -> None:
    """Make the tables with all that is theirs, all or none; those that are there are kept.

    Foreign keys come last: the worker, which truncates what prod has truncated and nothing else,
    would never get past an earlier TRUNCATE of a table that one of them refers to. So do checks
    that were never held against the rows: PostgreSQL holds what it copies against them.
    """
    with context.mirror.connect() as connection:
        here = {table.full_name for table in catalog.tables(connection)}
        missing = [table for table in tables if table.full_name not in here]
        if not missing:
            return
        names = [(table.schema, table.name) for table in missing]
        sections = (
            dump.definitions(context.reader, section, only=names)
            for section in ("pre-data", "post-data")
        )
        script = dump.without("\n".join(sections), "FK CONSTRAINT", "CHECK CONSTRAINT")
        role = sql.Identifier(context.feed.target.owner_role)
        with connection.transaction():
            run(connection, sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(role))
            with become(connection, context.feed.target.owner_role):
                run_script(connection, script)
            full_names = {table.full_name for table in missing}
            seed.copy_public_grants(context, connection, full_names)


@effect(Effect.ADD_LATE_KEYS)
def add_late_keys(context: Context, keys: Mapping[str, str], names: Collection[str]) -> None:
    """Add the foreign keys, and the checks that do not hold, that these tables lack; whatever was
    copied or truncated before is applied.
    """
    role = context.feed.target.owner_role
    with context.mirror.connect() as connection, become(connection, role):
        for statement in catalog_keys.lacking(connection, keys, names).values():
            run_script(connection, statement)


@effect(Effect.MARK_TABLES)
def mark_tables(context: Context, mark: Mark) -> None:
    """Note which tables the mirror holds, and which it is to hold."""
    with context.control.connect() as connection:
        marks.write_mirror(connection, context.feed.target.database, mark)
