"""Compare what is not rows: definitions, enums, sequences, ownership and grants."""

from __future__ import annotations

from psycopg import sql

from db_migration import catalog, catalog_grants, catalog_types
from db_migration.context import Context
from db_migration.following import sequences
from db_migration.postgres import Connection, rows
from db_migration.verification import masking
from db_migration.verification import schema as compare_schema


def everything_but_rows(source: Connection, mirror: Connection, context: Context) -> list[str]:
    """Name every difference that is not in a row."""
    found = definitions(source, mirror)
    found += rights(source, mirror, context)
    return found + sequences_behind(source, mirror)


def sequences_behind(source: Connection, mirror: Connection) -> list[str]:
    """Name every sequence of the mirror that would hand out a number the source has used."""
    return sequences.late(catalog.sequences(source), catalog.sequences(mirror))


def definitions(source: Connection, mirror: Connection) -> list[str]:
    """Name every definition that one side lacks or has otherwise."""
    there, here = catalog.definitions(source), catalog.definitions(mirror)
    found = [f"table {name}: missing on the mirror" for name in sorted(there.keys() - here.keys())]
    found += [f"table {name}: only on the mirror" for name in sorted(here.keys() - there.keys())]
    for name in sorted(there.keys() & here.keys()):
        found += _lines(f"table {name}: ", there[name], here[name])
    for read in (catalog_types.types, _sequences, compare_schema.lines):
        found += _lines("", read(source), read(mirror))
    found += _views(compare_schema.views(source), compare_schema.views(mirror))
    lacking = set(compare_schema.extensions(source)) - set(compare_schema.extensions(mirror))
    return found + _lines("", sorted(lacking), [])


def _sequences(connection: Connection) -> list[str]:
    return [line for _, line in catalog.sequence_definitions(connection)]


def _views(there: dict[str, str], here: dict[str, str]) -> list[str]:
    """Name the views of other texts; `catalog_types.types` names those of one side only."""
    common = sorted(there.keys() & here.keys())
    return [
        line
        for name in common
        if not compare_schema.same_view(compare_schema.plain(there[name]), here[name])
        for line in (
            f"missing on the mirror: {name}: {masking.definition(' '.join(there[name].split()))}",
            f"only on the mirror: {name}: {masking.definition(' '.join(here[name].split()))}",
        )
    ]


def _lines(where: str, there: list[str], here: list[str]) -> list[str]:
    one, other = ({compare_schema.plain(line) for line in side} for side in (there, here))
    said = masking.definition
    missing = [f"{where}missing on the mirror: {said(line)}" for line in sorted(one - other)]
    extra = [f"{where}only on the mirror: {said(line)}" for line in sorted(other - one)]
    return missing + extra


OWNERS = """
SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END,
       n.nspname || '.' || c.relname, pg_get_userbyid(c.relowner)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm') AND {user} AND {own_relation}
UNION ALL
SELECT 'type', n.nspname || '.' || t.typname, pg_get_userbyid(t.typowner)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'r') AND {user} AND {own_type}
UNION ALL
SELECT 'function', n.nspname || '.' || p.proname, pg_get_userbyid(p.proowner)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {user} AND {own_function}
UNION ALL
SELECT 'schema', n.nspname, pg_get_userbyid(n.nspowner) FROM pg_namespace n
WHERE {user} AND n.nspname <> 'public' AND {own_schema}
"""

WITHOUT = """
SELECT 'table', n.nspname || '.' || c.relname, d.privilege_type
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(
    acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS d
WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm') AND {user} AND {own_relation}
  AND d.grantee = c.relowner AND c.relacl IS NOT NULL AND NOT EXISTS (
    SELECT FROM aclexplode(c.relacl) AS a
    WHERE a.grantee = c.relowner AND a.privilege_type = d.privilege_type)
UNION ALL
SELECT 'schema', n.nspname, r.needed FROM pg_namespace n
CROSS JOIN unnest(ARRAY['USAGE', 'CREATE']) AS r (needed)
WHERE {user} AND {own_schema} AND NOT has_schema_privilege({owner}, n.oid, r.needed)
  AND (r.needed = 'USAGE' OR EXISTS (SELECT FROM pg_class c
       WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND {own_relation}))
"""
"""What the owner may not do with his own."""


def rights(source: Connection, mirror: Connection, context: Context) -> list[str]:
    """Name what does not belong to Airbyte's role, and every grant that the source does not have.

    The feed's own role reads the source; that grant is ours and is not expected on the mirror.
    """
    owner = context.feed.target.owner_role
    parts = {**catalog_types.CONDITIONS, "owner": sql.Literal(owner)}
    found = [
        f"{kind} {name}: belongs to `{who}` on the mirror, not to `{owner}`"
        for kind, name, who in sorted(rows(mirror, sql.SQL(OWNERS).format(**parts)))
        if who != owner
    ]
    found += [
        f"{kind} {name}: `{owner}` has no {privilege} on the mirror"
        for kind, name, privilege in sorted(rows(mirror, sql.SQL(WITHOUT).format(**parts)))
    ]
    there, here = (
        {(grant.name, grant.grantee, grant.privilege) for grant in catalog_grants.grants(side)}
        for side in (source, mirror)
    )
    found += [
        f"table {name}: {privilege} granted to {who} only on the mirror"
        for name, who, privilege in sorted(here - there)
    ]
    found += [
        f"table {name}: {privilege} granted to {who} only on the source"
        for name, who, privilege in sorted(there - here)
        if who == catalog_grants.PUBLIC
    ]
    return found
