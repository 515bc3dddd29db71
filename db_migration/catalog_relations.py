"""Queries that describe relations: the table that a line belongs to, if any, and the line.

What is here is described to everybody (db_migration/catalog_described.py); every line is the same
on PostgreSQL 13 to 17 for the same definition. What may lock a table while it prints an expression
stands in a query of its own: the fewer are held at once, the shorter a DDL statement of prod waits.
"""

from __future__ import annotations

COLUMNS_AND_KEYS = """
SELECT {table}, 'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
       || CASE a.attidentity WHEN '' THEN '' ELSE ' identity ' || a.attidentity::text END
       || CASE a.attgenerated WHEN '' THEN '' ELSE ' generated' END
       || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE {user} AND {ordinary} AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT {table}, 'constraint ' || o.conname || ' ' || pg_get_constraintdef(o.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_constraint o ON o.conrelid = c.oid WHERE {user} AND {ordinary} AND o.contype <> 'n'
UNION ALL
SELECT {table}, 'index ' || x.relname || ' ' || pg_get_indexdef(i.indexrelid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
WHERE {user} AND {ordinary} AND i.indisvalid
UNION ALL
SELECT {table}, 'trigger ' || g.tgname || ' ' || pg_get_triggerdef(g.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_trigger g ON g.tgrelid = c.oid
WHERE {user} AND {ordinary} AND NOT g.tgisinternal AND g.tgparentid = 0
"""
"""An index that was never finished is none: no dump has it. Nor is a partition's copy of its
parent's trigger, which only newer servers list.
"""

STATES = """
SELECT {table}, 'column ' || n.nspname || '.' || c.relname || '.' || a.attname || ' collation '
       || CASE k.collnamespace WHEN 'pg_catalog'::regnamespace THEN ''
          ELSE k.collnamespace::regnamespace::text || '.' END || k.collname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_collation k ON k.oid = a.attcollation
WHERE {user} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attcollation <> t.typcollation
UNION ALL
SELECT {table}, 'table ' || n.nspname || '.' || c.relname || ' options ' || o.option
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(c.reloptions) AS o (option) WHERE {user} AND c.relkind IN ('r', 'p', 'v')
UNION ALL
SELECT {table}, 'table ' || n.nspname || '.' || c.relname || ' columns in the order '
       || coalesce((SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
           FROM pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
UNION ALL
SELECT {table}, 'table ' || n.nspname || '.' || c.relname || ' rows named by ' || x.relname
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND c.relkind = 'r' AND c.relreplident = 'i' AND i.indisreplident
UNION ALL
SELECT {table}, 'table ' || n.nspname || '.' || c.relname || ' row security'
       || CASE WHEN c.relrowsecurity THEN ' on' ELSE '' END
       || CASE WHEN c.relforcerowsecurity THEN ' forced' ELSE '' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND (c.relrowsecurity OR c.relforcerowsecurity)
UNION ALL
SELECT {table}, 'trigger ' || n.nspname || '.' || c.relname || '.' || coalesce((SELECT o.conname
           FROM pg_constraint o WHERE g.tgisinternal AND o.oid = g.tgconstraint), g.tgname)
       || ' fires '
       || CASE g.tgenabled WHEN 'D' THEN 'never' WHEN 'R' THEN 'on replicas' ELSE 'always' END
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND g.tgenabled <> 'O'
UNION ALL
SELECT {table}, 'partitioned table ' || n.nspname || '.' || c.relname || ' by '
       || pg_get_partkeydef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND c.relkind = 'p'
UNION ALL
SELECT {table}, 'table ' || n.nspname || '.' || c.relname || ' in ' || i.inhparent::regclass::text
       || ' ' || coalesce(pg_get_expr(c.relpartbound, c.oid), '')
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND c.relkind IN ('r', 'p')
"""

POLICIES = """
SELECT {table}, CASE WHEN p.polpermissive THEN 'policy ' ELSE 'restrictive policy ' END
       || n.nspname || '.' || c.relname || '.' || p.polname || ' ' || p.polcmd::text || ' for '
       || (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END, ', '
           ORDER BY r = 0, pg_get_userbyid(r)) FROM unnest(p.polroles) AS r)
       || coalesce(' using ' || pg_get_expr(p.polqual, p.polrelid), '')
       || coalesce(' check ' || pg_get_expr(p.polwithcheck, p.polrelid), '')
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}
"""

RULES = """
SELECT {table}, 'rule ' || n.nspname || '.' || c.relname || '.' || r.rulename || ' '
       || pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' WHEN 'D' THEN ' never'
          WHEN 'R' THEN ' on replicas' ELSE ' always' END
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user} AND r.rulename <> '_RETURN'
"""

OF_VIEWS = """
SELECT {table}, 'trigger ' || n.nspname || '.' || c.relname || '.' || g.tgname || ' '
       || pg_get_triggerdef(g.oid)
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {user} AND c.relkind IN ('v', 'p') AND NOT g.tgisinternal AND g.tgparentid = 0
UNION ALL
SELECT {table}, 'column ' || n.nspname || '.' || c.relname || '.' || a.attname || ' default '
       || pg_get_expr(d.adbin, d.adrelid)
FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.adnum
WHERE {user} AND c.relkind IN ('v', 'p')
"""

STATISTICS = """
SELECT '', 'statistics ' || pg_get_statisticsobjdef(s.oid)
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {user}
"""
"""Of no table: the dump of a single table has none of its statistics, so one that came with them
is not taken in alone.
"""

SEQUENCES = """
SELECT CASE WHEN o.relkind = 'r' AND o.relpersistence = 'p' THEN m.nspname || '.' || o.relname
       ELSE '' END, line
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
LEFT JOIN pg_class o ON o.oid = d.refobjid LEFT JOIN pg_namespace m ON m.oid = o.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
CROSS JOIN LATERAL (VALUES (
    'sequence ' || n.nspname || '.' || c.relname || ' ' || s.seqtypid::regtype::text || ' start '
    || s.seqstart || ' increment ' || s.seqincrement || ' range ' || s.seqmin || '..' || s.seqmax
    || CASE WHEN s.seqcycle THEN ' cycle' ELSE '' END
), (
    'sequence ' || n.nspname || '.' || c.relname || ' cache ' || s.seqcache
    || CASE WHEN c.relpersistence = 'u' AND o.relpersistence IS DISTINCT FROM 'u' THEN ' unlogged'
       ELSE '' END
    || coalesce(' owned by ' || o.oid::regclass::text || '.' || a.attname, '')
)) AS described (line)
WHERE {user}
"""

QUERIES = (COLUMNS_AND_KEYS, STATES, POLICIES, RULES, OF_VIEWS, STATISTICS, SEQUENCES)
