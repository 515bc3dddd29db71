"""The journal, in the control database: audit trail, last state of each feed, and intents.

The planner does not believe it: losing this database loses history, not the copy. The one exception
are intents ("the source is stopped for a restart"), which no catalog of a stopped server can show.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from math import inf
from typing import Any

import psycopg
import structlog
from psycopg.types.json import Jsonb

from db_migration import secrecy
from db_migration.effects import Effect, effect
from db_migration.errors import MigrationError
from db_migration.postgres import Connection, Endpoint, row, rows, run, value

SCHEMA = """
CREATE SCHEMA IF NOT EXISTS migration;
CREATE TABLE IF NOT EXISTS migration.event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(),
    feed text NOT NULL, step text NOT NULL, phase text NOT NULL, detail text NOT NULL);
ALTER TABLE migration.event ADD COLUMN IF NOT EXISTS who text NOT NULL DEFAULT '';
ALTER TABLE migration.event ADD COLUMN IF NOT EXISTS evidence jsonb;
CREATE TABLE IF NOT EXISTS migration.feed (
    name text PRIMARY KEY, at timestamptz NOT NULL, state jsonb NOT NULL);
-- Kept in its one page, so that a full disk can still be told of.
ALTER TABLE migration.feed ALTER COLUMN state SET STORAGE MAIN;
CREATE TABLE IF NOT EXISTS migration.verification (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(),
    feed text NOT NULL, result jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS migration.intent (
    feed text NOT NULL, name text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (feed, name));
"""
EVENTS_KEPT, VERIFICATIONS_KEPT = timedelta(days=400), timedelta(days=90)
TIDIED_EVERY_SECONDS = 24 * 3600
OLD = """
DELETE FROM migration.event WHERE feed = %(feed)s AND at < now() - %(events)s AND id NOT IN (
    SELECT max(id) FROM migration.event WHERE feed = %(feed)s GROUP BY step, phase);
DELETE FROM migration.verification WHERE feed = %(feed)s AND at < now() - %(verifications)s
AND id <> (SELECT max(id) FROM migration.verification WHERE feed = %(feed)s)
"""
"""Not the last of its kind: it is asked for when, and from where, a mirror was made."""
LAST_VERIFICATION = """
SELECT result, extract(epoch FROM now() - at)::float8 FROM migration.verification
WHERE feed = %(feed)s AND (
    SELECT coalesce(max(id) FILTER (WHERE (step, phase) IN (('verify', 'result'),
                                                            ('snapshot', 'cost'))), 0)
        >= coalesce(max(id) FILTER (WHERE step = 'subscribe'), 0)
    FROM migration.event WHERE feed = %(feed)s)
ORDER BY id DESC LIMIT 1
"""
"""By the order of the lines, not by their times: a clock may be set back between the two."""
LOCK_CLASS = 0x41424D  # "ABM": separates our advisory locks from anybody else's
COMPLETE = """
SELECT to_regclass('migration.intent') IS NOT NULL AND EXISTS (SELECT FROM pg_attribute
WHERE attrelid = to_regclass('migration.event') AND attname = 'evidence')
"""
log = structlog.get_logger()
OPERATOR = "DB_MIGRATION_OPERATOR"
"""Environment variable with the name of the person who types a verb."""


def act_as(verb: str) -> None:
    """Say as what this process acts; stands in every line that it adds to the audit trail."""
    _actor["who"] = f"{os.environ.get(OPERATOR) or 'db-migration'}: {verb} on {platform.node()}"


_actor = {"who": ""}


def try_lock(connection: Connection, name: str) -> bool:
    """Take the lock of a feed, or of a change of sides, for as long as the connection lives."""
    lock = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
    return bool(value(connection, lock, (LOCK_CLASS, name)))


class Journal:
    """Short connections to the control database, one feed at a time."""

    def __init__(self, endpoint: Endpoint, feed: str) -> None:
        """Name the control database and the feed."""
        self._endpoint = endpoint
        self._feed = feed
        self._tidied = -inf

    @effect(Effect.OPEN_JOURNAL)
    def open(self) -> None:
        """Make the tables if they are missing."""
        with self._endpoint.connect() as connection, connection.transaction():
            # One process after the other: IF NOT EXISTS does not keep two from making the same.
            run(connection, "SELECT pg_advisory_xact_lock(%s, 0)", (LOCK_CLASS,))
            if not value(connection, COMPLETE):
                connection.execute(SCHEMA)

    def tidy(self) -> None:
        """Once a day let go of the feed's old lines; those of a change of sides have other names.

        Whoever calls it has nothing else to do, and needs no answer.
        """
        if time.monotonic() - self._tidied < TIDIED_EVERY_SECONDS:
            return
        self._tidied = time.monotonic()
        try:
            self._forget()
        except (MigrationError, psycopg.Error) as error:
            log.debug("old lines stay", feed=self._feed, error=type(error).__name__)

    @effect(Effect.WRITE_JOURNAL)
    def _forget(self) -> None:
        kept = {"events": EVENTS_KEPT, "verifications": VERIFICATIONS_KEPT}
        with self._endpoint.connect() as connection:
            for query in OLD.split(";"):
                connection.execute(query.encode(), {"feed": self._feed, **kept})

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the feed's lock; yields False when another process acts on this feed."""
        with self._endpoint.connect() as connection:
            yield try_lock(connection, self._feed)

    def is_held(self) -> bool:
        """Tell whether a process holds the feed's lock by now, as at every step."""
        query = (
            "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database() AND "
            "l.classid::bigint = %s AND l.objid::bigint = hashtext(%s)::bigint & 4294967295)"
        )
        with self._endpoint.connect() as connection:
            return bool(value(connection, query, (LOCK_CLASS, self._feed)))

    @effect(Effect.WRITE_JOURNAL)
    def event(
        self, step: str, phase: str, detail: str, evidence: Mapping[str, Any] | None = None
    ) -> int:
        """Add a line to the audit trail: who did what, and what had been seen before.

        Returns the line's number.
        """
        seen = Jsonb(secrecy.masked(dict(evidence))) if evidence is not None else None
        query = (
            "INSERT INTO migration.event (feed, step, phase, detail, who, evidence) "
            "VALUES (%s, %s, %s, %s, %s, %s) RETURNING id"
        )
        line = (self._feed, step, phase, secrecy.mask(detail), _actor["who"], seen)
        with self._endpoint.connect() as connection:
            return int(value(connection, query, line))

    def newest(self, but: Collection[str]) -> int:
        """Return the number of the audit trail's last line, those of some names left out."""
        query = "SELECT coalesce(max(id), 0) FROM migration.event WHERE feed <> ALL(%s)"
        with self._endpoint.connect() as connection:
            return int(value(connection, query, (list(but),)))

    def history(self, most: int) -> list[dict[str, Any]]:
        """Return the last lines of the audit trail, the newest first."""
        query = (
            "SELECT at, who, step, phase, detail, evidence FROM migration.event WHERE feed = %s "
            "ORDER BY id DESC LIMIT %s"
        )
        keys = ("at", "who", "step", "phase", "detail", "evidence")
        with self._endpoint.connect() as connection:
            try:
                found = rows(connection, query, (self._feed, most))
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                return []
        return [dict(zip(keys, line, strict=True)) for line in found]

    def names(self) -> list[str]:
        """Return whose lines the audit trail holds: feeds, and changes of sides."""
        with self._endpoint.connect() as connection:
            try:
                found = rows(connection, "SELECT DISTINCT feed FROM migration.event ORDER BY 1")
            except psycopg.errors.UndefinedTable:
                return []
        return [name for (name,) in found]

    def events(self) -> list[tuple[Any, ...]]:
        """Return the audit trail of the feed."""
        with self._endpoint.connect() as connection:
            query = (
                "SELECT at, step, phase, detail FROM migration.event WHERE feed = %s ORDER BY id"
            )
            return rows(connection, query, (self._feed,))

    @effect(Effect.WRITE_JOURNAL)
    def save_state(self, state: dict[str, Any]) -> None:
        """Keep the feed's state for `status` in another process."""
        with self._endpoint.connect() as connection:
            run(
                connection,
                "INSERT INTO migration.feed (name, at, state) VALUES (%s, now(), %s) "
                "ON CONFLICT (name) DO UPDATE SET at = excluded.at, state = excluded.state",
                (self._feed, Jsonb(state)),
            )

    def state(self) -> tuple[dict[str, Any], float] | None:
        """Return the last state and its age in seconds."""
        with self._endpoint.connect() as connection:
            query = (
                "SELECT state, extract(epoch FROM now() - at)::float8 FROM migration.feed "
                "WHERE name = %s"
            )
            try:
                found = row(connection, query, (self._feed,))
            except psycopg.errors.UndefinedTable:
                return None
            return (found[0], found[1]) if found else None

    @effect(Effect.SAVE_INTENT)
    def intend(self, name: str, *, on: bool) -> None:
        """Note, or take back, that something was begun that must be ended."""
        with self._endpoint.connect() as connection:
            query = "DELETE FROM migration.intent WHERE feed = %s AND name = %s"
            if on:
                query = (
                    "INSERT INTO migration.intent (feed, name) VALUES (%s, %s) "
                    "ON CONFLICT DO NOTHING"
                )
            run(connection, query, (self._feed, name))

    def intents(self, connection: Connection) -> set[str]:
        """Return the names of what was begun."""
        query = "SELECT name FROM migration.intent WHERE feed = %s"
        return {name for (name,) in rows(connection, query, (self._feed,))}

    @effect(Effect.WRITE_JOURNAL)
    def save_verification(self, result: dict[str, Any]) -> None:
        """Keep the result of a verification."""
        with self._endpoint.connect() as connection:
            query = "INSERT INTO migration.verification (feed, result) VALUES (%s, %s)"
            run(connection, query, (self._feed, Jsonb(result)))

    def last_verification(self, connection: Connection) -> tuple[dict[str, Any], float] | None:
        """Return the last result and its age in seconds; one of an earlier copy is none.

        One from the future is as old as can be: the clock was set back, nobody knows when.
        """
        found = connection.execute(LAST_VERIFICATION, {"feed": self._feed}).fetchone()
        return (found[0], found[1] if found[1] >= 0 else inf) if found else None
