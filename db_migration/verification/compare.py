"""Compare what is not rows: definitions, enums, sequences, ownership and grants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from psycopg import sql

from db_migration import catalog, catalog_described, catalog_grants
from db_migration.catalog import Sequence
from db_migration.catalog_described import Described
from db_migration.catalog_texts import plain, view
from db_migration.context import Context
from db_migration.following import sequences
from db_migration.postgres import Connection, rows, until
from db_migration.verification import masking


def definitions_and_rights(source: Connection, mirror: Connection, context: Context) -> list[str]:
    """Name every difference that is neither in a row nor in a sequence's number."""
    there, here = catalog_described.read(source), catalog_described.read(mirror)
    return differences(there, here) + ownership(mirror, context)


def sequences_behind(there: list[Sequence], mirror: Connection, seconds: float) -> list[str]:
    """Name every sequence of the mirror that would hand out a number the source had used `there`.

    The agent has some `seconds` to move one that the source uses up faster than it looks.
    """
    found: list[str] = []

    def passed() -> bool:
        found[:] = sequences.late(there, catalog.sequences(mirror))
        return not found

    until(passed, seconds)
    return found


def differences(there: Described, here: Described) -> list[str]:
    """Name every definition and right that one side lacks or has otherwise."""
    tables, copies = there.tables, here.tables
    found = [f"table {name}: missing on the mirror" for name in sorted(tables.keys() - copies)]
    found += [f"table {name}: only on the mirror" for name in sorted(copies.keys() - tables)]
    for name in sorted(tables.keys() & copies.keys()):
        found += _lines(f"table {name}: ", tables[name], copies[name])
    found += _lines("", there.others, here.others)
    found += _views(there.views, here.views)
    lacking = sorted(set(there.extensions) - set(here.extensions))
    found += _lines("", [f"extension {name}" for name in lacking], [])
    return found + _grants(there, here)


def _views(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    sides = ("missing on the mirror", there, here), ("only on the mirror", here, there)
    return [
        f"{where}: {name}: {masking.definition(' '.join(views[name].split()))}"
        for name in sorted(there.keys() | here.keys())
        for where, views, others in sides
        if name in views and (name not in others or view(views[name]) != view(others[name]))
    ]


def _lines(where: str, there: Iterable[str], here: Iterable[str]) -> list[str]:
    one, other = ({plain(line) for line in side} for side in (there, here))
    said = masking.definition
    missing = [f"{where}missing on the mirror: {said(line)}" for line in sorted(one - other)]
    extra = [f"{where}only on the mirror: {said(line)}" for line in sorted(other - one)]
    return missing + extra


def _grants(there: Described, here: Described) -> list[str]:
    """Name what is granted on one side only; of the source's, what everybody may do.

    The feed's own role reads the source; that grant is ours and is not expected on the mirror.
    """
    one, other = (
        {(grant.name, grant.grantee, grant.privilege) for grant in side.grants}
        for side in (there, here)
    )
    return only_granted(other - one) + [
        f"table {name}: {privilege} granted to {who} only on the source"
        for name, who, privilege in sorted(one - other)
        if who == catalog_grants.PUBLIC
    ]


def only_granted(rights: Iterable[tuple[str, str, str]]) -> list[str]:
    """Name each right on the mirror (relation, role, privilege) that should not be there."""
    return [
        f"table {name}: {privilege} granted to {who} only on the mirror"
        for name, who, privilege in sorted(rights)
    ]


OWNERS = """
SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END,
       n.nspname || '.' || c.relname, pg_get_userbyid(c.relowner)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm') AND {user} AND {own_relation}
UNION ALL
SELECT 'type', n.nspname || '.' || t.typname, pg_get_userbyid(t.typowner)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND {user} AND {own_type}
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


def ownership(mirror: Connection, context: Context) -> list[str]:
    """Name what does not belong to Airbyte's role, or what that may not use."""
    owner = context.feed.target.owner_role
    parts = {**catalog.CONDITIONS, "owner": sql.Literal(owner)}
    found = [
        f"{kind} {name}: belongs to `{who}` on the mirror, not to `{owner}`"
        for kind, name, who in sorted(rows(mirror, sql.SQL(OWNERS).format(**parts)))
        if who != owner
    ]
    return found + [
        f"{kind} {name}: `{owner}` has no {privilege} on the mirror"
        for kind, name, privilege in sorted(rows(mirror, sql.SQL(WITHOUT).format(**parts)))
    ]
