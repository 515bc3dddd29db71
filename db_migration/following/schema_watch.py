"""Notice that the source's schema moves: a stamp of its catalog, and for how long it has stood.

The stamp is one number over the row versions of every catalog row that is not PostgreSQL's own.
Any DDL gives rows new versions, VACUUM and ANALYZE do not; so as long as the stamp is the same,
what was read before is still true. It costs the source a seventh of reading the definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from psycopg import sql

from db_migration import catalog, catalog_described
from db_migration.agent.state import SourceTable
from db_migration.config import PUBLICATION
from db_migration.postgres import Connection, value

KEEP_SECONDS = 60.0
"""A reading is renewed after this, whatever the stamp says."""

CATALOGS = {
    "pg_aggregate": "aggfnoid",
    "pg_attrdef": "oid",
    "pg_attribute": "attrelid",
    "pg_class": "oid",
    "pg_collation": "oid",
    "pg_constraint": "oid",
    "pg_depend": "objid",
    "pg_enum": "oid",
    "pg_extension": "oid",
    "pg_index": "indexrelid",
    "pg_inherits": "inhrelid",
    "pg_language": "oid",
    "pg_namespace": "oid",
    "pg_opclass": "oid",
    "pg_partitioned_table": "partrelid",
    "pg_policy": "oid",
    "pg_proc": "oid",
    "pg_publication": "oid",
    "pg_publication_rel": "oid",
    "pg_range": "rngtypid",
    "pg_rewrite": "oid",
    "pg_sequence": "seqrelid",
    "pg_statistic_ext": "oid",
    "pg_trigger": "oid",
    "pg_type": "oid",
}
"""Every catalog that a definition is read from, and what names its rows. ANALYZE writes to none."""

_ROWS = "SELECT {}::oid AS id, xmin AS version, {} AS part FROM {}"
STAMP = sql.SQL(
    "SELECT coalesce(sum(hashint8extended((id::bigint << 32) + version::text::bigint, part)), 0)"
    "::text FROM ({}) AS versions WHERE id >= {}"
).format(
    sql.SQL(" UNION ALL ").join(
        sql.SQL(_ROWS).format(sql.Identifier(of), sql.Literal(part), sql.Identifier(name))
        for part, (name, of) in enumerate(CATALOGS.items())
    ),
    sql.Literal(catalog.NORMAL_OBJECTS),
)


def stamp(connection: Connection) -> str:
    """Return the stamp of this database's catalog."""
    return str(value(connection, STAMP))


@dataclass(frozen=True)
class Schema:
    """The source's definitions as fingerprints."""

    tables: Mapping[str, SourceTable]
    types: str

    def differs(self, before: Schema) -> bool:
        """Tell whether a copy must be made anew; what is published is our own doing."""
        if self.types != before.types or self.tables.keys() != before.tables.keys():
            return True
        return any(
            now.fingerprint != was.fingerprint or not catalog.same_rows(was.body, now.body)
            for now, was in ((self.tables[name], was) for name, was in before.tables.items())
        )


def read(connection: Connection) -> Schema:
    """Read every definition."""
    found = catalog.tables(connection, PUBLICATION)
    described = catalog_described.read(connection)
    fingerprints = described.fingerprints(found)
    tables = {
        table.full_name: SourceTable(
            fingerprints[table.full_name],
            table.has_identity,
            table.published,
            table.body,
            table.listing,
        )
        for table in found
    }
    return Schema(tables, described.types)


class SchemaMemory:
    """What one agent remembers of the source's schema: the last reading, and its last change."""

    def __init__(self) -> None:
        """Know nothing: a schema never seen to change counts as quiet."""
        self._stamp = ""
        self._schema: Schema | None = None
        self._read_at = self._changed_at = -inf

    def look(self, connection: Connection, now: float) -> Schema:
        """Return the schema, read again if it may have changed; `now` is a monotonic clock."""
        found = stamp(connection)
        known = self._schema
        if known is not None and found == self._stamp and now - self._read_at <= KEEP_SECONDS:
            return known
        self._stamp, self._read_at = found, now
        return self.note(read(connection), now)

    def note(self, schema: Schema, now: float) -> Schema:
        """Remember a reading, and when one differed from the reading before."""
        if self._schema is not None and schema.differs(self._schema):
            self._changed_at = now
        self._schema = schema
        return schema

    def quiet_seconds(self, now: float) -> float:
        """Say for how long the schema has not been seen to change; infinite if never."""
        return now - self._changed_at
