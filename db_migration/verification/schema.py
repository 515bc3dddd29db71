"""Definitions that `catalog.definitions` leaves out: what a mirror must have, but what does not
decide whether it can follow.
"""

from __future__ import annotations

import re

from psycopg import sql

from db_migration.catalog import USER_SCHEMAS
from db_migration.postgres import Connection, rows

_OURS = "NOT EXISTS (SELECT FROM pg_depend x WHERE x.objid = {} AND x.deptype = 'e')"
"""An extension's own objects come with its version."""

RELATIONS = """
SELECT 'column ' || n.nspname || '.' || c.relname || '.' || a.attname || ' collation ' || k.collname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_collation k ON k.oid = a.attcollation
WHERE {user} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attcollation <> t.typcollation
UNION ALL
SELECT 'table ' || n.nspname || '.' || c.relname || ' options ' || o.option
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(c.reloptions) AS o (option) WHERE {user} AND c.relkind IN ('r', 'p', 'v')
UNION ALL
SELECT 'table ' || n.nspname || '.' || c.relname || ' row security'
       || CASE WHEN c.relforcerowsecurity THEN ' forced' ELSE '' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND c.relrowsecurity
UNION ALL
SELECT 'policy ' || n.nspname || '.' || c.relname || '.' || p.polname || ' ' || p.polcmd::text
       || coalesce(' using ' || pg_get_expr(p.polqual, p.polrelid), '')
       || coalesce(' check ' || pg_get_expr(p.polwithcheck, p.polrelid), '')
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}
UNION ALL
SELECT 'trigger ' || n.nspname || '.' || c.relname || '.' || g.tgname || ' fires '
       || CASE g.tgenabled WHEN 'D' THEN 'never' WHEN 'R' THEN 'on replicas' ELSE 'always' END
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND NOT g.tgisinternal AND g.tgenabled <> 'O'
UNION ALL
SELECT 'rule ' || n.nspname || '.' || c.relname || '.' || r.rulename || ' '
       || pg_get_ruledef(r.oid)
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND r.rulename <> '_RETURN'
UNION ALL
SELECT 'partitioned table ' || n.nspname || '.' || c.relname || ' by ' || pg_get_partkeydef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND c.relkind = 'p'
UNION ALL
SELECT 'table ' || n.nspname || '.' || c.relname || ' in ' || i.inhparent::regclass::text || ' '
       || coalesce(pg_get_expr(c.relpartbound, c.oid), '')
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'statistics ' || pg_get_statisticsobjdef(s.oid)
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {user}
"""

OTHERS = """
SELECT 'schema ' || n.nspname FROM pg_namespace n WHERE {user} AND {schema_is_ours}
UNION ALL
SELECT 'function ' || n.nspname || '.' || p.proname || '('
       || pg_get_function_identity_arguments(p.oid) || ') returns '
       || coalesce(pg_get_function_result(p.oid), 'nothing') || ' in ' || l.lanname
       || CASE WHEN p.prosecdef THEN ' security definer' ELSE '' END || ' ' || p.provolatile::text
       || ' body ' || md5(p.prosrc)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE {user} AND {function_is_ours}
UNION ALL
SELECT 'domain ' || n.nspname || '.' || t.typname || CASE WHEN t.typnotnull THEN ' not null' ELSE ''
       END || coalesce(' default ' || t.typdefault, '') || coalesce((SELECT string_agg(' '
       || pg_get_constraintdef(o.oid), '' ORDER BY o.conname) FROM pg_constraint o
       WHERE o.contypid = t.oid AND o.contype = 'c'), '')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE {user} AND t.typtype = 'd' AND {type_is_ours}
UNION ALL
SELECT 'type ' || n.nspname || '.' || t.typname || ' (' || (SELECT string_agg(a.attname || ' '
       || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_attribute a
       WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) || ')'
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_class c ON c.oid = t.typrelid
WHERE {user} AND c.relkind = 'c' AND {type_is_ours}
UNION ALL
SELECT 'range ' || n.nspname || '.' || t.typname || ' of ' || r.rngsubtype::regtype::text
FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE {user} AND {type_is_ours}
UNION ALL
SELECT 'sequence ' || n.nspname || '.' || c.relname || ' cache ' || s.seqcache || coalesce((
       SELECT ' owned by ' || d.refobjid::regclass::text || '.' || a.attname FROM pg_depend d
       JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
       AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')), '')
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}
"""

VIEWS = """
SELECT n.nspname || '.' || c.relname, pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND c.relkind IN ('v', 'm') AND {relation_is_ours}
"""

EXTENSIONS = "SELECT 'extension ' || extname FROM pg_extension"


def lines(connection: Connection) -> list[str]:
    """Describe everything else, one line each, the same on PostgreSQL 13 and 17."""
    parts = {
        "user": sql.SQL(USER_SCHEMAS),
        "schema_is_ours": _ours("n.oid"),
        "function_is_ours": _ours("p.oid"),
        "type_is_ours": _ours("t.oid"),
        "relation_is_ours": _ours("c.oid"),
    }
    found = [
        line for query in (RELATIONS, OTHERS) for (line,) in rows(connection, _query(query, parts))
    ]
    views = rows(connection, _query(VIEWS, parts))
    return sorted(found + [f"view {name}: {plain(text)}" for name, text in views])


def extensions(connection: Connection) -> list[str]:
    """Name the extensions, whatever their version."""
    return sorted(line for (line,) in rows(connection, EXTENSIONS))


def _query(text: str, parts: dict[str, sql.SQL]) -> sql.Composed:
    return sql.SQL(text).format(**parts)


def _ours(column: str) -> sql.SQL:
    return sql.SQL(_OURS.format(column))


def plain(view: str) -> str:
    """Return a view's text without what PostgreSQL 16 and newer leave out: `table.` before a
    column where there is one table only.
    """
    return re.sub(r'("[^"]+"|\b\w+)\.', "", re.sub(r"\s+", " ", view)).strip()
