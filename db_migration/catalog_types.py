"""Queries that describe what is no relation: types, functions, schemas, extensions.

What is here is described to everybody (db_migration/catalog_described.py). Not what a session keeps
for itself (`pg_temp`): that comes and goes, and is no change.
"""

from __future__ import annotations

from psycopg import sql

from db_migration.catalog import CONDITIONS
from db_migration.postgres import Connection, rows, rows_in_turn

ATOMIC_SINCE = 140000

TYPES = """
SELECT '', 'enum ' || n.nspname || '.' || t.typname || ' (' || coalesce((
       SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
       FROM pg_enum e WHERE e.enumtypid = t.oid), '') || ')'
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' AND {user} AND {own_type}
UNION ALL
SELECT '', 'domain ' || n.nspname || '.' || t.typname || line
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
CROSS JOIN LATERAL (VALUES (' ' || format_type(t.typbasetype, t.typtypmod)), (
       CASE WHEN t.typnotnull THEN ' not null' ELSE '' END
       || coalesce(' default ' || pg_get_expr(t.typdefaultbin, 0), '')
       || coalesce((SELECT string_agg(' ' || o.conname || ' ' || pg_get_constraintdef(o.oid), ''
       ORDER BY o.conname)
       FROM pg_constraint o WHERE o.contypid = t.oid AND o.contype = 'c'), ''))
) AS described (line)
WHERE t.typtype = 'd' AND {user} AND {own_type}
UNION ALL
SELECT '', 'type ' || n.nspname || '.' || t.typname || ' (' || coalesce((SELECT string_agg(a.attname
       || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_attribute a
       WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '') || ')'
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_class c ON c.oid = t.typrelid
WHERE {user} AND c.relkind = 'c' AND {own_type}
UNION ALL
SELECT '', 'range ' || n.nspname || '.' || t.typname || ' of ' || r.rngsubtype::regtype::text
       || coalesce(' collation ' || k.collname, '')
       || coalesce((SELECT ' operators ' || o.opcname FROM pg_opclass o
           WHERE o.oid = r.rngsubopc AND NOT o.opcdefault), '')
       || ' canonical ' || r.rngcanonical::text || ' difference ' || r.rngsubdiff::text
FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_collation k ON k.oid = r.rngcollation
WHERE {user} AND {own_type}
"""

FUNCTIONS = """
SELECT '', 'function ' || n.nspname || '.' || p.proname || '('
       || {arguments} || ') returns '
       || coalesce(pg_get_function_result(p.oid), 'nothing') || ' in ' || l.lanname
       || CASE WHEN p.prosecdef THEN ' security definer' ELSE '' END || ' ' || p.provolatile::text
       || CASE WHEN p.proisstrict THEN ' strict' ELSE '' END
       || CASE WHEN p.proleakproof THEN ' leakproof' ELSE '' END || ' parallel '
       || p.proparallel::text
       || ' cost ' || p.procost || ' rows ' || p.prorows
       || coalesce(' set ' || quote_literal(array_to_string(p.proconfig, ', ')), '')
       || ' body ' || md5(p.prosrc)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE {user} AND {own_function}
UNION ALL
SELECT '', 'aggregate ' || n.nspname || '.' || p.proname || '(' || {arguments} || ') of '
       || g.aggtranstype::regtype::text || ' starts ' || quote_nullable(g.agginitval)
       || ' moving ' || g.aggmtranstype::regtype::text || ' ' || quote_nullable(g.aggminitval)
       || ' sort ' || g.aggsortop::regoperator::text || ' ' || (to_jsonb(g) - ARRAY[
          'aggfnoid', 'aggtranstype', 'agginitval', 'aggmtranstype', 'aggminitval',
          'aggsortop'])::text
FROM pg_aggregate g JOIN pg_proc p ON p.oid = g.aggfnoid
JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {user} AND {own_function}
UNION ALL
SELECT '', 'schema ' || n.nspname FROM pg_namespace n WHERE {user} AND {own_schema}
"""

EXTENSIONS = "SELECT extname FROM pg_extension"
"""Whatever their version: the target has its own."""

VIEWS = """
SELECT CASE c.relkind WHEN 'm' THEN 'materialized ' ELSE '' END || 'view ' || n.nspname || '.'
       || c.relname, pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND c.relkind IN ('v', 'm') AND {own_relation}
"""

ATOMIC_FUNCTIONS = """
SELECT 'function ' || n.nspname || '.' || p.proname || '(' || {arguments} || ')',
       pg_get_function_sqlbody(p.oid)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {user} AND {own_function} AND pg_get_function_sqlbody(p.oid) IS NOT NULL
"""
"""Whose body is no string (BEGIN ATOMIC): it is printed as a view is."""

QUERIES = (TYPES, FUNCTIONS)


def views(connection: Connection) -> dict[str, str]:
    """Return the text of every view, materialized ones too, by its kind and name."""
    has_atomic = connection.info.server_version >= ATOMIC_SINCE
    return {
        name: text
        for query in (VIEWS, ATOMIC_FUNCTIONS if has_atomic else None)
        if query is not None
        for name, text in rows_in_turn(connection, sql.SQL(query).format(**CONDITIONS))
    }


def extensions(connection: Connection) -> list[str]:
    """Name the extensions."""
    return sorted(name for (name,) in rows(connection, EXTENSIONS))
