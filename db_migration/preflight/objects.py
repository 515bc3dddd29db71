"""Objects on the source that can not travel, or not as they are. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from db_migration.config import Mode
from db_migration.preflight.checklist import UNKNOWN, Check, Result, judged, named
from db_migration.preflight.facts import SourceFacts


@dataclass(frozen=True)
class _Kind:
    """A kind of object that should not be there, or that is only worth knowing."""

    field: str
    title: str
    otherwise: Result
    why: str
    way_out: str
    follows: bool = False
    """Whether it only hinders who follows the log."""


_KINDS = (
    _Kind(
        "table_names",
        "Tables whose names differ only by where the dot is",
        Result.FAIL,
        "a table is known by `schema.table`, unquoted: one of the two would not be copied",
        "ALTER TABLE ... RENAME, or ALTER SCHEMA ... RENAME, on one of them",
    ),
    _Kind(
        "unlogged",
        "Unlogged tables",
        Result.FAIL,
        "they are not in the log: their rows would be lost",
        "ALTER TABLE ... SET LOGGED on these",
    ),
    _Kind(
        "foreign",
        "Foreign tables",
        Result.FAIL,
        "their rows are on another server, which the target may not reach",
        "remove them from Airbyte's database",
    ),
    _Kind(
        "partitioned",
        "Partitioned or inheriting tables",
        Result.FAIL,
        "the feed takes ordinary tables; Airbyte has no others",
        "move them to a database of their own",
    ),
    _Kind(
        "row_security",
        "Tables with row security",
        Result.FAIL,
        "the feed's role would read only a part of the rows, and no copy is made of that",
        "give the feed's role BYPASSRLS on the source, as a superuser (not enough where row "
        "security is FORCEd: the mirror could not be written), or ALTER TABLE ... DISABLE ROW "
        "LEVEL SECURITY",
    ),
    _Kind(
        "odd_types",
        "Columns that name objects of this one server",
        Result.WARNING,
        "an OID or a log position means something else on another server",
        "make sure that nobody reads these columns after the move",
    ),
    _Kind(
        "incomparable",
        "Columns without equality in tables without a key",
        Result.WARNING,
        "the target finds a row of such a table by all its values: UPDATE and DELETE on the source "
        "would stop the feed",
        "add a primary key, or make the column jsonb or text; none of Airbyte's is like that",
        follows=True,
    ),
    _Kind(
        "not_binary",
        "Columns of a type without a binary form",
        Result.FAIL,
        "rows are copied in PostgreSQL's binary format: no copy would ever be made",
        "ALTER TABLE ... ALTER COLUMN ... TYPE text on these, or remove them from Airbyte's "
        "database; none of Airbyte's is like that",
    ),
    _Kind(
        "key_generated",
        "Generated columns in the key that names a row",
        Result.FAIL,
        "a generated column is not sent, so the target could not tell which row is meant: the "
        "first UPDATE or DELETE on the source would stop the feed",
        "make a key of ordinary columns the primary one, or ALTER TABLE ... REPLICA IDENTITY USING "
        "INDEX with a unique index of such; or `mode: snapshot`",
        follows=True,
    ),
    _Kind(
        "superusers",
        "Definitions that a superuser alone can make",
        Result.FAIL,
        "all that is copied belongs to the target's `owner_role`, which is no superuser: no copy "
        "would ever be made",
        "remove them from the database, or put them into an extension that the target has",
    ),
    _Kind(
        "search_path",
        "Functions in checks, indexes or generated columns that rely on search_path",
        Result.FAIL,
        "where rows are copied and applied `search_path` is empty: what such a function names "
        "without its schema is not found, and the copy or the feed stops",
        "ALTER FUNCTION ... SET search_path = ... on the source, for each function that they call",
    ),
    _Kind(
        "checks",
        "Check constraints whose functions are not IMMUTABLE",
        Result.WARNING,
        "one that reads other tables may be asked before these are loaded: the copy is then not "
        "made",
        "if they read other tables: make them triggers, which do not fire on the mirror",
    ),
    _Kind(
        "event_triggers",
        "Event triggers",
        Result.WARNING,
        "only a superuser can make one: they do not travel",
        "make them again after the move, if anybody needs them; Airbyte has none",
    ),
    _Kind(
        "replica_triggers",
        "Triggers that fire for what is replicated, too",
        Result.WARNING,
        "on the mirror they fire for each row that arrives: what they write, which arrives by "
        "itself, is written twice or stops the feed",
        "ALTER TABLE ... ENABLE TRIGGER on the source, which makes them ordinary ones, before the "
        "mirror is made",
    ),
    _Kind(
        "materialized_views",
        "Materialized views",
        Result.WARNING,
        "they arrive without contents: a query of one fails",
        "REFRESH MATERIALIZED VIEW on the new side after a cut-over or a failover",
    ),
    _Kind(
        "generated",
        "Generated columns",
        Result.PASS,
        "the target computes them again, from the same definition",
        "nothing to do",
    ),
)


def checks(facts: SourceFacts, mode: Mode) -> Iterator[Check]:
    """Name every object of these kinds."""
    for kind in _KINDS:
        found: list[str] | None = getattr(facts, kind.field)
        result = judged(None if found is None else not found, kind.otherwise)
        yield Check(
            id=f"source.{kind.field}",
            title=kind.title,
            result=Result.NOT_APPLICABLE if kind.follows and mode is Mode.SNAPSHOT else result,
            found=named(found),
            needed="none" if kind.otherwise is not Result.PASS else "nothing",
            why=kind.why,
            way_out=kind.way_out,
            affected=tuple({"object": name} for name in found or ()),
        )
    number = facts.large_objects
    yield Check(
        id="source.large_objects",
        title="Large objects",
        result=judged(None if number is None else number == 0),
        found=UNKNOWN if number is None else str(number),
        needed="none",
        why="logical replication does not carry them; Airbyte has none",
        way_out="keep what is needed (`pg_dump --large-objects`), then remove them in that "
        "database: SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
    )
