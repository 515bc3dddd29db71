"""What the source's catalogs say of indexes and constraints: which table each belongs to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from db_migration.postgres import Connection, rows


@dataclass(frozen=True)
class Index:
    """An index of a table; `definition` makes it anew, every name in it qualified."""

    schema: str
    name: str
    table: str
    bytes: int
    definition: str


@dataclass(frozen=True)
class Constraint:
    """A constraint; `other` is the table that a foreign key refers to.

    `using` makes a primary or unique key of an index of the same name; empty for all others.
    """

    schema: str
    label: str
    """`table constraint`: how a dump names it."""
    name: str
    table: str
    other: str = ""
    using: str = ""


def indexes(connection: Connection) -> list[Index]:
    """List all indexes of ordinary tables, those of keys too."""
    found = rows(
        connection,
        """
        SELECT n.nspname, x.relname, tn.nspname || '.' || t.relname, pg_relation_size(x.oid),
               pg_get_indexdef(x.oid)
        FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = x.relnamespace JOIN pg_class t ON t.oid = i.indrelid
        JOIN pg_namespace tn ON tn.oid = t.relnamespace
        WHERE t.relkind = 'r' AND t.relpersistence = 'p'
          AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
        """,
    )
    return [Index(*item) for item in found]


def constraints(connection: Connection) -> list[Constraint]:
    """List the constraints of ordinary tables."""
    found = rows(
        connection,
        """
        SELECT n.nspname, t.relname || ' ' || o.conname, o.conname, n.nspname || '.' || t.relname,
               coalesce(rn.nspname || '.' || r.relname, ''),
               CASE WHEN o.contype IN ('p', 'u') THEN format(
                   'ALTER TABLE ONLY %I.%I ADD CONSTRAINT %I %s USING INDEX %I%s%s',
                   n.nspname, t.relname, o.conname,
                   CASE o.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, o.conname,
                   CASE WHEN o.condeferrable THEN ' DEFERRABLE' ELSE '' END,
                   CASE WHEN o.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END)
               ELSE '' END
        FROM pg_constraint o JOIN pg_class t ON t.oid = o.conrelid
        JOIN pg_namespace n ON n.oid = t.relnamespace
        LEFT JOIN pg_class r ON r.oid = o.confrelid AND o.confrelid <> 0
        LEFT JOIN pg_namespace rn ON rn.oid = r.relnamespace
        WHERE t.relkind = 'r' AND t.relpersistence = 'p'
          AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
        """,
    )
    return [Constraint(*item) for item in found]


def last(connection: Connection, tables: Collection[str]) -> dict[str, str]:
    """Return what makes each foreign key of these tables anew, by `name of schema.table`; and each
    check that need not hold for the rows that were there before it.

    Left out are those that a partition or a child has from its parent, and gets with it.
    """
    found = rows(
        connection,
        """
        SELECT o.conname || ' of ' || n.nspname || '.' || t.relname,
               format('ALTER TABLE %%s %%I.%%I ADD CONSTRAINT %%I %%s',
                   CASE o.contype WHEN 'f' THEN 'ONLY' END, n.nspname, t.relname, o.conname,
                   pg_get_constraintdef(o.oid))
        FROM pg_constraint o JOIN pg_class t ON t.oid = o.conrelid
        JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE (o.contype = 'f' AND o.conparentid = 0 OR o.contype = 'c' AND NOT o.convalidated
               AND o.conislocal) AND t.relkind = 'r'
          AND n.nspname || '.' || t.relname = ANY(%s)
        """,
        (list(tables),),
    )
    return dict(found)


def lacking(
    connection: Connection, wanted: Mapping[str, str], tables: Collection[str]
) -> dict[str, str]:
    """Return which of these constraints of these tables are not here."""
    here = last(connection, tables)
    return {name: wanted[name] for name in sorted(wanted.keys() - here.keys())}
